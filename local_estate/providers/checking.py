"""Inputs against the SDK's types: what is missing, unknown or of a wrong type, named by its path."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local_estate.providers.schemas import Node, TypeSchema
from local_estate.providers.wire import UNKNOWN, Secret, is_asset

_PYTHON: dict[str, tuple[type, ...]] = {"string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,)}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A user's mistake; `property` is a path such as `tasks[0].taskKey`."""

    property: str
    reason: str


class Checker:
    """`lenient` converts between strings, numbers and booleans where nothing is lost, as bridged Terraform providers do."""

    def __init__(self, schema: TypeSchema, *, lenient: bool) -> None:
        self._schema = schema
        self._lenient = lenient
        self.failures: list[Failure] = []

    def inputs(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values with their types set right; `failures` says what is wrong."""
        return self._object("", values, self._schema.inputs, self._schema.required)

    def _fail(self, path: str, reason: str) -> None:
        self.failures.append(Failure(property=path, reason=reason))

    def _object(self, path: str, values: Mapping[str, Any], properties: Mapping[str, Node], required: Any) -> dict[str, Any]:
        checked: dict[str, Any] = {}
        for name, value in values.items():
            if name.startswith("__") or value is None:
                continue  # the bridge's own bookkeeping; null counts as absent
            place = f"{path}.{name}" if path else name
            if name not in properties:
                near = difflib.get_close_matches(name, properties, 1)
                self._fail(place, f"Unknown property '{name}'" + (f"; did you mean '{near[0]}'?" if near else ""))
                continue
            checked[name] = self._value(place, value, properties[name])
        for name in required:
            if values.get(name) is None:
                self._fail(f"{path}.{name}" if path else name, f"Missing required property '{name}'")
        return checked

    def _value(self, path: str, value: Any, node: Node) -> Any:
        if isinstance(value, Secret):
            return Secret(self._value(path, value.value, node))
        if value is UNKNOWN or value is None or node["type"] == "any":
            return value
        kind = node["type"]
        if kind == "object" and isinstance(value, dict):
            return self._object(path, value, self._schema.properties_of(node), self._schema.required_of(node))
        if kind == "map" and isinstance(value, dict):
            return {name: self._value(f"{path}[{name!r}]", each, node["values"]) for name, each in value.items()}
        if kind == "array" and isinstance(value, list):
            return [self._value(f"{path}[{index}]", each, node["items"]) for index, each in enumerate(value)]
        if kind == "asset" and is_asset(value):
            return value
        if kind in _PYTHON:
            return self._primitive(path, value, kind)
        self._fail(path, f"Expected {_article(kind)}, got {_kind_of(value)}")
        return value

    def _primitive(self, path: str, value: Any, kind: str) -> Any:
        if isinstance(value, _PYTHON[kind]) and (kind == "boolean" or not isinstance(value, bool)):
            return value
        if self._lenient and (converted := _converted(value, kind)) is not None:
            return converted
        self._fail(path, f"Expected {_article(kind)}, got {_kind_of(value)}")
        return value


def _converted(value: Any, kind: str) -> Any:
    if kind == "string" and isinstance(value, bool):
        return str(value).lower()
    if kind == "string" and isinstance(value, (int, float)):
        return str(value)
    if not isinstance(value, str):
        return None
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    if kind in ("integer", "number"):
        try:
            return int(value) if kind == "integer" else float(value)
        except ValueError:
            return None
    return None


def _article(kind: str) -> str:
    return ("an " if kind[0] in "aio" else "a ") + kind


def _kind_of(value: Any) -> str:
    for kind, types in (("boolean", (bool,)), ("number", (int, float)), ("string", (str,)), ("array", (list,)), ("object", (dict,))):
        if isinstance(value, types):
            return kind
    return type(value).__name__
