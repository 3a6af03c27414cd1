"""Whether a stack's last `up` still stands: nothing that an `up` reads has changed since.

An `up` without `--refresh` is a function of the program, its configuration, the policies, the providers and the state. Where all of
them are as its last success left them it has nothing to do, and `make up` need not ask the engine to find that out. Drift made by
hand is not seen this way, as it is not by `pulumi up`: that is what `refresh` is for.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local_estate.engine.state_backend import StateBackend
from local_estate.paths import Paths

READ_BY_UP = ("platform", "workloads", "policies", "local_estate", "sql", "requirements")
_MADE = {"__pycache__", ".venv", "build", "dist"}


@dataclass(frozen=True)
class UpToDate:
    """The record of one stack, beside the estate's state."""

    paths: Paths
    stack: str

    @property
    def holds(self) -> bool:
        return self._record.exists() and self._record.read_text() == self._digest()

    def record(self) -> None:
        self._record.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._record.write_text(self._digest())

    @property
    def _record(self) -> Path:
        return self.paths.home / "up-to-date" / self.stack

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for file in self._files():
            digest.update(f"{file}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest() if file.is_file() else b"absent")
        return digest.hexdigest()

    def _files(self) -> Iterator[Path]:
        repository = self.paths.repository
        yield repository / "Pulumi.yaml"
        yield repository / f"Pulumi.{self.stack}.yaml"
        yield StateBackend(self.paths.pulumi_state, "lakehouse").checkpoint(self.stack)
        for folder in READ_BY_UP:
            for place, folders, names in os.walk(repository / folder):
                folders[:] = sorted(set(folders) - _MADE)
                yield from (Path(place, name) for name in sorted(names))
