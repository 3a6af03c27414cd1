"""Reading a planned resource: plain dicts and lists, in which a value the preview cannot know is `Unknown`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Properties = Mapping[str, Any]


@dataclass(frozen=True)
class Unknown:
    """A value that is computed during the update; `path` says where."""

    path: str


class Undecided(Exception):
    """A predicate needs a value that is unknown yet. The policy is then advisory at preview and decided at `up`."""

    def __init__(self, path: str) -> None:
        super().__init__(f"the value at {path} is not known at preview")
        self.path = path


def known(value: Any) -> Any:
    """`value`, or Undecided when it is unknown."""
    if isinstance(value, Unknown):
        raise Undecided(value.path)
    return value


def at(properties: Any, path: str) -> Any:
    """The value at a dotted path; None when a step is missing, Unknown when a step is unknown."""
    value = properties
    for step in path.split("."):
        if isinstance(value, Unknown):
            return value
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def is_set(value: Any) -> bool:
    """An unknown value counts as set: it is another resource's output, such as the id of a network, and `up` looks again."""
    return isinstance(value, Unknown) or (value is not None and str(value).strip() != "")


def items(properties: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Each element of the list at `path`, with its own path. A single object counts as a list of one; an unknown list is Undecided."""
    value = known(at(properties, path))
    if isinstance(value, Mapping):
        yield path, value
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, element in enumerate(value):
            yield f"{path}[{index}]", element
