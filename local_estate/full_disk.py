"""A disk that takes no more bytes: one sentence with the fix, in place of a traceback."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

# EFBIG is the limit of a process (`ulimit -f`); SQLite tells a full disk apart from it, which it calls an I/O error.
_ERRNO = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SQLITE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}


def explained(error: BaseException | None, home: Path) -> str:
    """What to tell whoever asked for the write; empty when `error` is something else."""
    full_file = isinstance(error, OSError) and error.errno in _ERRNO
    full_store = isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF in _SQLITE
    if not full_file and not full_store:
        return ""
    return f"the disk below {home} takes no more ({error}). Free some space there and try again."
