"""Which parameters a task gets: its own, overridden by the run, with job parameters pushed down and references resolved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from local_estate.api.services.jobs import references
from local_estate.api.services.jobs.references import Facts
from local_estate.api.services.jobs.settings import invalid, type_of

LEGACY = (
    "python_params",
    "python_named_params",
    "notebook_params",
    "jar_params",
    "spark_submit_params",
    "sql_params",
    "dbt_commands",
    "pipeline_params",
)
_MAX_INPUTS = 5000


def job_parameters(settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """Defaults with the run's overrides. Raises ApiError for a name the job does not declare."""
    declared = {str(each["name"]): str(each.get("default", "")) for each in settings.get("parameters", [])}
    unknown = sorted(set(given) - set(declared))
    if unknown:
        known = ", ".join(sorted(declared)) or "none"
        raise invalid(f"Job parameters {', '.join(unknown)} are not declared by the job; it declares {known}.")
    return {**declared, **{name: str(value) for name, value in given.items()}}


def resolved_task(task: Mapping[str, Any], overriding: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """The task as it executes. Raises references.BadReference."""
    kind = type_of(task)
    details = dict(task[kind])
    if kind == "python_wheel_task":
        if overriding.get("python_params") is not None:
            details.pop("named_parameters", None)
            details["parameters"] = list(overriding["python_params"])
        elif details.get("named_parameters") is not None or overriding.get("python_named_params"):
            # Only key-value parameters take the job's; a list of positional ones stays as it is.
            details.pop("parameters", None)
            own = {**(details.get("named_parameters") or {}), **(overriding.get("python_named_params") or {})}
            details["named_parameters"] = {**own, **facts.parameters}
    elif kind == "spark_python_task" and overriding.get("python_params") is not None:
        details["parameters"] = list(overriding["python_params"])
    elif kind == "sql_task":
        details["parameters"] = {**(details.get("parameters") or {}), **(overriding.get("sql_params") or {}), **facts.parameters}
    for name in ("parameters", "named_parameters", "left", "right", "job_parameters"):
        if details.get(name) is not None:
            details[name] = references.resolve_all(details[name], facts)
    return {**task, kind: details}


def arguments(details: Mapping[str, Any]) -> tuple[str, ...]:
    """argv after argv[0]; named parameters become `--name=value`."""
    named = details.get("named_parameters")
    if named is not None:
        return tuple(f"--{name}={value}" for name, value in named.items())
    return tuple(str(each) for each in details.get("parameters") or ())


def inputs(task: Mapping[str, Any], facts: Facts) -> list[Any]:
    """The elements a for-each task iterates over. Raises ValueError, references.BadReference."""
    text = references.resolve(str(task["for_each_task"]["inputs"]), facts)
    try:
        found = json.loads(text)
    except ValueError:
        raise ValueError(f"The inputs of the for each task are no JSON array: {text[:200]}") from None
    if not isinstance(found, list):
        raise ValueError(f"The inputs of the for each task are no JSON array: {text[:200]}")
    if len(found) > _MAX_INPUTS:
        raise ValueError(f"The for each task has {len(found)} inputs; at most {_MAX_INPUTS} are allowed.")
    return found
