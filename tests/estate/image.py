"""An estate kept on disk: `shared` and `dev` deployed, day 1 run, the service stopped. Made once for what it is made from.

A test that does not test deploying starts on a copy of it. Everything an estate keeps names itself by Azure's and Databricks' words,
never by its folder or its ports, so a copy elsewhere is another estate in the same state.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from local_estate import bring_up
from local_estate.day.run import Step, StepResult
from local_estate.engine.file_lock import exclusive
from local_estate.paths import Paths
from local_estate.process import ServiceProcess

ROWS = 600
STACK = "dev"
# What an `up` reads, what the day runs, and this file; a path that git ignores is made from the others.
MADE_FROM = ("platform", "workloads", "policies", "local_estate", "sql", "samples", "requirements", "Pulumi.yaml", "Pulumi.shared.yaml")
MADE_FROM += (f"Pulumi.{STACK}.yaml", "tests/estate/image.py")
KEPT = 2
# Fault injection, so that a test can refuse a request; it does nothing until asked.
ENVIRONMENT = {"ESTATE_FAULTS": "1"}


@dataclass(frozen=True)
class Image:
    """`steps` are what each step of day 1 came to when the image was made; `made_now`: by this call."""

    made_by: Paths
    folder: Path
    steps: tuple[StepResult, ...]
    made_now: bool

    def restore(self, home: Path) -> None:
        """A copy of the estate below `home`, at rest; blocks are shared where the file system can."""
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        subprocess.run(["cp", "-a", "--reflink=auto", f"{self.folder / 'home'}/.", f"{home}/"], check=True)

    @contextmanager
    def served(self, home: Path) -> Iterator[Paths]:
        """A copy of the estate below `home`, serving."""
        self.restore(home)
        paths = replace(self.made_by, home=home)
        with _served(paths):
            yield paths


def ensure(paths: Paths, *, say: Callable[[str], None], again: bool = False) -> Image:
    """The image of this checkout's content, made if missing (or `again`). Others than the last two used are deleted."""
    images = paths.tools / "estate-images"
    images.mkdir(parents=True, exist_ok=True)
    folder = images / digest(paths.repository)
    with exclusive(images / f"{folder.name}.lock"):
        made_now = again or not (folder / "steps.json").exists()
        if made_now:
            _make(paths, folder, say)
        os.utime(folder)
    prune(images, keep=folder)
    told = json.loads((folder / "steps.json").read_text())
    return Image(paths, folder, tuple(StepResult(**{**each, "step": Step(**each["step"])}) for each in told), made_now)


def digest(repository: Path) -> str:
    """Over name and bytes of every file, committed or not, and over Python's version; tools are pinned in `requirements`."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *MADE_FROM]
    names = subprocess.run(listed, cwd=repository, capture_output=True, text=True, check=True).stdout.split("\0")
    content = hashlib.sha256(sys.version.encode())
    for name in sorted(filter(None, names)):
        file = repository / name
        content.update(f"{name}\0".encode() + (hashlib.sha256(file.read_bytes()).digest() if file.is_file() else b"deleted"))
    return content.hexdigest()[:20]


@contextmanager
def _served(paths: Paths) -> Iterator[None]:
    ServiceProcess(paths).start(environment=ENVIRONMENT)
    try:
        yield
    finally:
        ServiceProcess(paths).stop()


def _make(paths: Paths, folder: Path, say: Callable[[str], None]) -> None:
    started = time.monotonic()
    scratch = Path(tempfile.mkdtemp(prefix="making-", dir=folder.parent))
    try:
        own = Paths(repository=paths.repository, tools=paths.tools, home=scratch / "home")
        with _served(own):
            bring_up.deploy(own, STACK, say=say)
            done = bring_up.run_day(own, STACK, day=1, rows=ROWS, say=say, always=True)
        # Only now is nobody writing: the service has closed its store, and its JVM is gone with it.
        (own.home / "service.lock").unlink(missing_ok=True)
        (scratch / "steps.json").write_text(json.dumps([asdict(each) for each in done]))
        shutil.rmtree(folder, ignore_errors=True)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    say(f"estate image {folder.name}: made in {time.monotonic() - started:.0f} s")


def prune(images: Path, *, keep: Path) -> None:
    """Deletes all but `keep` and the one used last before it; one that is being made is left alone."""
    found = sorted((each for each in images.iterdir() if each.is_dir()), key=lambda each: each.stat().st_mtime, reverse=True)
    for old in [each for each in found if each != keep and not each.name.startswith("making-")][KEPT - 1 :]:
        shutil.rmtree(old, ignore_errors=True)
        (images / f"{old.name}.lock").unlink(missing_ok=True)
