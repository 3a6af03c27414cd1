"""Runs through the real SDK, executed by the real runtime."""

from __future__ import annotations

import pytest
from databricks.sdk.errors import InvalidParameterValue
from databricks.sdk.service.jobs import RunLifeCycleState, RunResultState

from tests.api.jobs_world import Jobs, after, call, condition, jobs_in
from tests.conftest import RunningEstate


@pytest.fixture(scope="module")
def jobs(shared_estate: RunningEstate) -> Jobs:
    return jobs_in(shared_estate)


def test_a_wheel_task_succeeds_and_its_output_is_read(jobs: Jobs) -> None:
    run = jobs.run(call("hello", "a", "b c"))
    assert run.state and run.state.result_state is RunResultState.SUCCESS
    assert run.status and run.status.termination_details and run.status.termination_details.code
    assert run.status.termination_details.code.value == "SUCCESS"
    assert jobs.output(run).logs == "hello sample a b c\n"
    assert run.run_page_url and run.creator_user_name


def test_the_first_poll_is_never_final(jobs: Jobs) -> None:
    job_id = jobs.create(condition("check", "EQUAL_TO", "1", "1"))
    run_id = jobs.start(job_id)
    first = jobs.client.jobs.get_run(run_id)
    assert first.state and first.state.life_cycle_state not in (RunLifeCycleState.TERMINATED, RunLifeCycleState.INTERNAL_ERROR)
    assert jobs.wait(run_id).state.result_state is RunResultState.SUCCESS  # type: ignore[union-attr]


def test_a_failed_task_says_why(jobs: Jobs) -> None:
    run = jobs.run(call("boom"), call("hello", key="next", depends_on=after("main")))
    assert run.state
    assert (run.state.life_cycle_state, run.state.result_state) == (RunLifeCycleState.INTERNAL_ERROR, RunResultState.FAILED)
    assert run.state.state_message == "Task main failed with message: Workload failed, see run output for details."
    assert jobs.results(run) == {"main": "FAILED", "next": "UPSTREAM_FAILED"}
    output = jobs.output(run)
    assert output.error == "ValueError: bad row 42"
    assert output.error_trace.splitlines()[-1] == "ValueError: bad row 42"
    assert "in boom" in output.error_trace
    assert output.logs == "before the end\n"


def test_a_missing_wheel_fails_the_run_at_library_install(jobs: Jobs) -> None:
    run = jobs.run(call("hello", library="/Workspace/Shared/none-1.0-py3-none-any.whl"))
    task = (run.tasks or [])[0]
    assert task.status and task.status.termination_details and task.status.termination_details.code
    assert task.status.termination_details.code.value == "LIBRARY_INSTALLATION_ERROR"
    assert "/Workspace/Shared/none-1.0-py3-none-any.whl" in (jobs.output(run).error or "")


def test_a_run_of_several_tasks_has_no_output_of_its_own(jobs: Jobs) -> None:
    run = jobs.run(condition("a", "EQUAL_TO", "1", "1"), condition("b", "EQUAL_TO", "1", "1"))
    with pytest.raises(InvalidParameterValue, match="runs with multiple tasks is not supported"):
        jobs.client.jobs.get_run_output(run.run_id or 0)
