"""What is said of a run that has not ended."""

from __future__ import annotations

from databricks.sdk.service.jobs import JobParameter, Run, RunResultState, RunState, RunTask

from local_estate.ask import written
from local_estate.day import progress

ENDED, RUNNING = RunState(result_state=RunResultState.SUCCESS), RunState()


def test_seconds_are_said_beside_those_of_the_last_time() -> None:
    assert progress.line("silver cmdm", Run(), seconds=31.4, last=42.0) == "silver cmdm: 31 s so far, last time 42 s"
    assert progress.line("silver cmdm", Run(), seconds=31.4, last=0) == "silver cmdm: 31 s so far, the first time"


def test_of_several_tasks_those_that_are_done_are_counted() -> None:
    tasks = [RunTask(task_key="a", state=ENDED), RunTask(task_key="b", state=RUNNING), RunTask(task_key="c")]
    assert progress.line("gold", Run(tasks=tasks), seconds=5, last=0).endswith("1 of 3 tasks done")


def test_a_run_with_the_same_parameters_is_the_one_to_compare_with() -> None:
    run = Run(
        job_parameters=[
            JobParameter(name="system", default="", value="cmdm"),
            JobParameter(name="day", default="{{job.start_time.iso_date}}", value="2026-01-01"),
        ]
    )
    assert progress._had(run, {"system": "cmdm"})  # type: ignore[arg-type]
    assert not progress._had(run, {"system": "pega"})  # type: ignore[arg-type]
    assert not progress._had(run, {})  # type: ignore[arg-type]


def test_parameters_are_written_as_they_are_given_and_cut_where_they_are_long() -> None:
    assert written({"system": "cmdm", "day": "2"}) == "system=cmdm day=2"
    assert written({"corrections": "x" * 100}, longest=20) == "corrections=xxxxxxx…"
    assert written({}) == ""
