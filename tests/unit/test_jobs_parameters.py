"""Which parameters reach a task."""

from __future__ import annotations

from typing import Any

import pytest

from local_estate.api.kernel.errors import ApiError
from local_estate.api.services.jobs import parameters
from local_estate.api.services.jobs.graph import Dependency
from local_estate.api.services.jobs.references import Facts
from local_estate.api.services.jobs.repair import selected

FACTS = Facts(job_id=1, job_name="j", run_id=2, start_ms=0, parameters={"day": "1"}, workspace_id=3, workspace_url="u")


def argv(details: dict[str, Any], overriding: dict[str, Any] | None = None) -> tuple[str, ...]:
    task = parameters.resolved_task({"task_key": "t", "python_wheel_task": details}, overriding or {}, FACTS)
    return parameters.arguments(task["python_wheel_task"])


def test_positional_parameters_stay_as_they_are() -> None:
    assert argv({"parameters": ["a", "{{job.parameters.day}}"]}) == ("a", "1")


def test_named_parameters_become_flags_and_take_the_jobs_parameters() -> None:
    assert argv({"named_parameters": {"x": "{{job.id}}", "day": "9"}}) == ("--x=1", "--day=1")


def test_a_run_may_override_python_params() -> None:
    assert argv({"parameters": ["a"]}, {"python_params": ["b"]}) == ("b",)
    assert argv({"parameters": ["a"]}, {"python_named_params": {"k": "v"}}) == ("--k=v", "--day=1")


def test_job_parameters_are_defaults_with_overrides() -> None:
    settings = {"parameters": [{"name": "a", "default": "1"}, {"name": "b", "default": "2"}]}
    assert parameters.job_parameters(settings, {"b": 3}) == {"a": "1", "b": "3"}
    with pytest.raises(ApiError, match="Job parameters c are not declared by the job; it declares a, b"):
        parameters.job_parameters(settings, {"c": "x"})


def test_inputs_must_be_a_json_array() -> None:
    task = {"for_each_task": {"inputs": "[1, {{job.parameters.day}}]"}}
    assert parameters.inputs(task, FACTS) == [1, 1]
    with pytest.raises(ValueError, match="no JSON array"):
        parameters.inputs({"for_each_task": {"inputs": "{}"}}, FACTS)


GRAPH = {"a": [], "b": [Dependency(task_key="a")], "c": [Dependency(task_key="b")]}


def test_a_repair_takes_failed_tasks_or_named_ones() -> None:
    results = {"a": "SUCCESS", "b": "FAILED", "c": "UPSTREAM_FAILED"}
    assert selected({"rerun_all_failed_tasks": True}, GRAPH, results) == {"b", "c"}
    assert selected({"rerun_tasks": ["b"]}, GRAPH, results) == {"b"}
    assert selected({"rerun_tasks": ["a"], "rerun_dependent_tasks": True}, GRAPH, results) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "exactly one of rerun_tasks and rerun_all_failed_tasks"),
        ({"rerun_tasks": ["a"], "rerun_all_failed_tasks": True}, "exactly one of"),
        ({"rerun_tasks": ["z"]}, "Tasks z of rerun_tasks do not exist"),
        ({"rerun_all_failed_tasks": True}, "no failed tasks to repair"),
    ],
)
def test_a_repair_that_makes_no_sense_is_refused(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=message):
        selected(request_, GRAPH, dict.fromkeys(GRAPH, "SUCCESS"))
