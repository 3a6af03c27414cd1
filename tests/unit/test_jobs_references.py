"""Dynamic value references and conditions."""

from __future__ import annotations

import pytest

from local_estate.api.services.jobs.references import BadReference, Facts, TaskFacts, check, compare, pieces_of, resolve, resolve_all

START = 1_767_225_845_123  # 2026-01-01T00:04:05.123Z, a Thursday
FACTS = Facts(
    job_id=11,
    job_name="daily",
    run_id=22,
    start_ms=START,
    parameters={"system": "cmdm", "odd name": "x"},
    workspace_id=1001,
    workspace_url="https://adb-1001.1.azuredatabricks.net",
    task_key="load",
    task_run_id=33,
    execution_count=2,
    tasks={"first": TaskFacts(run_id=44, result_state="SUCCESS", values={"rows": 7, "names": ["a"], "text": "t"})},
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{job.id}}", "11"),
        ("{{ job.name }}", "daily"),
        ("{{job.run_id}}/{{task.run_id}}", "22/33"),
        ("{{job.repair_count}}", "0"),
        ("{{job.trigger.type}}", "one_time"),
        ("{{job.parameters.system}}", "cmdm"),
        ("{{job.parameters.`odd name`}}", "x"),
        ("{{job.start_time.iso_date}}", "2026-01-01"),
        ("{{job.start_time.iso_datetime}}", "2026-01-01T00:04:05.123000Z"),
        ("{{job.start_time.year}}-{{job.start_time.month}}-{{job.start_time.day}}", "2026-1-1"),
        ("{{job.start_time.hour}}:{{job.start_time.minute}}:{{job.start_time.second}}", "0:4:5"),
        ("{{job.start_time.iso_weekday}} {{job.start_time.is_weekday}}", "4 true"),
        ("{{job.start_time.timestamp_ms}}", str(START)),
        ("{{task.name}} {{task.execution_count}}", "load 2"),
        ("{{tasks.first.run_id}} {{tasks.first.result_state}}", "44 success"),
        ("{{tasks.first.values.rows}}", "7"),
        ("{{tasks.first.values.names}}", '["a"]'),
        ("{{tasks.first.values.text}}", "t"),
        ("{{workspace.id}} {{workspace.url}}", "1001 https://adb-1001.1.azuredatabricks.net"),
        ("{{run_id}} {{parent_run_id}} {{job_id}} {{task_key}} {{task_retry_count}}", "33 22 11 load 1"),
        ("{{start_date}} {{start_time}}", f"2026-01-01 {START}"),
        ("{{something.else}}", "{{something.else}}"),
        ("{{secrets/scope/key}}", "{{secrets/scope/key}}"),
        ("{{job.id}", "{{job.id}"),
        ("{job.id}", "{job.id}"),
        ("plain", "plain"),
    ],
)
def test_references_become_values_and_the_rest_stays(text: str, expected: str) -> None:
    assert resolve(text, FACTS) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{job.parameters.nothing}}", "the job has no parameter 'nothing'"),
        ("{{job.colour}}", "'colour' is unknown in the namespace 'job'"),
        ("{{job.start_time.century}}", "'start_time.century' is unknown in the namespace 'job'"),
        ("{{tasks.second.run_id}}", "the job has no task 'second'"),
        ("{{input.x}}", "there is an input only in the task of a for_each_task"),
        ("{{workspace.name}}", "'name' is unknown in the namespace 'workspace'"),
    ],
)
def test_what_is_unknown_is_named_before_and_during_a_run(text: str, why: str) -> None:
    with pytest.raises(BadReference, match=why):
        check(text, parameters={"system": ""}, tasks={"first"})
    with pytest.raises(BadReference, match=why):
        resolve(text, FACTS)


def test_a_value_that_no_task_has_set_is_named() -> None:
    check("{{tasks.first.values.later}}", parameters={}, tasks={"first"})
    with pytest.raises(BadReference, match="task 'first' has set no value 'later'"):
        resolve("{{tasks.first.values.later}}", FACTS)


def test_an_input_may_be_a_scalar_or_an_object() -> None:
    base = FACTS.__dict__
    assert resolve("{{input}}", Facts(**{**base, "input": 3})) == "3"
    assert resolve("{{input.name}}/{{input.at.x}}", Facts(**{**base, "input": {"name": "n", "at": {"x": 1}}})) == "n/1"
    with pytest.raises(BadReference):
        resolve("{{input.missing}}", Facts(**{**base, "input": {"name": "n"}}))


def test_references_are_found_at_any_depth() -> None:
    assert resolve_all({"a": ["{{job.id}}", {"b": "{{task.name}}"}], "c": 4}, FACTS) == {"a": ["11", {"b": "load"}], "c": 4}


def test_pieces_are_split_at_dots_outside_backticks() -> None:
    assert pieces_of("tasks.`a.b`.values.k") == ["tasks", "a.b", "values", "k"]
    assert pieces_of("a..b") is None
    assert pieces_of("a b") is None


@pytest.mark.parametrize(
    ("operation", "left", "right", "expected"),
    [
        ("EQUAL_TO", "1", "1.0", False),
        ("EQUAL_TO", "a", "a", True),
        ("NOT_EQUAL", "1", "01", True),
        ("GREATER_THAN", "10", "9", True),
        ("GREATER_THAN_OR_EQUAL", "2", "2.0", True),
        ("LESS_THAN", "10", "9", False),
        ("LESS_THAN_OR_EQUAL", "-1", "0", True),
    ],
)
def test_equality_compares_strings_and_orderings_numbers(operation: str, left: str, right: str, expected: bool) -> None:
    assert compare(operation, left, right) is expected


def test_an_ordering_needs_numbers() -> None:
    with pytest.raises(ValueError, match="could not convert"):
        compare("LESS_THAN", "a", "1")
