"""The ahead-of-time cache: classes of Spark and Delta as a JVM has loaded and linked them, made once and mapped by every later JVM.

`python -m local_estate.spark.aot_cache` makes it where it is missing. Nothing that works without it waits for it or fails for want of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from local_estate.paths import REPOSITORY, Paths
from local_estate.spark.jars import ToolMissing
from local_estate.spark.jvm import LOGGING, java_environment, spark_configuration
from local_estate.spark.launch import Launch

KEPT = 3  # of 250 MB each: checkouts of several ages may share the tools
_SECONDS = 900
_HEAP = "2g"


class CacheNotMade(Exception):
    """The training JVM failed; the message carries its last lines."""


def make(launch: Launch) -> bool:
    """Makes the missing cache, once however many ask; False where there is nothing to make. Raises CacheNotMade."""
    if not launch.can_cache:
        return False
    launch.caches.mkdir(parents=True, exist_ok=True)
    with (launch.caches / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if launch.has_cache:
            return False
        _train(launch)
        _forget_old(launch)
    return True


def make_in_background(paths: Paths) -> subprocess.Popen[bytes] | None:
    """Starts a process of low priority that makes the missing cache and outlives this one; None where there is nothing to make."""
    try:
        launch = Launch.of(paths)
    except ToolMissing:
        return None
    if not launch.can_cache or launch.has_cache:
        return None
    launch.caches.mkdir(parents=True, exist_ok=True)
    # Only its own log: a terminal or a test that waits for the end of this process's output does not wait for it.
    with log(paths).open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "local_estate.spark.aot_cache"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=REPOSITORY,
            env={**os.environ, "ESTATE_TOOLS": str(paths.tools), "ESTATE_HOME": str(paths.home)},
            start_new_session=True,
        )


def log(paths: Paths) -> Path:
    return paths.tools / "aot" / "log"


def _train(launch: Launch) -> None:
    with tempfile.TemporaryDirectory(dir=launch.caches, prefix=".training-", ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        draft = work / "draft.aot"
        # As in an estate, the JVM's scratch is not the governed home: the self-test asks for a file of the home and must be denied.
        home, scratch = work / "estate", work / "scratch"
        (home / "adls").mkdir(parents=True)
        scratch.mkdir()
        properties = (f"-Djava.io.tmpdir={scratch}", f"-Destate.home={home}", f"-Dlog4j2.configurationFile={LOGGING}")
        command = launch.command(_HEAP, f"-XX:AOTCacheOutput={draft}", *properties, cached=False)
        done = subprocess.run(
            [*command, "mt.estate.Training", str(scratch)],
            input=json.dumps({"conf": spark_configuration(scratch)}) + "\n",
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env=java_environment(),
            cwd=scratch,
        )
        if done.returncode or not draft.exists():
            said = "\n".join(line for line in (done.stdout + done.stderr).splitlines() if "[warning]" not in line)[-2000:]
            raise CacheNotMade(f"the training JVM ended with {done.returncode} and {'a' if draft.exists() else 'no'} cache: {said}")
        draft.replace(launch.cache)  # whole or not at all


def _forget_old(launch: Launch) -> None:
    """A JVM that maps one keeps it: its file goes when the JVM does."""
    newest_first = sorted(launch.caches.glob("*.aot"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in newest_first[KEPT:]:
        file.unlink(missing_ok=True)


def main() -> int:
    with contextlib.suppress(OSError):
        os.nice(10)  # whoever is working goes first
    started = time.monotonic()
    launch = Launch.of(Paths.from_environment())
    try:
        made = make(launch)
    except (CacheNotMade, subprocess.TimeoutExpired) as error:
        print(f"no ahead-of-time cache: {error}", file=sys.stderr)
        return 1
    print(f"{launch.cache}: {f'made in {time.monotonic() - started:.0f} s' if made else 'nothing to make'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
