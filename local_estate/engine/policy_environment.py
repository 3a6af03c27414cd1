"""Makes `policies/.venv`, the environment PulumiPolicy.yaml names, from its own hashed lock."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from local_estate.engine.errors import PolicyEnvironmentMissing
from local_estate.engine.file_lock import exclusive
from local_estate.engine.hashed_lock import LockDidNotInstall, make_environment
from local_estate.engine.reporting import Reporter
from local_estate.paths import Paths

LOCK = Path("requirements") / "policies.txt"
STAMP = ".installed-from"


def policy_environment(paths: Paths, reporter: Reporter | None = None) -> Path:
    """The environment's directory; made or remade only when the lock or the Python changed."""
    directory = paths.repository / "policies" / ".venv"
    lock = paths.repository / LOCK
    wanted = f"{hashlib.sha256(lock.read_bytes()).hexdigest()} {sys.version_info[0]}.{sys.version_info[1]}"
    if _ready(directory, wanted):
        return directory
    reporter = reporter or Reporter()
    # The lock lies outside the environment, which is thrown away and made anew.
    with exclusive(paths.tools / "policies-environment.lock"):
        if not _ready(directory, wanted):
            with reporter.step("Making the policies' environment"):
                shutil.rmtree(directory, ignore_errors=True)
                _make(directory, lock)
                (directory / STAMP).write_text(wanted)
    return directory


def _ready(directory: Path, wanted: str) -> bool:
    stamp = directory / STAMP
    return stamp.exists() and stamp.read_text() == wanted and (directory / "bin" / "python").exists()


def _make(directory: Path, lock: Path) -> None:
    try:
        make_environment(directory, lock)
    except LockDidNotInstall as problem:
        fix = f"see whether {lock} can be installed from here, then run again"
        raise PolicyEnvironmentMissing(f"{directory} could not be made: {problem}", fix=fix) from None
