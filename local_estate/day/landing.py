"""Puts generated source files where the systems would: into the landing volumes, through the Files API."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local_estate.paths import Paths

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


@dataclass(frozen=True, kw_only=True)
class Landed:
    """One file of a source system; `new` is False when the volume already had it with the same size."""

    path: str
    bytes: int
    new: bool


def generate(paths: Paths, *, day: int, rows: int) -> Path:
    """The folder of a day's files. Generated ones are the same for the same day and size, so made once; those by hand may change."""
    out = paths.home / "samples" / f"day-{day}-{rows}"
    if not (out / "manifest.json").exists():
        _samples(paths, "samples.generate", "--out", str(out), "--day", str(day), "--rows", str(rows))
    else:
        _samples(paths, "samples.by_hand", "--out", str(out), "--day", str(day))
    return out


def _samples(paths: Paths, module: str, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, *arguments], cwd=paths.repository, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the sample generator failed:\n{done.stderr.strip()}")


def land(workspace: WorkspaceClient, folder: Path, landing_paths: Mapping[str, str]) -> Iterator[Landed]:
    """Uploads `folder/<system>/…` below each system's landing path. Files that are there with the same size stay untouched."""
    for system, landing in sorted(landing_paths.items()):
        for file in sorted((folder / system).rglob("*")):
            if not file.is_file():
                continue
            target = f"{landing.rstrip('/')}/{file.relative_to(folder / system).as_posix()}"
            size = file.stat().st_size
            if _size(workspace, target) == size:
                yield Landed(path=target, bytes=size, new=False)
                continue
            with file.open("rb") as content:
                workspace.files.upload(target, content, overwrite=True)
            yield Landed(path=target, bytes=size, new=True)


def _size(workspace: WorkspaceClient, path: str) -> int | None:
    from databricks.sdk.errors import NotFound

    try:
        return workspace.files.get_metadata(path).content_length
    except NotFound:
        return None
