"""Dynamic value references: `{{job.parameters.x}}`, `{{tasks.T.values.k}}` and their like in parameters of tasks.

An unknown namespace or malformed braces stay as they are, as on Databricks; an unknown key of a known namespace is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

_REFERENCE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
_PIECES = re.compile(r"`([^`]+)`|([^.`\s]+)")
_NAMESPACES = ("job", "task", "tasks", "workspace", "input")
_LEGACY = ("job_id", "run_id", "parent_run_id", "task_key", "start_date", "start_time", "task_retry_count")
_TIMES: Mapping[str, Callable[[datetime, int], str]] = {
    "iso_date": lambda at, _: at.strftime("%Y-%m-%d"),
    "iso_datetime": lambda at, _: at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    "iso_weekday": lambda at, _: str(at.isoweekday()),
    "is_weekday": lambda at, _: "true" if at.isoweekday() <= 5 else "false",
    "year": lambda at, _: str(at.year),
    "month": lambda at, _: str(at.month),
    "day": lambda at, _: str(at.day),
    "hour": lambda at, _: str(at.hour),
    "minute": lambda at, _: str(at.minute),
    "second": lambda at, _: str(at.second),
    "timestamp_ms": lambda _, milliseconds: str(milliseconds),
}
_TASK_KEYS = ("name", "run_id", "execution_count", "notebook_path")
_OTHER_TASK_KEYS = ("run_id", "result_state", "error_code", "execution_count", "values")


class BadReference(Exception):
    """The message quotes the reference and says what is unknown in it."""


@dataclass(frozen=True, kw_only=True)
class TaskFacts:
    """What other tasks may ask of one."""

    run_id: int
    result_state: str = ""
    error_code: str = ""
    execution_count: int = 1
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What references of one task attempt resolve to. `start_ms` of the run; `input` only inside a for-each task."""

    job_id: int
    job_name: str
    run_id: int
    start_ms: int
    parameters: Mapping[str, str]
    workspace_id: int
    workspace_url: str
    task_key: str = ""
    task_run_id: int = 0
    execution_count: int = 1
    repair_count: int = 0
    trigger_type: str = "one_time"
    tasks: Mapping[str, TaskFacts] = field(default_factory=dict)
    input: Any = None


def pieces_of(inner: str) -> list[str] | None:
    """The dotted parts of a reference, backticks taken off; None when it is not of that form."""
    found, position = [], 0
    while True:
        match = _PIECES.match(inner, position)
        if match is None:
            return None
        found.append(match.group(1) or match.group(2))
        position = match.end()
        if position == len(inner):
            return found
        if inner[position] != ".":
            return None
        position += 1


def check(text: str, *, parameters: Mapping[str, Any], tasks: set[str], in_for_each: bool = False) -> None:
    """What can be known before a run: keys, parameter and task names. Raises BadReference."""
    for match in _REFERENCE.finditer(text):
        pieces = pieces_of(match.group(1))
        if pieces is None or pieces[0] not in _NAMESPACES:
            continue
        if not _known(pieces, parameters, tasks, in_for_each):
            raise BadReference(f"The dynamic value reference {match.group(0)} is invalid: {_why(pieces, parameters, tasks, in_for_each)}")


def _known(pieces: list[str], parameters: Mapping[str, Any], tasks: set[str], in_for_each: bool) -> bool:
    match pieces:
        case ["job", "parameters", name]:
            return name in parameters
        case ["job", "id" | "name" | "run_id" | "repair_count"]:
            return True
        case ["job", "trigger", "type"]:
            return True
        case ["job", "start_time", argument] | ["job", "trigger", "time", argument]:
            return argument in _TIMES
        case ["task", key]:
            return key in _TASK_KEYS
        case ["tasks", task, "values", _]:
            return task in tasks
        case ["tasks", task, key]:
            return task in tasks and key in _OTHER_TASK_KEYS and key != "values"
        case ["workspace", key]:
            return key in ("id", "url")
        case ["input", *_]:
            return in_for_each
    return False


def _why(pieces: list[str], parameters: Mapping[str, Any], tasks: set[str], in_for_each: bool) -> str:
    match pieces:
        case ["job", "parameters", name]:
            return f"the job has no parameter '{name}'."
        case ["tasks", task, *_] if task not in tasks:
            return f"the job has no task '{task}'."
        case ["input", *_]:
            return "there is an input only in the task of a for_each_task."
    return f"'{'.'.join(pieces[1:])}' is unknown in the namespace '{pieces[0]}'."


def resolve(text: str, facts: Facts) -> str:
    """The text with its references replaced. Raises BadReference."""

    def replacement(match: re.Match[str]) -> str:
        inner = match.group(1)
        pieces = pieces_of(inner)
        if pieces is None:
            return match.group(0)
        if len(pieces) == 1 and inner in _LEGACY:
            return _legacy(inner, facts)
        if pieces[0] not in _NAMESPACES:
            return match.group(0)
        try:
            return _text(_value(pieces, facts))
        except LookupError:
            why = _why(pieces, facts.parameters, set(facts.tasks), facts.input is not None)
            if pieces[0] == "tasks" and pieces[1:2] and pieces[1] in facts.tasks and pieces[2:3] == ["values"]:
                why = f"task '{pieces[1]}' has set no value '{'.'.join(pieces[3:])}'."
            raise BadReference(f"The dynamic value reference {match.group(0)} cannot be resolved: {why}") from None

    return _REFERENCE.sub(replacement, text)


def resolve_all(value: Any, facts: Facts) -> Any:
    """Every string in a JSON-like value."""
    if isinstance(value, str):
        return resolve(value, facts)
    if isinstance(value, list):
        return [resolve_all(each, facts) for each in value]
    if isinstance(value, dict):
        return {key: resolve_all(each, facts) for key, each in value.items()}
    return value


def _value(pieces: list[str], facts: Facts) -> Any:
    match pieces:
        case ["job", "parameters", name]:
            return facts.parameters[name]
        case ["job", "id"]:
            return facts.job_id
        case ["job", "name"]:
            return facts.job_name
        case ["job", "run_id"]:
            return facts.run_id
        case ["job", "repair_count"]:
            return facts.repair_count
        case ["job", "trigger", "type"]:
            return facts.trigger_type
        case ["job", "start_time", argument] | ["job", "trigger", "time", argument]:
            return _TIMES[argument](datetime.fromtimestamp(facts.start_ms / 1000, UTC), facts.start_ms)
        case ["task", key]:
            return {"name": facts.task_key, "run_id": facts.task_run_id, "execution_count": facts.execution_count, "notebook_path": ""}[key]
        case ["tasks", task, "values", key]:
            return facts.tasks[task].values[key]
        case ["tasks", task, key]:
            other = facts.tasks[task]
            return {
                "run_id": other.run_id,
                "result_state": other.result_state.lower(),
                "error_code": other.error_code,
                "execution_count": other.execution_count,
            }[key]
        case ["workspace", key]:
            return {"id": facts.workspace_id, "url": facts.workspace_url}[key]
        case ["input", *keys]:
            return _input(facts.input, keys)
    raise LookupError


def _input(value: Any, keys: list[str]) -> Any:
    if value is None:
        raise LookupError
    for key in keys:
        if not isinstance(value, dict):
            raise LookupError
        value = value[key]
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _legacy(name: str, facts: Facts) -> str:
    started = datetime.fromtimestamp(facts.start_ms / 1000, UTC)
    return {
        "job_id": str(facts.job_id),
        "run_id": str(facts.task_run_id),
        "parent_run_id": str(facts.run_id),
        "task_key": facts.task_key,
        "start_date": started.strftime("%Y-%m-%d"),
        "start_time": str(facts.start_ms),
        "task_retry_count": str(facts.execution_count - 1),
    }[name]


def compare(operation: str, left: str, right: str) -> bool:
    """A condition task: EQUAL_TO and NOT_EQUAL compare strings, the orderings numbers. Raises ValueError for a non-number."""
    if operation == "EQUAL_TO":
        return left == right
    if operation == "NOT_EQUAL":
        return left != right
    one, other = float(left), float(right)
    return {
        "GREATER_THAN": one > other,
        "GREATER_THAN_OR_EQUAL": one >= other,
        "LESS_THAN": one < other,
        "LESS_THAN_OR_EQUAL": one <= other,
    }[operation]


OPERATIONS = ("EQUAL_TO", "NOT_EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL", "LESS_THAN", "LESS_THAN_OR_EQUAL")
