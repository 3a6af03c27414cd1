"""Creations whose outcome the engine may never have learned, so that the next `up` finds the object instead of making a second one.

Most Databricks POSTs are not idempotent and names may repeat, so "it has the right name" proves nothing. Before each POST a record is
written under the resource's URN: the name, and the ids of the objects that already bear it. An object is ours, left by an interrupted
creation, only if such a record exists, it bears the recorded name, and its id was not there before. After the POST the record keeps the
new id, because the engine may die before it writes its state. The record ends when the engine shows that it knows the object: it asks
for it by its id (Read, Diff, Update, Delete), or Checks the resource with inputs of an earlier deployment.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from local_estate.paths import Paths


@dataclass(frozen=True, kw_only=True)
class Creation:
    """`before`: ids of objects of that name when the POST was sent; `identifier`: what it made, "" while unknown."""

    urn: str
    name: str
    before: frozenset[str]
    identifier: str = ""


class Creations:
    """One small file per resource in `$ESTATE_HOME/creations`; it holds no property of the resource but its name."""

    def __init__(self, paths: Paths | None = None) -> None:
        self._directory = (paths or Paths.from_environment()).home / "creations"
        self._lock = threading.Lock()

    def begin(self, urn: str, name: str, before: Iterable[str]) -> None:
        self._write(Creation(urn=urn, name=name, before=frozenset(before)))

    def made(self, urn: str, identifier: str) -> None:
        if found := self.of(urn):
            self._write(Creation(urn=urn, name=found.name, before=found.before, identifier=identifier))

    def of(self, urn: str) -> Creation | None:
        try:
            content = json.loads(self._file(urn).read_text())
        except (FileNotFoundError, ValueError):
            return None
        return Creation(urn=urn, name=content["name"], before=frozenset(content["before"]), identifier=content["identifier"])

    def known(self, urn: str, identifier: str | None = None) -> None:
        """The engine knows the object: any finished creation of that URN (of that id, if given) needs no record any more."""
        found = self.of(urn)
        if found and found.identifier and identifier in (None, found.identifier):
            self.end(urn)

    def end(self, urn: str) -> None:
        self._file(urn).unlink(missing_ok=True)

    def _file(self, urn: str) -> Path:
        return self._directory / f"{hashlib.sha256(urn.encode()).hexdigest()[:40]}.json"

    def _write(self, creation: Creation) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = {
            "urn": creation.urn,
            "name": creation.name,
            "before": sorted(creation.before),
            "identifier": creation.identifier,
        }
        file = self._file(creation.urn)
        draft = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
            json.dump(content, handle)
        draft.replace(file)
