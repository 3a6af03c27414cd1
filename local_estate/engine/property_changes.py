"""Old and new values of a resource's properties as the engine's events hold them, safe to show and told element by element."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

SECRET = "[secret]"  # noqa: S105
UNKNOWN = "[known after up]"

# Pulumi's signatures of special values (sdk/go/common/resource/sig) and its placeholders for unknown ones (plugin.Unknown…Value).
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105
_ASSETS = ("c44067f5952c0a294b673a41bacd8c17", "0def7320c3a5731c473e5ecbe6d01bc7")
_UNKNOWN = {
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
}
# What tells the elements of a list apart, the first that every element has.
_IDENTITIES = ("principal", "taskKey", "jobClusterKey", "groupName", "userName", "servicePrincipalName", "key", "name", "id")
_PATH = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.\[\]]+)')
_ABSENT = object()

Kind = Literal["add", "update", "delete"]


@dataclass(frozen=True, kw_only=True)
class PropertyChange:
    """`old` or `new` is None where `kind` says that there is none. `replaces`: the resource is made anew for it."""

    path: str
    kind: Kind
    replaces: bool = False
    old: Any = None
    new: Any = None


def shown(value: Any) -> Any:
    """`value` without secrets, placeholders for unknown values and contents of files."""
    if isinstance(value, str):
        return UNKNOWN if value in _UNKNOWN else value
    if isinstance(value, Mapping):
        signature = value.get(_SIGNATURE)
        if signature == _SECRET:
            return SECRET
        if signature in _ASSETS:
            return f"[file {str(value.get('hash', ''))[:12]}]"
        return {name: shown(each) for name, each in value.items()}
    if isinstance(value, Sequence):
        return [shown(each) for each in value]
    return value


def changes_of(metadata: Mapping[str, Any]) -> tuple[PropertyChange, ...]:
    """Of one step: as the provider tells them, or, where it names properties alone or says nothing, by comparing the values."""
    old, new = metadata.get("old") or {}, metadata.get("new") or {}
    before, after = shown(old.get("inputs") or {}), shown(new.get("inputs") or {})
    if metadata["op"] in ("create", "import"):
        return tuple(PropertyChange(path=name, kind="add", new=value) for name, value in sorted(after.items()))
    if not new:
        return ()
    keys = set(metadata.get("keys") or ())
    told: dict[str, list[PropertyChange]] = {}
    for path, detail in sorted((metadata.get("detailedDiff") or {}).items()):
        kept = before if detail.get("inputDiff") else shown(old.get("outputs") or {})
        told.setdefault(_top(path), []).append(_told(path, str(detail["diffKind"]), kept, after))
    found: list[PropertyChange] = []
    for name in sorted({*told, *(metadata.get("diffs") or ()), *keys}):
        changes = told.get(name, [])
        if not changes or any(_says_nothing(change) for change in changes):
            # Values that are equal on both sides name nobody: indices of a list that the provider sorted, or no details at all.
            compared = list(_differences(name, before.get(name, _ABSENT), after.get(name, _ABSENT), replaces=name in keys))
            changes = compared or changes or [_hidden(name, before, after, replaces=name in keys)]
        found += changes
    # A resource that is replaced with one it depends on has no key of its own.
    return tuple(found) or between(before, after)


def between(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[PropertyChange, ...]:
    """Every difference of two sets of values; a changed secret is none, for both show as the same."""
    before, after = shown(old), shown(new)
    return tuple(
        change
        for name in sorted({*before, *after})
        for change in _differences(name, before.get(name, _ABSENT), after.get(name, _ABSENT), replaces=False)
    )


def _told(path: str, kind: str, old: Any, new: Any) -> PropertyChange:
    plain: Kind = "add" if kind.startswith("add") else "delete" if kind.startswith("delete") else "update"
    return PropertyChange(
        path=path,
        kind=plain,
        replaces=kind.endswith("-replace"),
        old=None if plain == "add" else _at(old, path),
        new=None if plain == "delete" else _at(new, path),
    )


def _says_nothing(change: PropertyChange) -> bool:
    """A secret that changes does look the same on both sides."""
    if change.kind == "update":
        return change.old == change.new and not _holds_secret(change.old)
    return (change.new if change.kind == "add" else change.old) is None


def _holds_secret(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_secret(each) for each in value.values())
    if isinstance(value, list):
        return any(_holds_secret(each) for each in value)
    return bool(value == SECRET)


def _hidden(name: str, old: Mapping[str, Any], new: Mapping[str, Any], *, replaces: bool) -> PropertyChange:
    return PropertyChange(path=name, kind="update", replaces=replaces, old=old.get(name), new=new.get(name))


def _differences(path: str, old: Any, new: Any, *, replaces: bool) -> Iterator[PropertyChange]:
    if (old is _ABSENT and new is _ABSENT) or old == new:
        return
    if old is _ABSENT:
        yield PropertyChange(path=path, kind="add", replaces=replaces, new=new)
    elif new is _ABSENT:
        yield PropertyChange(path=path, kind="delete", replaces=replaces, old=old)
    elif isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            yield from _differences(_below(path, name), old.get(name, _ABSENT), new.get(name, _ABSENT), replaces=replaces)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _of_lists(path, old, new, replaces=replaces)
    else:
        yield PropertyChange(path=path, kind="update", replaces=replaces, old=old, new=new)


def _of_lists(path: str, old: list[Any], new: list[Any], *, replaces: bool) -> Iterator[PropertyChange]:
    """Elements that are equal stay whatever their place; objects are told apart by what identifies them."""
    if (identity := _identity([*old, *new])) is not None:
        before, after = ({each[identity]: each for each in elements} for elements in (old, new))
        if len(before) == len(old) and len(after) == len(new):
            for name in sorted({*before, *after}, key=str):
                yield from _differences(f"{path}[{name}]", before.get(name, _ABSENT), after.get(name, _ABSENT), replaces=replaces)
            return
    gone, come = list(old), []
    for element in new:
        if element in gone:
            gone.remove(element)
        else:
            come.append(element)
    if len(gone) == len(come) == 1 and isinstance(gone[0], dict) and isinstance(come[0], dict):
        yield from _differences(f"{path}[{new.index(come[0])}]", gone[0], come[0], replaces=replaces)
        return
    yield from (PropertyChange(path=f"{path}[{old.index(each)}]", kind="delete", replaces=replaces, old=each) for each in gone)
    yield from (PropertyChange(path=f"{path}[{new.index(each)}]", kind="add", replaces=replaces, new=each) for each in come)
    if not gone and not come:
        yield PropertyChange(path=path, kind="update", replaces=replaces, old=old, new=new)  # the order alone


def _identity(elements: list[Any]) -> str | None:
    if not all(isinstance(each, dict) for each in elements):
        return None
    return next((name for name in _IDENTITIES if all(isinstance(each.get(name), str) for each in elements)), None)


def _at(value: Any, path: str) -> Any:
    for quoted, index, name in _PATH.findall(path):
        try:
            value = value[int(index)] if index else value[quoted or name]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _top(path: str) -> str:
    found = _PATH.match(path)
    return (found[1] or found[2] or found[3]) if found else path


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if re.fullmatch(r"[\w-]+", name) else f'{path}["{name}"]'
