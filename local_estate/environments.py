"""Virtual environments from hashed locks.

Standard library only: this is what a bare `python3` runs first (`python3 local_estate/environments.py root`).
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Environment:
    """`editable`: projects of this checkout installed in place, without their dependencies (the lock has them)."""

    lock: str
    directory: Path
    editable: tuple[str, ...] = ()


def environments() -> dict[str, Environment]:
    tools = Path(os.environ.get("ESTATE_TOOLS") or REPOSITORY / ".tools").absolute()
    return {
        "root": Environment("root.txt", REPOSITORY / ".venv", (".", "workloads")),
        "airflow": Environment("airflow.txt", tools / "airflow", ("workloads",)),
    }


def ensure(name: str) -> Path:
    """Makes the environment equal to its lock and returns its interpreter. Instant when nothing changed."""
    environment = environments()[name]
    python = environment.directory / "bin" / "python"
    stamp = environment.directory / ".lock-digest"
    digest = _digest(environment)
    if stamp.exists() and stamp.read_text() == digest and python.exists():
        return python
    with _exclusive(environment.directory):
        if stamp.exists() and stamp.read_text() == digest and python.exists():
            return python
        started = time.monotonic()
        print(f"{name} environment: installing requirements/{environment.lock} into {environment.directory} …", flush=True)
        if not python.exists():
            _run([sys.executable, "-m", "venv", str(environment.directory)])
        uv = _uv()
        lock = REPOSITORY / "requirements" / environment.lock
        _run([uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(lock)])
        if environment.editable:
            projects = [part for project in environment.editable for part in ("-e", str(REPOSITORY / project))]
            # The build backend is in the root lock; elsewhere uv fetches it for the build alone.
            isolation = ["--no-build-isolation"] if name == "root" else []
            _run([uv, "pip", "install", "--quiet", "--no-deps", *isolation, "--python", str(python), *projects])
        stamp.write_text(digest)
        print(f"{name} environment: ready after {time.monotonic() - started:.0f} s", flush=True)
    return python


def _digest(environment: Environment) -> str:
    parts = [REPOSITORY / "requirements" / environment.lock]
    parts += [REPOSITORY / project / "pyproject.toml" for project in environment.editable]
    content = hashlib.sha256(sys.version.encode())
    for part in parts:
        content.update(part.read_bytes())
    return content.hexdigest()


def _uv() -> str:
    """The pinned uv, in an environment of its own: several times faster than pip on a gigabyte of packages."""
    tools = Path(os.environ.get("ESTATE_TOOLS") or REPOSITORY / ".tools").absolute()
    home = tools / "uv"
    binary = home / "bin" / "uv"
    lock = REPOSITORY / "requirements" / "uv.txt"
    stamp = home / ".lock-digest"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    with _exclusive(home):
        if not (binary.exists() and stamp.exists() and stamp.read_text() == digest):
            _run([sys.executable, "-m", "venv", str(home)])
            _run([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)])
            stamp.write_text(digest)
    return str(binary)


@contextmanager
def _exclusive(directory: Path) -> Iterator[None]:
    """One installer at a time for a directory, across processes."""
    locks = Path(os.environ.get("ESTATE_TOOLS") or REPOSITORY / ".tools").absolute() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with open(locks / hashlib.sha256(str(directory).encode()).hexdigest()[:16], "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: list[str]) -> None:
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    done = subprocess.run(command, env={**os.environ, **quiet}, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        sys.exit(
            f"{' '.join(command[:4])} … failed with {done.returncode}; its message is above. "
            "Fix: check the network and disk, then run again."
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=sorted(environments()), help="which environments to make ready")
    if sys.version_info < (3, 11):  # noqa: UP036  the message is for whoever runs an older python3
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}. Fix: run `make PYTHON=python3.11 …`.")
    for name in parser.parse_args().names:
        ensure(name)


if __name__ == "__main__":
    main()
