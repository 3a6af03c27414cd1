"""Order, retries, time limits, queue, cancel, idempotency and repair, as clients of the API see them."""

from __future__ import annotations

import contextlib
import io
import uuid
from pathlib import Path

import httpx
import pytest
from databricks.sdk.errors import BadRequest, DatabricksError, InvalidParameterValue, InvalidState, OperationFailed, ResourceDoesNotExist
from databricks.sdk.service.jobs import RepairHistoryItemType, Run, RunLifeCycleState, RunResultState
from databricks.sdk.service.workspace import ImportFormat

from tests.api.jobs_world import Jobs, after, call, condition, jobs_in
from tests.conftest import RunningEstate


@pytest.fixture(scope="module")
def jobs(shared_estate: RunningEstate) -> Jobs:
    return jobs_in(shared_estate)


def result(run: Run) -> str:
    assert run.state and run.state.result_state
    return run.state.result_state.value


def test_tasks_run_in_order_and_see_values_of_the_ones_before(jobs: Jobs) -> None:
    run = jobs.run(
        call("set_value", key="count"),
        call("hello", "{{tasks.count.values.rows}}", "{{tasks.count.values.names}}", depends_on=after("count")),
        call("hello", key="other", depends_on=after("main")),
    )
    assert result(run) == "SUCCESS"
    assert jobs.output(run).logs == 'hello sample 7 ["a", "b"]\n'
    starts = {task.task_key: task for task in run.tasks or []}
    assert (starts["count"].end_time or 0) <= (starts["main"].start_time or 0) <= (starts["other"].start_time or 0)


def test_conditions_choose_a_branch_and_leaves_decide(jobs: Jobs) -> None:
    run = jobs.run(
        condition("check", "GREATER_THAN", "{{job.parameters.rows}}", "9"),
        condition("many", "EQUAL_TO", "1", "1", depends_on=[{"task_key": "check", "outcome": "true"}]),
        condition("few", "EQUAL_TO", "1", "1", depends_on=[{"task_key": "check", "outcome": "false"}]),
        condition("end", "EQUAL_TO", "1", "1", depends_on=after("many", "few")),
        parameters=[{"name": "rows", "default": "10"}],
    )
    assert (result(run), jobs.results(run)) == ("SUCCESS", {"check": "SUCCESS", "many": "SUCCESS", "few": "EXCLUDED", "end": "SUCCESS"})
    check = next(task for task in run.tasks or [] if task.task_key == "check")
    assert check.condition_task and (check.condition_task.outcome, check.condition_task.left) == ("true", "10")


def test_a_handled_failure_is_success_with_failures(jobs: Jobs) -> None:
    run = jobs.run(call("boom"), condition("clean", "EQUAL_TO", "1", "1", depends_on=after("main"), run_if="AT_LEAST_ONE_FAILED"))
    assert (result(run), run.state and run.state.life_cycle_state) == ("SUCCESS_WITH_FAILURES", RunLifeCycleState.TERMINATED)


def test_parameters_of_the_run_override_defaults_and_reach_named_parameters(jobs: Jobs) -> None:
    task = call("hello")
    task["python_wheel_task"] = {"package_name": "sample", "entry_point": "hello", "named_parameters": {"fixed": "{{job.name}}"}}
    declared = [{"name": "system", "default": "cmdm"}, {"name": "day", "default": "{{job.start_time.iso_date}}"}]
    run = jobs.run(task, parameters=declared, request={"job_parameters": {"system": "pega"}})
    day = {each.name: each.value for each in run.job_parameters or []}["day"]
    assert jobs.output(run).logs == f"hello sample --fixed=test --system=pega --day={day}\n"
    assert len(day or "") == 10
    with pytest.raises(
        InvalidParameterValue, match="Job parameters colour are not declared by the job; it declares system, day|day, system"
    ):
        jobs.start(run.job_id or 0, job_parameters={"colour": "red"})


def test_a_retry_is_a_new_attempt_with_its_own_run_id(jobs: Jobs, tmp_path: Path) -> None:
    job_id = jobs.create(call("wait_for_file", str(tmp_path / "ready"), max_retries=-1, min_retry_interval_millis=200))
    run_id = jobs.start(job_id)
    jobs.until(run_id, RunLifeCycleState.RUNNING)
    jobs.poll(lambda: any(task.attempt_number == 1 for task in jobs.client.jobs.get_run(run_id).tasks or []))
    (tmp_path / "ready").touch()
    run = jobs.wait(run_id)
    assert result(run) == "SUCCESS"
    attempts = sorted(
        (task.attempt_number, task.state.result_state.value) for task in run.tasks or [] if task.state and task.state.result_state
    )
    assert attempts[0] == (0, "FAILED") and attempts[-1] == (len(attempts) - 1, "SUCCESS")
    assert len({task.run_id for task in run.tasks or []}) == len(attempts)


def test_retries_are_used_up(jobs: Jobs) -> None:
    run = jobs.run(call("boom", max_retries=1))
    assert (result(run), [task.attempt_number for task in run.tasks or []]) == ("FAILED", [0, 1])


def test_a_task_over_its_time_limit_is_ended(jobs: Jobs) -> None:
    run = jobs.run(call("block", "/nowhere", timeout_seconds=1))
    assert (result(run), jobs.results(run)) == ("FAILED", {"main": "TIMEDOUT"})
    assert "Task timed out after 1 seconds" in (run.state.state_message or "" if run.state else "")


def test_a_run_over_its_time_limit_is_ended(jobs: Jobs) -> None:
    run = jobs.run(call("block", "/nowhere"), timeout_seconds=1)
    assert (result(run), jobs.results(run)) == ("TIMEDOUT", {"main": "TIMEDOUT"})


def test_cancel_ends_what_runs_and_what_waits(jobs: Jobs) -> None:
    run_id = jobs.start(jobs.create(call("block", "/nowhere"), call("hello", key="next", depends_on=after("main"))))
    jobs.until(run_id, RunLifeCycleState.RUNNING)
    jobs.client.jobs.cancel_run(run_id)
    run = jobs.wait(run_id)
    assert (result(run), jobs.results(run)) == ("CANCELED", {"main": "CANCELED", "next": "CANCELED"})
    assert run.state and run.state.user_cancelled_or_timedout
    jobs.client.jobs.cancel_run(run_id)  # of an ended run: nothing happens
    assert result(jobs.wait(run_id)) == "CANCELED"


def test_over_the_limit_a_run_is_skipped_without_queueing_and_waits_with_it(jobs: Jobs, tmp_path: Path) -> None:
    job_id = jobs.create(call("block", str(tmp_path / "go")))
    first = jobs.start(job_id)
    skipped = jobs.wait(jobs.start(job_id))
    assert skipped.state and skipped.state.life_cycle_state is RunLifeCycleState.SKIPPED
    assert skipped.state.state_message == "Skipping this run because the limit of 1 maximum concurrent runs has been reached."
    queued = [jobs.start(job_id, queue={"enabled": True}) for _ in range(2)]
    waiting = jobs.client.jobs.get_run(queued[0])
    assert waiting.state and waiting.state.life_cycle_state is RunLifeCycleState.QUEUED
    assert waiting.status and waiting.status.queue_details and waiting.status.queue_details.code
    assert waiting.status.queue_details.code.value == "MAX_CONCURRENT_RUNS_REACHED"
    jobs.client.jobs.cancel_run(queued[1])
    assert result(jobs.wait(queued[1])) == "CANCELED"
    (tmp_path / "go").touch()
    assert result(jobs.wait(first)) == "SUCCESS"
    assert result(jobs.wait(queued[0])) == "SUCCESS"


def test_cancel_all_ends_running_and_queued_runs(jobs: Jobs) -> None:
    job_id = jobs.create(call("block", "/nowhere"), queue={"enabled": True})
    started = [jobs.start(job_id) for _ in range(3)]
    jobs.client.jobs.cancel_all_runs(job_id=job_id)
    assert [result(jobs.wait(run_id)) for run_id in started] == ["CANCELED"] * 3


def test_a_queued_run_is_skipped_after_two_days(jobs: Jobs, shared_estate: RunningEstate) -> None:
    job_id = jobs.create(call("block", "/nowhere"), queue={"enabled": True})
    first, second = jobs.start(job_id), jobs.start(job_id)
    httpx.post(f"{shared_estate.arm}/api/estate/1.0/clock", json={"seconds": 48 * 3600 + 1}).raise_for_status()
    assert jobs.wait(second).state.life_cycle_state is RunLifeCycleState.SKIPPED  # type: ignore[union-attr]
    jobs.client.jobs.cancel_run(first)
    jobs.wait(first)


def test_an_idempotency_token_stands_for_one_run(jobs: Jobs) -> None:
    job_id, token = jobs.create(condition("a", "EQUAL_TO", "1", "1")), uuid.uuid4().hex
    run_id = jobs.start(job_id, idempotency_token=token)
    assert jobs.start(job_id, idempotency_token=token) == run_id
    jobs.wait(run_id)
    assert jobs.start(job_id, idempotency_token=token) == run_id
    jobs.client.jobs.delete_run(run_id)
    with pytest.raises(InvalidParameterValue, match=f"The run {run_id} of idempotency_token '{token}' has been deleted"):
        jobs.start(job_id, idempotency_token=token)
    with pytest.raises(InvalidParameterValue, match="at most 64 characters"):
        jobs.start(job_id, idempotency_token="x" * 65)


def test_an_active_run_cannot_be_deleted(jobs: Jobs) -> None:
    run_id = jobs.start(jobs.create(call("block", "/nowhere")))
    with pytest.raises(InvalidState, match="is active; cancel it before deleting it"):
        jobs.client.jobs.delete_run(run_id)
    jobs.client.jobs.cancel_run(run_id)
    jobs.wait(run_id)
    jobs.client.jobs.delete_run(run_id)
    with pytest.raises(ResourceDoesNotExist, match=f"Run {run_id} does not exist"):
        jobs.client.jobs.get_run(run_id)


def test_a_repair_runs_failed_tasks_again_and_keeps_the_history(jobs: Jobs, tmp_path: Path) -> None:
    run = jobs.run(
        call("hello", key="first"),
        call("wait_for_file", str(tmp_path / "ready"), depends_on=after("first")),
        call("hello", key="last", depends_on=after("main")),
    )
    assert jobs.results(run) == {"first": "SUCCESS", "main": "FAILED", "last": "UPSTREAM_FAILED"}
    run_id = run.run_id or 0
    first = jobs.client.jobs.repair_run(run_id, rerun_all_failed_tasks=True).response.repair_id
    with pytest.raises(InvalidState, match="only a run that has ended can be repaired"):
        jobs.client.jobs.repair_run(run_id, rerun_all_failed_tasks=True, latest_repair_id=first)
    assert result(jobs.wait(run_id)) == "FAILED"
    with pytest.raises(InvalidParameterValue, match=f"latest_repair_id must be given. It is {first}"):
        jobs.client.jobs.repair_run(run_id, rerun_all_failed_tasks=True)
    (tmp_path / "ready").touch()
    second = jobs.client.jobs.repair_run(run_id, rerun_all_failed_tasks=True, latest_repair_id=first).response.repair_id
    repaired = jobs.wait(run_id)
    assert (result(repaired), jobs.results(repaired)) == ("SUCCESS", {"first": "SUCCESS", "main": "SUCCESS", "last": "SUCCESS"})
    history = repaired.repair_history or []
    assert [(item.type, item.id) for item in history] == [
        (RepairHistoryItemType.ORIGINAL, None),
        (RepairHistoryItemType.REPAIR, first),
        (RepairHistoryItemType.REPAIR, second),
    ]
    assert [item.state.result_state for item in history if item.state] == [
        RunResultState.FAILED,
        RunResultState.FAILED,
        RunResultState.SUCCESS,
    ]
    assert [len(item.task_run_ids or []) for item in history] == [3, 2, 2]
    assert sorted(task.attempt_number or 0 for task in repaired.tasks or [] if task.task_key == "main") == [0, 1, 2]


def test_a_repair_takes_the_current_settings_and_named_tasks(jobs: Jobs) -> None:
    run = jobs.run(call("boom"), condition("end", "EQUAL_TO", "1", "1", depends_on=after("main")))
    jobs.do("POST", "/api/2.2/jobs/update", {"job_id": run.job_id, "new_settings": {"tasks": [call("hello", "fixed")]}})
    jobs.client.jobs.repair_run(run.run_id or 0, rerun_tasks=["main"], rerun_dependent_tasks=True)
    repaired = jobs.wait(run.run_id or 0)
    assert (result(repaired), jobs.results(repaired)) == ("SUCCESS", {"main": "SUCCESS", "end": "SUCCESS"})
    latest = max((task for task in repaired.tasks or [] if task.task_key == "main"), key=lambda task: task.attempt_number or 0)
    assert jobs.client.jobs.get_run_output(latest.run_id or 0).logs == "hello sample fixed\n"


def test_a_for_each_task_runs_every_input(jobs: Jobs) -> None:
    inner = call("hello", "{{input.system}}", key="one")
    task = {
        "task_key": "each",
        "for_each_task": {"inputs": '[{"system": "cmdm"}, {"system": "pega"}, {"system": "sfdc"}]', "task": inner, "concurrency": 2},
    }
    run = jobs.run(task)
    assert result(run) == "SUCCESS"
    each = (run.tasks or [])[0]
    assert each.for_each_task and each.for_each_task.stats and each.for_each_task.stats.task_run_stats
    stats = each.for_each_task.stats.task_run_stats
    assert (stats.total_iterations, stats.succeeded_iterations, stats.failed_iterations) == (3, 3, 0)
    iterations = jobs.client.jobs.get_run(each.run_id or 0).iterations or []
    logs = [jobs.client.jobs.get_run_output(iteration.run_id or 0).logs for iteration in iterations]
    assert sorted(logs) == ["hello sample cmdm\n", "hello sample pega\n", "hello sample sfdc\n"]  # type: ignore[type-var]


def test_a_run_job_task_ends_with_the_job_it_started(jobs: Jobs) -> None:
    good = jobs.create(condition("a", "EQUAL_TO", "{{job.parameters.x}}", "1"), parameters=[{"name": "x", "default": "0"}])
    bad = jobs.create(call("boom"))
    run = jobs.run(
        {"task_key": "good", "run_job_task": {"job_id": good, "job_parameters": {"x": "1"}}},
        {"task_key": "bad", "run_job_task": {"job_id": bad}},
    )
    assert jobs.results(run) == {"good": "SUCCESS", "bad": "FAILED"}
    child = jobs.output(run, "good").run_job_output.run_id
    shown = jobs.client.jobs.get_run(child)
    assert {each.name: each.value for each in shown.job_parameters or []} == {"x": "1"}
    assert shown.trigger and shown.trigger.value == "RUN_JOB_TASK"


def test_a_file_of_the_workspace_runs_as_a_python_task(jobs: Jobs) -> None:
    source = b"import sys\nprint('file', sys.argv[1:])\n"
    jobs.client.workspace.upload("/Workspace/Shared/job.py", io.BytesIO(source), format=ImportFormat.RAW, overwrite=True)
    task = {
        "task_key": "main",
        "spark_python_task": {"python_file": "/Workspace/Shared/job.py", "parameters": ["{{task.name}}"]},
        "environment_key": "e",
    }
    run = jobs.run(task, environments=[{"environment_key": "e", "spec": {"environment_version": "4"}}])
    assert jobs.output(run).logs == "file ['main']\n"


def test_submit_runs_tasks_once(jobs: Jobs) -> None:
    token = uuid.uuid4().hex
    body = {"run_name": "once", "tasks": [call("hello", "x")], "idempotency_token": token}
    run_id = jobs.do("POST", "/api/2.2/jobs/runs/submit", body)["run_id"]
    assert jobs.do("POST", "/api/2.2/jobs/runs/submit", body)["run_id"] == run_id
    run = jobs.wait(run_id)
    assert (result(run), run.run_name, run.run_type.value if run.run_type else "") == ("SUCCESS", "once", "SUBMIT_RUN")


def test_the_waiter_of_the_sdk_raises_on_a_failed_run(jobs: Jobs) -> None:
    with pytest.raises(
        OperationFailed, match="failed to reach TERMINATED or SKIPPED, got RunLifeCycleState.INTERNAL_ERROR: Task main failed"
    ):
        jobs.client.jobs.run_now(jobs.create(call("leave"))).result()


def test_runs_are_listed_newest_first_and_by_state(jobs: Jobs) -> None:
    job_id = jobs.create(condition("a", "EQUAL_TO", "1", "1"))
    started = [jobs.wait(jobs.start(job_id)).run_id for _ in range(3)]
    assert [run.run_id for run in jobs.client.jobs.list_runs(job_id=job_id, limit=2)] == started[::-1]
    assert list(jobs.client.jobs.list_runs(job_id=job_id, active_only=True)) == []
    assert len(list(jobs.client.jobs.list_runs(job_id=job_id, completed_only=True, expand_tasks=True))) == 3
    with pytest.raises(DatabricksError, match="Only one of active_only and completed_only"):
        list(jobs.client.jobs.list_runs(active_only=True, completed_only=True))


def test_only_notebook_runs_are_exported(jobs: Jobs) -> None:
    run = jobs.run(condition("a", "EQUAL_TO", "1", "1"))
    with pytest.raises(BadRequest, match="Only notebook runs can be exported"):
        jobs.client.jobs.export_run(run.run_id or 0)


def test_a_run_now_whose_reply_was_lost_is_repeated_without_a_second_run(jobs: Jobs, shared_estate: RunningEstate) -> None:
    job_id = jobs.create(condition("a", "EQUAL_TO", "1", "1"))
    shared_estate.fault(method="POST", path="jobs/run-now", effect="drop_reply")
    body = {"job_id": job_id, "idempotency_token": "lost"}
    headers = {"authorization": f"Bearer {jobs.ready.token}"}
    with contextlib.suppress(httpx.TransportError):
        assert httpx.post(f"{jobs.ready.url}/api/2.2/jobs/run-now", json=body, headers=headers).is_error
    run_id = httpx.post(f"{jobs.ready.url}/api/2.2/jobs/run-now", json=body, headers=headers).json()["run_id"]
    jobs.wait(run_id)
    assert [run.run_id for run in jobs.client.jobs.list_runs(job_id=job_id)] == [run_id]
