"""Old inputs against new ones, after normalising; and the inputs that a live object stands for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

from local_estate.providers.schemas import Node, TypeSchema
from local_estate.providers.wire import UNKNOWN, has_unknown, plain

Kind = Literal["ADD", "DELETE", "UPDATE"]
# A value in the form that is compared: letter case, order and server defaults set aside. Gets the property's path without indices.
Normalise = Callable[[str, Any], Any]


def unchanged(_: str, value: Any) -> Any:
    return value


def normalised(value: Any, normalise: Normalise = unchanged, path: str = "") -> Any:
    """Without secrets and absent values, every part passed through `normalise`."""
    value = plain(value)
    if isinstance(value, dict):
        parts = {name: normalised(each, normalise, f"{path}.{name}" if path else name) for name, each in value.items()}
        return normalise(path, {name: each for name, each in parts.items() if each is not None})
    if isinstance(value, list):
        return normalise(path, [normalised(each, normalise, path) for each in value])
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # the protocol knows no integers, the API tells them apart
    return normalise(path, value)


class Unordered(list[Any]):
    """A list whose order says nothing, in the one order it is compared in. `places` are the elements' indices where they were written."""

    def __init__(self, elements: Iterable[Any], places: Iterable[int]) -> None:
        super().__init__(elements)
        self.places = tuple(places)


def in_no_order(elements: list[Any]) -> Unordered:
    """`elements` as a list whose order says nothing."""
    ordered = sorted(enumerate(elements), key=lambda each: _canonical(each[1]))
    return Unordered((element for _, element in ordered), (place for place, _ in ordered))


def _canonical(element: Any) -> str:
    # Objects come off the wire with their names in any order, so their representation would not do.
    return json.dumps(element, sort_keys=True, default=repr)


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Kind]]:
    """Paths (`tasks[0].taskKey`) at which two normalised values differ. An unknown new value is a change."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            place = _below(path, name)
            if name not in old:
                yield place, "ADD"
            elif name not in new:
                yield place, "DELETE"
            else:
                yield from differences(old[name], new[name], place)
    elif isinstance(old, Unordered) and isinstance(new, Unordered):
        yield from _unordered_differences(old, new, path)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            place = f"{path}[{index}]"
            if index >= len(old):
                yield place, "ADD"
            elif index >= len(new):
                yield place, "DELETE"
            else:
                yield from differences(old[index], new[index], place)
    elif new is UNKNOWN or old != new or isinstance(old, bool) is not isinstance(new, bool):
        yield path, "UPDATE"


def _unordered_differences(old: Unordered, new: Unordered, path: str) -> Iterator[tuple[str, Kind]]:
    """What left and what came, each at the index where it was written: only there does the engine find its value.

    One that left and one that came at the same index are told as a change of that element, part by part.
    """
    came = dict(zip(new.places, new, strict=True))
    left: dict[int, Any] = {}
    for place, element in zip(old.places, old, strict=True):
        same = next((at for at, each in came.items() if not has_unknown(each) and each == element), None)
        if same is None:
            left[place] = element
        else:
            del came[same]
    for place in sorted({*left, *came}):
        if place not in left:
            yield f"{path}[{place}]", "ADD"
        elif place not in came:
            yield f"{path}[{place}]", "DELETE"
        else:
            yield from differences(left[place], came[place], f"{path}[{place}]")


def _below(path: str, name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_$][\w$]*", name):
        return f'{path}["{name}"]'
    return f"{path}.{name}" if path else name


def top_level(path: str) -> str:
    return path.split(".")[0].split("[")[0]


class LiveInputs:
    """Inputs after a refresh: as recorded where the object has not moved since, as the object says where it has."""

    def __init__(self, schema: TypeSchema, normalise: Normalise, computed: frozenset[str] = frozenset()) -> None:
        self._schema = schema
        self._normalise = normalise
        self._computed = computed

    def after(self, recorded: Mapping[str, Any], before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
        """`recorded` are the inputs of the state, `before` its outputs, `now` the object's."""
        merged = self._merge("", plain(dict(recorded)), plain(dict(before)), plain(dict(now)), None)
        return merged if isinstance(merged, dict) else {}

    def _same(self, path: str, one: Any, other: Any) -> bool:
        return bool(normalised(one, self._normalise, path) == normalised(other, self._normalise, path))

    def _merge(self, path: str, recorded: Any, before: Any, now: Any, node: Node | None) -> Any:
        if self._same(path, before, now) or self._same(path, recorded, now):
            return recorded
        if isinstance(recorded, dict) and isinstance(now, dict) and (node is None or node["type"] in ("object", "map")):
            return self._merge_object(path, recorded, before if isinstance(before, dict) else {}, now, node)
        lists = isinstance(recorded, list) and isinstance(now, list) and isinstance(before, list) and node is not None
        if lists and len(recorded) == len(now) == len(before):
            item = node["items"] if node and "items" in node else None
            return [self._merge(path, *each, item) for each in zip(recorded, before, now, strict=True)]
        return self.of(now, node) if node is not None else now

    def _merge_object(
        self, path: str, recorded: Mapping[str, Any], before: Mapping[str, Any], now: Mapping[str, Any], node: Node | None
    ) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for name in {**recorded, **now}:
            place = f"{path}.{name}" if path else name
            child = self._child(node, name)
            if name in recorded:
                if name in now:
                    merged[name] = self._merge(place, recorded[name], before.get(name), now[name], child)
                elif name not in before:
                    merged[name] = recorded[name]  # input only: the service never shows it
            elif place in self._computed:
                continue
            elif child is not None and not self._same(place, before.get(name), now[name]) and not _blank(now[name]):
                merged[name] = self.of(now[name], child)
        return merged

    def _child(self, node: Node | None, name: str) -> Node | None:
        if node is None:
            return self._schema.inputs.get(name)
        if node["type"] == "map":
            values: Node = node["values"]
            return values
        return self._schema.properties_of(node).get(name) if node["type"] == "object" else None

    def of(self, value: Any, node: Node | None = None) -> Any:
        """The part of an output that could have been written as an input; nothing blank."""
        if node is None:
            return {
                name: self.of(each, self._schema.inputs[name])
                for name, each in value.items()
                if name in self._schema.inputs and not _blank(each)
            }
        if node["type"] == "object" and isinstance(value, dict):
            properties = self._schema.properties_of(node)
            return {name: self.of(each, properties[name]) for name, each in value.items() if name in properties and not _blank(each)}
        if node["type"] == "array" and isinstance(value, list):
            return [self.of(each, node["items"]) for each in value]
        return value


def _blank(value: Any) -> bool:
    return value is None or value == "" or value == [] or value == {}
