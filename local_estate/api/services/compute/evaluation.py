"""A cluster policy applied to a cluster spec: fixed values fill in, limits are checked, defaults only on request."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from local_estate.api.services.compute.node_types import dbus_per_hour

Spec = dict[str, Any]
# Keys below these contain dots of their own.
_MAPS = ("spark_conf", "spark_env_vars", "custom_tags")
_LIMITING = ("allowlist", "blocklist", "regex", "range", "unlimited")
TYPES = ("fixed", "forbidden", *_LIMITING)
_MISSING = object()


class PolicyMalformed(Exception):
    """The definition is no policy; Databricks says so when a cluster is launched, not when the policy is stored."""


class PolicyViolation(Exception):
    """The message names the attribute, what the policy wants, and what the cluster has."""


def parse(definition: str) -> dict[str, dict[str, Any]]:
    """Raises PolicyMalformed."""
    try:
        rules = json.loads(definition)
    except ValueError as error:
        raise PolicyMalformed(f"Cluster policy definition is malformed: {error}") from None
    if not isinstance(rules, dict) or not all(isinstance(rule, dict) for rule in rules.values()):
        raise PolicyMalformed("Cluster policy definition is malformed: it must map attribute paths to rules")
    for path, rule in rules.items():
        if rule.get("type") not in TYPES:
            raise PolicyMalformed(
                f"Cluster policy definition is malformed: {path} has type {rule.get('type')!r}, not one of {', '.join(TYPES)}"
            )
        needed = {"fixed": "value", "allowlist": "values", "blocklist": "values", "regex": "pattern"}.get(rule["type"])
        if needed and needed not in rule:
            raise PolicyMalformed(f"Cluster policy definition is malformed: {path} is of type {rule['type']} and lacks {needed!r}")
    return rules


def evaluate(definition: str, spec: Mapping[str, Any], *, apply_defaults: bool, cluster_type: str = "job") -> Spec:
    """The spec as the policy completes it. Raises PolicyMalformed, PolicyViolation."""
    rules = parse(definition)
    completed: Spec = copy.deepcopy(dict(spec))
    for path, rule in rules.items():
        if path not in ("cluster_type", "dbus_per_hour"):
            _complete(completed, path, rule, apply_defaults)
    for path, rule in rules.items():
        if path == "cluster_type":
            _check(path, rule, cluster_type)
        elif path == "dbus_per_hour":
            _check(path, rule, _dbus(completed))
        else:
            for where, value in _values(completed, path):
                _check(where, rule, value)
    return completed


def _segments(path: str) -> list[str]:
    first, dot, rest = path.partition(".")
    if first in _MAPS:
        return [first, rest] if dot else [first]
    return path.split(".")


def _complete(spec: Spec, path: str, rule: Mapping[str, Any], apply_defaults: bool) -> None:
    """Writes the value a policy supplies where the spec has none."""
    if rule["type"] == "fixed":
        supplied = rule["value"]
    elif apply_defaults and "defaultValue" in rule:
        supplied = rule["defaultValue"]
    else:
        return
    if rule.get("isOptional") and rule["type"] == "fixed":
        return  # an optional fixed value limits, it does not fill
    *above, last = _segments(path)
    holder: Any = spec
    for segment in above:
        if segment == "*" or segment.isdigit() or not isinstance(holder, dict):
            return  # elements of arrays are checked, never made
        if segment not in holder and _excludes(spec, segment):
            return
        holder = holder.setdefault(segment, {})
    if last != "*" and isinstance(holder, dict) and not (holder is spec and _excludes(spec, last)):
        holder.setdefault(last, supplied)


def _excludes(spec: Mapping[str, Any], name: str) -> bool:
    """`num_workers` and `autoscale` are alternatives, as are a node type and a pool: a default must not add the other."""
    others = {"num_workers": "autoscale", "autoscale": "num_workers", "node_type_id": "instance_pool_id"}
    return name in others and others[name] in spec


def _values(spec: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield from _walk(spec, _segments(path), "")


def _walk(value: Any, segments: list[str], where: str) -> Iterator[tuple[str, Any]]:
    if not segments:
        yield where, value
        return
    segment, rest = segments[0], segments[1:]
    if segment == "*":
        for index, element in enumerate(value if isinstance(value, list) else []):
            yield from _walk(element, rest, f"{where}.{index}")
        return
    if isinstance(value, list) and segment.isdigit():
        found: Any = value[int(segment)] if int(segment) < len(value) else _MISSING
    else:
        found = value.get(segment, _MISSING) if isinstance(value, dict) else _MISSING
    yield from _walk(found, rest, f"{where}.{segment}".lstrip("."))


def _dbus(spec: Mapping[str, Any]) -> Any:
    """Of the largest the cluster may become; `_MISSING` when a size is unknown."""
    workers = (spec.get("autoscale") or {}).get("max_workers", spec.get("num_workers", 0))
    worker = dbus_per_hour(str(spec.get("node_type_id", "")))
    driver = dbus_per_hour(str(spec.get("driver_node_type_id") or spec.get("node_type_id", "")))
    if worker is None or driver is None:
        return _MISSING
    return driver + worker * int(workers)


def _check(where: str, rule: Mapping[str, Any], value: Any) -> None:
    kind = rule["type"]
    if value is None:
        value = _MISSING
    if kind == "forbidden":
        if value is not _MISSING:
            raise _violation(where, "the value must not be present", value)
        return
    if value is _MISSING:
        if where == "dbus_per_hour":
            raise _violation(where, "the node type must be known", value)
        if kind == "unlimited" or rule.get("isOptional"):
            return
        raise _violation(where, "the value must be present", value)
    _LIMITS[kind](where, rule, value)


def _same(left: Any, right: Any) -> bool:
    """`"2"` and 2, `true` and `"true"` are the same value to a policy."""
    return left == right or _text(left) == _text(right)


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool | dict | list) else str(value)


def _fixed(where: str, rule: Mapping[str, Any], value: Any) -> None:
    if not _same(value, rule["value"]):
        raise _violation(where, f"the value must be {_text(rule['value'])}", value)


def _allowlist(where: str, rule: Mapping[str, Any], value: Any) -> None:
    if not any(_same(value, allowed) for allowed in rule["values"]):
        raise _violation(where, f"the value must be one of {', '.join(map(_text, rule['values']))}", value)


def _blocklist(where: str, rule: Mapping[str, Any], value: Any) -> None:
    if any(_same(value, blocked) for blocked in rule["values"]):
        raise _violation(where, f"the value must not be one of {', '.join(map(_text, rule['values']))}", value)


def _regex(where: str, rule: Mapping[str, Any], value: Any) -> None:
    if re.fullmatch(str(rule["pattern"]), _text(value)) is None:
        raise _violation(where, f"the value must match the regular expression {rule['pattern']}", value)


def _range(where: str, rule: Mapping[str, Any], value: Any) -> None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise _violation(where, "the value must be a number", value) from None
    low, high = rule.get("minValue"), rule.get("maxValue")
    if low is not None and number < float(low):
        raise _violation(where, f"the value must be at least {low}", value)
    if high is not None and number > float(high):
        raise _violation(where, f"the value must be at most {high}", value)


_LIMITS = {
    "fixed": _fixed,
    "allowlist": _allowlist,
    "blocklist": _blocklist,
    "regex": _regex,
    "range": _range,
    "unlimited": lambda *_: None,
}


def _violation(where: str, wanted: str, value: Any) -> PolicyViolation:
    shown = "" if value is _MISSING else f' (is "{_text(value)}")'
    return PolicyViolation(f"Validation failed for {where}, {wanted}{shown}")
