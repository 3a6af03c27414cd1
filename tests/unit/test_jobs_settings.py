"""What job settings are accepted, and what GET adds to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from local_estate.api.kernel.errors import ApiError
from local_estate.api.services.jobs import quartz
from local_estate.api.services.jobs.settings import merged, normalised

CLUSTER = {"spark_version": "17.3.x-scala2.13", "node_type_id": "Standard_D4ds_v5", "num_workers": 2, "policy_id": "A1"}


def wheel(key: str = "a", **fields: Any) -> dict[str, Any]:
    return {"task_key": key, "python_wheel_task": {"package_name": "p", "entry_point": "e"}, "job_cluster_key": "main", **fields}


def job(*tasks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": "j", "tasks": list(tasks), "job_clusters": [{"job_cluster_key": "main", "new_cluster": CLUSTER}], **fields}


def refused(settings: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        normalised(settings)
    return caught.value


def test_defaults_are_filled_in() -> None:
    found = normalised(job(wheel()))
    assert {name: found[name] for name in ("format", "timeout_seconds", "max_concurrent_runs", "email_notifications")} == {
        "format": "MULTI_TASK",
        "timeout_seconds": 0,
        "max_concurrent_runs": 1,
        "email_notifications": {},
    }
    assert (found["tasks"][0]["run_if"], found["tasks"][0]["timeout_seconds"]) == ("ALL_SUCCESS", 0)
    assert found["job_clusters"][0]["new_cluster"]["data_security_mode"] == "SINGLE_USER"


def test_what_was_sent_is_kept() -> None:
    sent = job(wheel(max_retries=2, description="d"), tags={"SYSTEM": "cmdm"}, queue={"enabled": True}, description="x")
    found = normalised(sent)
    assert {name: found[name] for name in ("name", "tags", "queue", "description")} == {
        "name": "j",
        "tags": {"SYSTEM": "cmdm"},
        "queue": {"enabled": True},
        "description": "x",
    }
    assert found["tasks"][0].items() >= sent["tasks"][0].items()


def test_normalising_twice_changes_nothing() -> None:
    once = normalised(job(wheel(), wheel("b", depends_on=[{"task_key": "a"}])))
    assert normalised(once) == once


def test_a_name_is_text() -> None:
    assert normalised({**job(wheel()), "name": 4711})["name"] == "4711"
    error = refused({**job(wheel()), "name": ["j"]})
    assert (error.code, error.message) == (
        "MALFORMED_REQUEST",
        "Could not parse request object: Expected Scalar value for String field 'name'",
    )


def test_depends_on_is_sorted() -> None:
    found = normalised(job(wheel("c", depends_on=[{"task_key": "b"}, {"task_key": "a"}]), wheel("a"), wheel("b")))
    assert found["tasks"][0]["depends_on"] == [{"task_key": "a"}, {"task_key": "b"}]


@pytest.mark.parametrize("kind", ["notebook_task", "dbt_task", "spark_jar_task", "spark_submit_task", "power_bi_task"])
def test_a_task_type_that_is_not_executed_is_refused_by_name(kind: str) -> None:
    error = refused(job({"task_key": "a", kind: {}, "job_cluster_key": "main"}))
    assert (error.code, error.status) == ("NOT_IMPLEMENTED", 501)
    assert f"{kind} (task 'a')" in error.message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (job({"task_key": "a"}), "Task 'a' must have exactly one task type; it has none"),
        (job(wheel(spark_python_task={"python_file": "/x"})), "exactly one task type"),
        (job(wheel("a b")), "task_key 'a b' must be"),
        (job(wheel(), wheel()), "Duplicate task_key: a"),
        (job(wheel(depends_on=[{"task_key": "z"}])), "depends on 'z', which does not exist"),
        (job(wheel(depends_on=[{"task_key": "b"}]), wheel("b", depends_on=[{"task_key": "a"}])), "cycle"),
        (job(wheel(run_if="SOMETIMES")), "run_if of task 'a' must be one of ALL_SUCCESS"),
        (job(wheel(job_cluster_key="other")), "job_cluster_key 'other', which is not defined in job_clusters"),
        (job(wheel(job_cluster_key=None)), "exactly one of new_cluster, job_cluster_key, existing_cluster_id, environment_key"),
        (job(wheel(environment_key="e")), "exactly one of new_cluster"),
        (job(wheel(python_wheel_task={"package_name": "p"})), "Missing required field: python_wheel_task.entry_point"),
        (job(wheel(), max_concurrent_runs=1001), "max_concurrent_runs must be between 0 and 1000"),
        (job(wheel(), timeout_seconds="soon"), "timeout_seconds must be an integer"),
        (job(wheel(), git_source={"git_url": "u"}), "git_source.git_provider is required. It must be one of gitHub,"),
        (job(wheel(), schedule={"quartz_cron_expression": "often", "timezone_id": "UTC"}), "Invalid quartz_cron_expression: 'often'"),
        (job(wheel(), schedule={"quartz_cron_expression": "0 0 4 * * ?"}), "Missing required field: schedule.timezone_id"),
        (job(wheel(), format="SINGLE_TASK"), "SINGLE_TASK is not accepted"),
        (
            job(wheel(python_wheel_task={"package_name": "p", "entry_point": "e", "parameters": ["{{job.parameters.x}}"]})),
            "the job has no parameter 'x'",
        ),
        (
            job(wheel(python_wheel_task={"package_name": "p", "entry_point": "e", "parameters": ["x" * 10_001]})),
            "must not exceed 10000 bytes",
        ),
        (job(wheel(depends_on=[{"task_key": "b", "outcome": "true"}]), wheel("b")), "which is no condition task"),
        (job({"task_key": "a", "condition_task": {"op": "LIKE", "left": "", "right": ""}}), "condition_task.op of task 'a' must be one of"),
    ],
)
def test_bad_settings_are_refused_with_a_reason(settings: dict[str, Any], message: str) -> None:
    error = refused(settings)
    assert error.code == "INVALID_PARAMETER_VALUE"
    assert message in error.message


def test_a_schedule_is_kept_paused_or_not_and_a_trigger_only_paused() -> None:
    schedule = {"quartz_cron_expression": "0 30 4 ? * MON-FRI", "timezone_id": "Australia/Sydney", "pause_status": "PAUSED"}
    for status in ("PAUSED", "UNPAUSED"):
        assert normalised(job(wheel(), schedule={**schedule, "pause_status": status}))["schedule"]["pause_status"] == status
    trigger = {"periodic": {"interval": 1, "unit": "HOURS"}}
    assert normalised(job(wheel(), trigger={**trigger, "pause_status": "PAUSED"}))["trigger"]["periodic"] == trigger["periodic"]
    error = refused(job(wheel(), trigger=trigger))
    assert (error.code, "set trigger.pause_status to PAUSED and use run-now" in error.message) == ("NOT_IMPLEMENTED", True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"schedule": {"quartz_cron_expression": "0 0 2 * * ?", "timezone_id": "UTC"}, "continuous": {}},
            "one of schedule, trigger and continuous",
        ),
        ({"schedule": {"quartz_cron_expression": "0 0 2 * * ?", "timezone_id": "Sydney"}}, "Invalid timezone_id: 'Sydney'"),
        ({"continuous": {"pause_status": "OFF"}}, "continuous.pause_status must be PAUSED or UNPAUSED, not 'OFF'"),
        ({"continuous": {}, "max_concurrent_runs": 2}, "one run at a time: max_concurrent_runs must be 1"),
    ],
)
def test_a_job_that_starts_by_itself_is_held_to_its_rules(settings: dict[str, Any], message: str) -> None:
    error = refused(job(wheel(), **settings))
    assert (error.code, message in error.message) == ("INVALID_PARAMETER_VALUE", True), error.message
    retried = refused(job(wheel(max_retries=2), continuous={}))
    assert "Task 'a' of a continuous job cannot have max_retries or depends_on" in retried.message


@pytest.mark.parametrize(
    ("expression", "zone", "due"),
    [
        ("0 0 2 * * ?", "UTC", "2025-06-03T02:00:00Z"),
        ("0 0 2 * * ?", "Australia/Sydney", "2025-06-02T16:00:00Z"),
        ("30 0/15 * ? * *", "UTC", "2025-06-02T10:00:30Z"),
        # 1 is Sunday in Quartz: 8 June.
        ("0 0 2 ? * 1", "UTC", "2025-06-08T02:00:00Z"),
        ("0 0 2 ? * MON-FRI", "UTC", "2025-06-03T02:00:00Z"),
        ("0 0 2 ? * 2-6 *", "UTC", "2025-06-03T02:00:00Z"),
    ],
)
def test_a_schedule_is_due_as_quartz_reads_it(expression: str, zone: str, due: str) -> None:
    monday = datetime(2025, 6, 2, 10, tzinfo=UTC)
    found = quartz.due({"quartz_cron_expression": expression, "timezone_id": zone}, monday.timestamp())
    assert datetime.fromtimestamp(found, UTC) == datetime.fromisoformat(due)


def test_zero_workers_need_the_single_node_settings() -> None:
    bare = {**CLUSTER, "num_workers": 0}
    del bare["policy_id"]
    error = refused({"tasks": [wheel(job_cluster_key=None, new_cluster=bare)]})
    assert "single-node settings" in error.message
    good = {**bare, "spark_conf": {"spark.databricks.cluster.profile": "singleNode"}}
    normalised({"tasks": [wheel(job_cluster_key=None, new_cluster=good)]})


def test_inputs_are_known_inside_a_for_each_task_only() -> None:
    inner = wheel("inner", python_wheel_task={"package_name": "p", "entry_point": "e", "parameters": ["{{input.k}}"]})
    normalised(job({"task_key": "a", "for_each_task": {"inputs": '[{"k": 1}]', "task": inner}}))
    assert "there is an input only" in refused(job(inner)).message


def test_update_merges_tasks_by_key_and_removes_fields() -> None:
    before = normalised(job(wheel("a"), wheel("b"), description="d"))
    found = merged(before, {"tasks": [wheel("b", max_retries=3), wheel("c")], "name": "k"}, ["tasks/a", "description"])
    assert [(task["task_key"], task.get("max_retries")) for task in found["tasks"]] == [("b", 3), ("c", None)]
    assert (found["name"], "description" in found) == ("k", False)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (
            {"spark_python_task": {"python_file": "/x"}, "new_cluster": CLUSTER},
            "the single-task job format (new_cluster, spark_python_task)",
        ),
        (job(wheel(), triggers=[{}]), "triggers of jobs"),
        (job(wheel(compute={"num_gpus": 1})), "compute of tasks (task 'a')"),
        (job(wheel(), git_source={"git_url": "u", "git_provider": "gitHub"}), "jobs with a git_source"),
    ],
)
def test_what_would_be_dropped_is_refused(settings: dict[str, Any], named: str) -> None:
    error = refused(settings)
    assert (error.code, named in error.message) == ("NOT_IMPLEMENTED", True)
