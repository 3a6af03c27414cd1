"""Files that are there whole or not at all, and stay after a power cut."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

DRAFT = ".estate-draft"  # a leading dot: Spark's listings pass over it


def write_whole(path: Path, content: bytes, *, overwrite: bool = True) -> None:
    """The directory must exist. Raises FileExistsError when there is a file that may not be overwritten; of two such writers one wins."""
    draft = path.with_name(f"{DRAFT}-{secrets.token_hex(8)}")
    try:
        with open(draft, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            draft.replace(path)
        else:
            os.link(draft, path)
        _sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
