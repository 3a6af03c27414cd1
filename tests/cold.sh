#!/usr/bin/env bash
# `make cold`: a fresh clone of HEAD with an empty HOME, then the two commands, or the make targets named. Caches of this machine's user are
# out of reach.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/cold-XXXXXX")
python=$(python3 -c 'import sys; print(sys.executable)')
echo "cold: cloning into $scratch"
git clone --quiet "$repository" "$scratch/clone"
mkdir "$scratch/home"
cd "$scratch/clone"
finish() { make down >/dev/null 2>&1 || true; rm -rf "$scratch"; }
trap finish EXIT
run() {
  local started=$SECONDS
  env -i HOME="$scratch/home" PATH="$PATH" LANG=C.UTF-8 ${SSL_CERT_FILE:+SSL_CERT_FILE="$SSL_CERT_FILE"} \
    ${PIP_CERT:+PIP_CERT="$PIP_CERT"} ${GOPROXY:+GOPROXY="$GOPROXY"} ${GOFLAGS:+GOFLAGS="$GOFLAGS"} PYTHON="$python" make "$@"
  echo "cold: make $* took $((SECONDS - started)) s"
}
[ $# -gt 0 ] || set -- up up test
for target in "$@"; do run "$target"; done
