"""Builds the wheel `lakehouse` deterministically, or checks the one that CI built."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "workloads"
# The wheel carries them as lakehouse/migrations, a link that leads here.
MIGRATIONS = REPOSITORY / "sql" / "migrations"
# 1980 is the first year a zip archive can carry; any fixed moment makes the bytes depend on the source alone.
EPOCH = "315532800"


class ArtifactError(Exception):
    """The wheel asked for is not there, or is not the one that was asked for."""


@dataclass(frozen=True)
class Wheel:
    file: Path
    digest: str


def wheel(digest: str, *, required: bool, folder: Path = REPOSITORY / "build" / "dist") -> Wheel:
    """The wheel with this SHA-256 in `folder`; without a digest one built from the checkout, unless a digest is `required`."""
    if digest:
        for file in sorted(folder.rglob("lakehouse-*.whl")):
            if hashlib.sha256(file.read_bytes()).hexdigest() == digest:
                return Wheel(file, digest)
        raise ArtifactError(f"no wheel in {folder} has digest {digest}. Fix: download the release's artifact there")
    if required:
        raise ArtifactError(
            "this stack deploys released wheels only. "
            "Fix: pulumi config set --path lakehouse:artifact.digest <sha256 of the wheel that test runs>"
        )
    return build(folder)


def build(folder: Path) -> Wheel:
    """Builds once per state of the source; `folder/<digest of the source>/` keeps the result."""
    target = folder / _source_digest()
    found = sorted(target.glob("*.whl"))
    if not found:
        _check_migrations()
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            script = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
            environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
            done = subprocess.run(
                [sys.executable, "-c", script, scratch], cwd=SOURCE, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise ArtifactError(f"the wheel could not be built: {done.stderr.strip().splitlines()[-1]}")
            for file in Path(scratch).glob("*.whl"):
                file.replace(target / file.name)
        found = sorted(target.glob("*.whl"))
    return Wheel(found[0], hashlib.sha256(found[0].read_bytes()).hexdigest())


def _check_migrations() -> None:
    """Imported here: a preview whose wheel is built already has no use for a SQL parser."""
    from lakehouse.migration import MigrationError
    from release.migrations import check

    try:
        check(MIGRATIONS)
    except MigrationError as error:
        raise ArtifactError(f"the wheel is not built: {error}") from error


def _source_digest() -> str:
    content = hashlib.sha256()
    for file in sorted([*SOURCE.rglob("*"), *MIGRATIONS.glob("*")]):
        if file.is_file() and "__pycache__" not in file.parts and "dist" not in file.relative_to(REPOSITORY).parts[1:]:
            content.update(file.relative_to(REPOSITORY).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return content.hexdigest()[:16]


def main() -> None:
    """`python -m release.wheel` builds this checkout's wheel and prints `{"file", "digest"}`; CI puts the digest into the next stack."""
    made = build(REPOSITORY / "build" / "dist")
    print(json.dumps({"file": str(made.file), "digest": made.digest}))


if __name__ == "__main__":
    main()
