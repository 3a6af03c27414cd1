"""What the service process is made from: a digest of the sources it started with tells whether it still runs today's code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

_FOLDERS = ("api", "spark")  # of local_estate; its other folders run in processes of their own
_MODULES = ("__init__.py", "full_disk.py", "paths.py", "process.py", "service_sources.py", "tenancy.py")
_KINDS = {".py", ".scala"}


def files(repository: Path) -> Iterator[Path]:
    package = repository / "local_estate"
    yield repository / "requirements" / "root.txt"
    yield from (package / name for name in _MODULES)
    for folder in _FOLDERS:
        yield from sorted(file for file in (package / folder).rglob("*") if file.suffix in _KINDS)


def digest(repository: Path) -> str:
    found = hashlib.sha256()
    for file in files(repository):
        found.update(f"{file.relative_to(repository)}\0".encode())
        found.update(hashlib.sha256(file.read_bytes()).digest() if file.is_file() else b"absent")
    return found.hexdigest()
