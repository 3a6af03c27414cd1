"""The Spark JVM killed under a run and a statement: both end with a line that says so, and what is asked next works."""

from __future__ import annotations

import io

import psutil
from databricks.sdk.service.sql import StatementState
from databricks.sdk.service.workspace import ImportFormat

from local_estate.spark.task import JVM_ENDED
from tests.api.jobs_world import Jobs
from tests.api.workspace_world import World, make_world

SLOW = "SELECT sum(a.id * b.id) FROM range(1000000) a CROSS JOIN range(1000000) b"
STATEMENT_LOST = "the Spark JVM ended while the statement ran; run it again"
SOURCE = f"""
import sys
print(spark.range(3).count(), flush=True)
if "slow" in sys.argv:
    spark.sql("{SLOW}").collect()
"""
PATH = "/Workspace/Shared/any.py"


def test_a_killed_jvm_ends_what_used_it_with_a_line_and_what_comes_next_works() -> None:
    with make_world() as world:
        jobs = Jobs(client=world.admin)
        jobs.client.workspace.upload(PATH, io.BytesIO(SOURCE.encode()), format=ImportFormat.RAW)
        warehouse = jobs.client.warehouses.create(name="main", cluster_size="2X-Small", max_num_clusters=1).result().id or ""
        run_id = _start(jobs, "slow")
        jobs.poll(lambda: any("3" in each.read_text() for each in (world.home / "runs").rglob("stdout")), seconds=120)
        statement = jobs.client.statement_execution.execute_statement(SLOW, warehouse, wait_timeout="0s").statement_id or ""
        jobs.poll(lambda: _state(jobs, statement) is StatementState.RUNNING)
        first = _jvm(world)
        first.kill()
        run = jobs.wait(run_id)
        assert jobs.results(run) == {"main": "FAILED"}
        assert jobs.output(run).error == JVM_ENDED
        jobs.poll(lambda: _state(jobs, statement) is StatementState.FAILED)
        status = jobs.client.statement_execution.get_statement(statement).status
        assert status and status.error and status.error.message == f"[TEMPORARILY_UNAVAILABLE] {STATEMENT_LOST}"
        again = jobs.wait(_start(jobs, "quick"), seconds=120)
        assert jobs.output(again).logs == "3\n", jobs.output(again).error_trace
        found = jobs.client.statement_execution.execute_statement("SELECT 1", warehouse, wait_timeout="50s")
        assert found.result and found.result.data_array == [["1"]]
        assert _jvm(world).pid != first.pid


def _start(jobs: Jobs, pace: str) -> int:
    task = {"task_key": "main", "spark_python_task": {"python_file": PATH, "parameters": [pace]}, "environment_key": "e"}
    return jobs.start(jobs.create(task, environments=[{"environment_key": "e", "spec": {"environment_version": "4"}}]))


def _state(jobs: Jobs, statement: str) -> StatementState | None:
    status = jobs.client.statement_execution.get_statement(statement).status
    return status.state if status else None


def _jvm(world: World) -> psutil.Process:
    service = psutil.Process(int(world.estate.endpoints["pid"]))
    (jvm,) = [each for each in service.children() if "mt.estate.ControlServer" in each.cmdline()]
    return jvm
