"""Warehouses and statements through the real SDK, executed by Spark."""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Iterator

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError, InvalidParameterValue, NotFound, PermissionDenied
from databricks.sdk.service.catalog import PermissionsChange, Privilege
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.sql import (
    ExecuteStatementRequestOnWaitTimeout,
    StatementParameterListItem,
    StatementResponse,
    StatementState,
)
from databricks.sdk.service.workspace import ImportFormat

from local_estate import ask
from tests.api.jobs_world import Jobs
from tests.api.workspace_world import World, make_world


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with make_world() as made:
        yield made


@pytest.fixture(scope="module")
def jobs(world: World) -> Jobs:
    return Jobs(client=world.admin)


@pytest.fixture(scope="module")
def warehouse(jobs: Jobs) -> str:
    return jobs.client.warehouses.create(name="main", cluster_size="2X-Small", max_num_clusters=1).result().id or ""


@pytest.fixture(scope="module")
def alice(world: World) -> WorkspaceClient:
    return world.client("alice")


def execute(client: WorkspaceClient, warehouse: str, statement: str, **named: object) -> StatementResponse:
    """Waits for the end: the first statement starts a JVM, which on a busy machine takes longer than a call may wait."""
    found = client.statement_execution.execute_statement(statement, warehouse, wait_timeout="50s", **named)  # type: ignore[arg-type]
    while found.status and found.status.state in (StatementState.PENDING, StatementState.RUNNING):
        time.sleep(0.2)
        found = client.statement_execution.get_statement(found.statement_id or "")
    return found


def test_ctrl_c_cancels_the_statement(jobs: Jobs, warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = jobs.client.statement_execution
    endless = "SELECT count(*) FROM range(10000000000) a JOIN range(10000000000) b ON a.id % 7 = b.id % 11"
    asked = execution.execute_statement(endless, warehouse, wait_timeout="0s")

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ask.time, "sleep", interrupted)
    with pytest.raises(ask.Cancelled, match=f"^statement {asked.statement_id} is cancelled$"):
        ask.ended(jobs.client, asked)
    ended = execution.get_statement(asked.statement_id or "")
    assert ended.status
    assert ended.status.state is StatementState.CANCELED


def test_a_warehouse_starts_stops_and_keeps_its_settings(jobs: Jobs) -> None:
    made = jobs.client.warehouses.create(name="w", cluster_size="Small", auto_stop_mins=30, warehouse_type=None)
    first = jobs.client.warehouses.get(made.response.id or "")
    assert (first.state.value if first.state else "", first.odbc_params.path if first.odbc_params else "") == (
        "STARTING",
        f"/sql/1.0/warehouses/{first.id}",
    )
    assert jobs.client.warehouses.wait_get_warehouse_running(first.id or "").num_clusters == 1
    jobs.client.warehouses.edit(first.id or "", name="w2").result()
    found = jobs.client.warehouses.get(first.id or "")
    assert (found.name, found.cluster_size, found.auto_stop_mins, found.min_num_clusters) == ("w2", "Small", 30, 1)
    assert jobs.client.warehouses.stop(first.id or "").result().state.value == "STOPPED"  # type: ignore[union-attr]
    sources = jobs.do("GET", "/api/2.0/preview/sql/data_sources")
    assert first.id in {source["warehouse_id"] for source in sources}
    jobs.client.warehouses.delete(first.id or "")
    with pytest.raises(NotFound, match=f"SQL warehouse {first.id} does not exist"):
        jobs.client.warehouses.get(first.id or "")


def test_bad_warehouses_are_refused(jobs: Jobs, warehouse: str, alice: WorkspaceClient) -> None:
    for settings, message in (
        ({"cluster_size": "Huge"}, "cluster_size 'Huge' is not one of 2X-Small"),
        ({"cluster_size": "Small", "auto_stop_mins": 5}, "auto_stop_mins must be 0"),
        ({"cluster_size": "Small", "enable_serverless_compute": True, "warehouse_type": "CLASSIC"}, "needs warehouse_type PRO"),
        ({"cluster_size": "Small", "name": "main"}, "named 'main' already exists"),
    ):
        with pytest.raises(InvalidParameterValue, match=message):
            jobs.do("POST", "/api/2.0/sql/warehouses", {"name": "bad", **settings})
    with pytest.raises(PermissionDenied, match="not authorized to create SQL warehouses"):
        alice.warehouses.create(name="mine", cluster_size="Small")


def test_a_statement_answers_with_columns_and_strings(jobs: Jobs, warehouse: str) -> None:
    found = execute(
        jobs.client,
        warehouse,
        "SELECT :n + 1 AS n, :t AS t, CAST(NULL AS INT) AS nothing, CAST(2 AS BIGINT) AS big",
        parameters=[StatementParameterListItem(name="n", value="41", type="INT"), StatementParameterListItem(name="t", value="x")],
    )
    assert found.status and found.status.state is StatementState.SUCCEEDED
    assert found.result and found.result.data_array == [["42", "x", None, "2"]]
    assert found.manifest and found.manifest.schema and found.manifest.total_row_count == 1
    assert [column.type_text for column in found.manifest.schema.columns or []] == ["INT", "STRING", "INT", "BIGINT"]


def test_a_failed_statement_is_an_answer_not_an_error(jobs: Jobs, warehouse: str) -> None:
    found = execute(jobs.client, warehouse, "SELECT nothing_like_it")
    assert found.status and found.status.error and found.status.error.error_code
    assert (found.status.state, found.status.error.error_code.value) == (StatementState.FAILED, "BAD_REQUEST")
    assert "UNRESOLVED_COLUMN" in (found.status.error.message or "")
    assert found.status.sql_state == "42703"


def test_no_rows_is_an_empty_result(jobs: Jobs, warehouse: str) -> None:
    found = jobs.do(
        "POST", "/api/2.0/sql/statements", {"warehouse_id": warehouse, "statement": "SELECT 1 AS a WHERE false", "wait_timeout": "50s"}
    )
    assert (found["result"], found["manifest"]["total_chunk_count"]) == ({}, 0)


def test_zero_wait_is_pending_first_and_long_results_come_in_chunks(jobs: Jobs, warehouse: str) -> None:
    started = jobs.client.statement_execution.execute_statement("SELECT id FROM range(25000)", warehouse, wait_timeout="0s")
    assert started.status and started.status.state is StatementState.PENDING
    statement_id = started.statement_id or ""
    ended = (StatementState.SUCCEEDED, StatementState.FAILED)
    jobs.poll(lambda: jobs.client.statement_execution.get_statement(statement_id).status.state in ended)  # type: ignore[union-attr]
    found = jobs.client.statement_execution.get_statement(statement_id)
    assert found.manifest and (found.manifest.total_chunk_count, found.manifest.total_row_count) == (3, 25000)
    assert found.result and found.result.next_chunk_index == 1
    last = jobs.client.statement_execution.get_statement_result_chunk_n(statement_id, 2)
    assert (last.row_count, last.row_offset, last.next_chunk_index) == (5000, 20000, None)


def test_a_row_limit_truncates(jobs: Jobs, warehouse: str) -> None:
    found = execute(jobs.client, warehouse, "SELECT id FROM range(100)", row_limit=10)
    assert found.manifest and (found.manifest.truncated, found.manifest.total_row_count) == (True, 10)


def test_a_running_statement_can_be_canceled_by_wait_and_by_call(jobs: Jobs, warehouse: str) -> None:
    slow = "SELECT sum(a.id * b.id) FROM range(1000000) a CROSS JOIN range(1000000) b"
    cancel = ExecuteStatementRequestOnWaitTimeout.CANCEL
    found = jobs.client.statement_execution.execute_statement(slow, warehouse, wait_timeout="5s", on_wait_timeout=cancel)
    assert found.status and found.status.state is StatementState.CANCELED
    started = jobs.client.statement_execution.execute_statement(slow, warehouse, wait_timeout="0s").statement_id or ""
    jobs.client.statement_execution.cancel_execution(started)
    assert jobs.client.statement_execution.get_statement(started).status.state is StatementState.CANCELED  # type: ignore[union-attr]


def test_requests_that_make_no_sense_are_refused_at_submit(jobs: Jobs, warehouse: str) -> None:
    for body, message in (
        ({"wait_timeout": "3s"}, "wait_timeout must be 0s, or between 5s and 50s"),
        ({"format": "CSV"}, "CSV is not supported with disposition INLINE"),
        ({"disposition": "EXTERNAL_LINKS"}, "does not support statement results with disposition EXTERNAL_LINKS"),
        ({"parameters": [{"value": "1"}]}, "Each parameter needs a name"),
    ):
        with pytest.raises(DatabricksError, match=message):
            jobs.do("POST", "/api/2.0/sql/statements", {"warehouse_id": warehouse, "statement": "SELECT 1", **body})
    with pytest.raises(NotFound, match="SQL warehouse 00ff does not exist"):
        execute(jobs.client, "00ff", "SELECT 1")


def test_a_statement_needs_can_use_and_runs_with_the_callers_rights(
    world: World, jobs: Jobs, warehouse: str, alice: WorkspaceClient
) -> None:
    name = world.name("alice")
    with pytest.raises(PermissionDenied, match=f"{name} does not have Use, Monitor, View, Admin or Owner permissions on SQL warehouse"):
        execute(alice, warehouse, "SELECT 1")
    use = AccessControlRequest(service_principal_name=name, permission_level=PermissionLevel.CAN_USE)
    jobs.client.permissions.update("sql/warehouses", warehouse, access_control_list=[use])
    for statement in ("CREATE TABLE c.s.t (id INT)", "INSERT INTO c.s.t VALUES (1)"):
        done = execute(jobs.client, warehouse, statement)
        assert done.status and done.status.state is StatementState.SUCCEEDED, done.status
    refused = execute(alice, warehouse, "SELECT * FROM c.s.t")
    assert refused.status and refused.status.error and "INSUFFICIENT_PERMISSIONS" in (refused.status.error.message or "")
    assert refused.status.sql_state == "42501"
    world.admin.grants.update(
        "catalog",
        "c",
        changes=[PermissionsChange(principal="engineers", add=[Privilege.USE_CATALOG, Privilege.USE_SCHEMA, Privilege.SELECT])],
    )
    found = execute(alice, warehouse, "SELECT * FROM t", catalog="c", schema="s")
    assert found.result and found.result.data_array == [["1"]]
    mine = execute(jobs.client, warehouse, "SELECT 1").statement_id or ""
    with pytest.raises(NotFound, match="was not found"):
        alice.statement_execution.get_statement(mine)


def test_a_sql_task_runs_the_statements_of_a_file(jobs: Jobs, warehouse: str) -> None:
    path = f"/Workspace/Shared/{uuid.uuid4().hex}.sql"
    jobs.client.workspace.upload(path, io.BytesIO(b"SELECT ';' AS a; -- one; more\nSELECT :n;"), format=ImportFormat.RAW)
    task = {"task_key": "main", "sql_task": {"warehouse_id": warehouse, "file": {"path": path}, "parameters": {"n": "1"}}}
    assert jobs.results(jobs.run(task)) == {"main": "SUCCESS"}
    jobs.client.workspace.upload(path, io.BytesIO(b"SELECT nothing_like_it"), format=ImportFormat.RAW, overwrite=True)
    run = jobs.run(task)
    assert "UNRESOLVED_COLUMN" in (jobs.output(run).error or "")


def test_a_task_on_spark_acts_as_its_principal(world: World, jobs: Jobs) -> None:
    source = b"""
spark.sql("CREATE TABLE c.s.made (id INT)")
print(spark.table("c.s.made").count())
"""
    path = f"/Workspace/Shared/{uuid.uuid4().hex}.py"
    jobs.client.workspace.upload(path, io.BytesIO(source), format=ImportFormat.RAW)
    task = {"task_key": "main", "spark_python_task": {"python_file": path}, "environment_key": "e"}
    environments = [{"environment_key": "e", "spec": {"environment_version": "4"}}]
    as_bob = jobs.run(task, environments=environments, run_as={"service_principal_name": world.name("bob")})
    assert "INSUFFICIENT_PERMISSIONS" in (jobs.output(as_bob).error or "")
    as_admin = jobs.run(task, environments=environments)
    assert jobs.output(as_admin).logs == "0\n", jobs.output(as_admin).error_trace
