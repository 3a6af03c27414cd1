"""Files and directories of volumes as the local file system keeps them; a written file is there whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local_estate.api.kernel.durable_files import DRAFT, write_whole
from local_estate.api.kernel.errors import ApiError


@dataclass(frozen=True, kw_only=True)
class Entry:
    """`size` in bytes (0 for a directory), `modified_ms` since the epoch."""

    name: str
    path: str
    is_directory: bool
    size: int
    modified_ms: int


def no_file() -> ApiError:
    return ApiError("NOT_FOUND", "The file being accessed is not found.")


def no_directory() -> ApiError:
    return ApiError("NOT_FOUND", "The directory being accessed is not found.")


def write(path: Path, content: bytes, *, overwrite: bool, within: Path) -> None:
    """`within` is the volume's directory. Raises ApiError ALREADY_EXISTS (409)."""
    if path == within or path.is_dir():
        raise ApiError("ALREADY_EXISTS", "The path of the file being created is a directory.")
    if path.exists() and not overwrite:
        raise ApiError("ALREADY_EXISTS", "The file being created already exists.")
    make_directory(path.parent)
    try:
        write_whole(path, content, overwrite=overwrite)
    except FileExistsError:
        raise ApiError("ALREADY_EXISTS", "The file being created already exists.") from None


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise no_file() from None


def make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ApiError("ALREADY_EXISTS", "A file is in the way of the directory being created.") from None


def delete_file(path: Path) -> None:
    if not path.is_file():
        raise no_file()
    path.unlink()


def delete_directory(path: Path, *, within: Path, recursive: bool = False) -> None:
    if not path.is_dir():
        raise no_directory()
    if path == within:
        raise ApiError("INVALID_PARAMETER_VALUE", "The root of a volume cannot be deleted.")
    if recursive:
        shutil.rmtree(path)
        return
    if any(path.iterdir()):
        raise ApiError("DIRECTORY_NOT_EMPTY", "The directory being deleted is not empty.", 400)
    path.rmdir()


def entry(path: Path, shown_as: str) -> Entry:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise no_file() from None
    is_directory = path.is_dir()
    return Entry(
        name=shown_as.rpartition("/")[2],
        path=shown_as,
        is_directory=is_directory,
        size=0 if is_directory else status.st_size,
        modified_ms=int(status.st_mtime * 1000),
    )


def contents(path: Path, shown_as: str) -> Iterator[Entry]:
    """In name order."""
    if not path.is_dir():
        raise no_directory()
    for child in sorted(path.iterdir(), key=lambda each: each.name):
        if not child.name.startswith(DRAFT):
            yield entry(child, f"{shown_as}/{child.name}")
