"""Descriptions of resource types, cached per SDK version under the tools directory."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from local_estate.engine.file_lock import exclusive
from local_estate.paths import REPOSITORY, Paths

Node = Mapping[str, Any]

# Part of the directory's name: raise it when what `introspection.py` writes changes.
FORMAT = 2


class UnknownType(LookupError):
    """The SDK has no such resource type."""


@dataclass(frozen=True, kw_only=True)
class TypeSchema:
    """One resource type. `inputs` maps a wire name to its node: `{"type": …}` with `items`, `values` or `ref` into `definitions`.

    `outputs` does the same for what the service answers; its refs point into `shapes`, whose nodes are the parts themselves.
    """

    token: str
    inputs: Mapping[str, Node]
    required: tuple[str, ...]
    outputs: Mapping[str, Node]
    secret_inputs: frozenset[str]
    secret_outputs: frozenset[str]
    replace_on_changes: frozenset[str]
    definitions: Mapping[str, Mapping[str, Any]]
    shapes: Mapping[str, Mapping[str, Node]]

    def properties_of(self, node: Node) -> Mapping[str, Node]:
        """The properties of an object node."""
        found: Mapping[str, Node] = self.definitions[node["ref"]]["properties"]
        return found

    def required_of(self, node: Node) -> Iterable[str]:
        required: Iterable[str] = self.definitions[node["ref"]]["required"]
        return required


def _schema(content: Mapping[str, Any]) -> TypeSchema:
    return TypeSchema(
        token=content["token"],
        inputs=content["inputs"],
        required=tuple(content["required"]),
        outputs=content["outputs"],
        secret_inputs=frozenset(content["secretInputs"]),
        secret_outputs=frozenset(content["secretOutputs"]),
        replace_on_changes=frozenset(content["replaceOnChanges"]),
        definitions=content["defs"],
        shapes=content["outputDefs"],
    )


class Schemas:
    """`package` is the SDK's Python package; `wanted` names the tokens to describe, all of them if empty."""

    def __init__(self, package: str, version: str, wanted: Iterable[str] = (), paths: Paths | None = None) -> None:
        self._package = package
        self._wanted = sorted(wanted)
        tools = (paths or Paths.from_environment()).tools
        self.directory = tools / "provider-schemas" / f"{package}-{version}-{FORMAT}"
        self._known: dict[str, TypeSchema] = {}
        self._lock = threading.Lock()

    def get(self, token: str) -> TypeSchema:
        """Raises UnknownType."""
        with self._lock:
            if token not in self._known:
                self._known[token] = _schema(self._read(file_name(token), token))
            return self._known[token]

    def enum(self, name: str) -> list[str]:
        values: list[str] = self._read("enums.json", name)[name]
        return values

    def _read(self, name: str, what: str) -> dict[str, Any]:
        file = self.directory / name
        if not file.is_file():
            self.build()
        try:
            content: dict[str, Any] = json.loads(file.read_text())
        except FileNotFoundError:
            raise UnknownType(f"{what} is no resource type of {self._package}, or the local estate does not support it") from None
        return content

    def build(self) -> None:
        """Runs the introspection once for this SDK version; seconds, and only when something is missing."""
        marker = self.directory / ".complete"
        key = "\n".join(self._wanted)
        if marker.is_file() and marker.read_text() == key:
            return
        with exclusive(self.directory.with_name(self.directory.name + ".lock")):
            if marker.is_file() and marker.read_text() == key:
                return
            result = subprocess.run(
                [sys.executable, "-m", "local_estate.providers.introspection", self._package, str(self.directory), *self._wanted],
                cwd=REPOSITORY,
                capture_output=True,
                text=True,
                check=False,
            )
            if result.returncode:
                raise RuntimeError(f"the types of {self._package} could not be read from its Python SDK: {result.stderr[-2000:]}")
            marker.write_text(key)


def file_name(token: str) -> str:
    from local_estate.providers.introspection import file_name as name

    return name(token)
