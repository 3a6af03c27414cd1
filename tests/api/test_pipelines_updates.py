"""Updates over the wire: they run as their principal, one at a time, stop when asked to, as a task of a job, and end with the service."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import ResourceConflict
from databricks.sdk.service.catalog import PermissionsChange, Privilege
from databricks.sdk.service.pipelines import FileLibrary, PipelineLibrary, RunAs, UpdateInfoState
from databricks.sdk.service.workspace import ImportFormat

from tests.api.jobs_world import Jobs
from tests.api.test_jobs_durability import kill_service
from tests.api.workspace_world import World, make_world
from tests.conftest import start_estate
from tests.pipelines_client import ended, events, flows

SOURCE = "/Workspace/Shared/numbers.py"
TEXT = """
import pathlib, time
from pyspark import pipelines as dp

while pathlib.Path(spark.conf.get("test.hold")).exists():
    time.sleep(0.05)

@dp.materialized_view(name="numbers")
@dp.expect("even", "id % 2 = 0")
@dp.expect_or_drop("small", "id < 8")
def numbers():
    return spark.range(10)
"""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with make_world() as made:
        made.admin.workspace.upload(SOURCE, io.BytesIO(TEXT.encode()), format=ImportFormat.RAW)
        yield made


def grant(world: World, kind: str, name: str, *privileges: Privilege) -> None:
    world.admin.grants.update(kind, name, changes=[PermissionsChange(principal=world.name("alice"), add=list(privileges))])


def until(client: WorkspaceClient, pipeline_id: str, update_id: str, state: UpdateInfoState) -> None:
    deadline = time.monotonic() + 60
    while (found := client.pipelines.get_update(pipeline_id, update_id).update) is None or found.state is not state:
        assert time.monotonic() < deadline, f"never {state}"
        time.sleep(0.05)


def failure(client: WorkspaceClient, pipeline_id: str, update_id: str | None) -> str:
    found = [each for each in events(client, pipeline_id) if each["level"] == "ERROR" and each["origin"].get("update_id") == update_id]
    return str(found[-1]["error"]["exceptions"][0]["message"])


def test_updates_run_as_their_principal_one_at_a_time_until_stopped_or_killed_and_as_a_jobs_task(world: World) -> None:
    client, hold = world.admin, world.home / "hold"
    made = client.pipelines.create(
        name="numbers",
        catalog="c",
        schema="s",
        libraries=[PipelineLibrary(file=FileLibrary(path=SOURCE))],
        configuration={"test.hold": str(hold)},
        serverless=True,
        run_as=RunAs(service_principal_name=world.name("alice")),
    )
    pipeline_id = str(made.pipeline_id)

    def run(**request: bool) -> tuple[str | None, UpdateInfoState | None]:
        update_id = client.pipelines.start_update(pipeline_id, **request).update_id
        return update_id, ended(client, pipeline_id, str(update_id)).state

    # Alice owns no privilege on the schema yet.
    refused, state = run()
    assert state is UpdateInfoState.FAILED
    assert "USE CATALOG" in failure(client, pipeline_id, refused).replace("_", " ")

    grant(world, "catalog", "c", Privilege.USE_CATALOG)
    grant(world, "schema", "c.s", Privilege.USE_SCHEMA)
    _, state = run(validate_only=True)
    assert state is UpdateInfoState.COMPLETED, "planning writes nothing"
    refused, state = run()
    assert state is UpdateInfoState.FAILED
    assert "CREATE TABLE" in failure(client, pipeline_id, refused).replace("_", " ")

    grant(world, "schema", "c.s", Privilege.CREATE_TABLE)
    done, state = run()
    assert state is UpdateInfoState.COMPLETED
    assert flows(client, pipeline_id, done)["c.s.numbers"] == {
        "status": "COMPLETED",
        "metrics": {"num_output_rows": 8},
        "data_quality": {
            "dropped_records": 2,
            "expectations": [
                {"name": "even", "dataset": "c.s.numbers", "passed_records": 5, "failed_records": 5},
                {"name": "small", "dataset": "c.s.numbers", "passed_records": 8, "failed_records": 2},
            ],
        },
    }
    assert client.tables.get("c.s.numbers").owner == world.name("alice")

    hold.touch()
    held = str(client.pipelines.start_update(pipeline_id).update_id)
    with pytest.raises(ResourceConflict, match=f"An active update {held} already exists for pipeline {pipeline_id}"):
        client.pipelines.start_update(pipeline_id)
    until(client, pipeline_id, held, UpdateInfoState.INITIALIZING)
    client.pipelines.stop(pipeline_id).result()
    assert ended(client, pipeline_id, held).state is UpdateInfoState.CANCELED
    hold.unlink()

    jobs = Jobs(client=client)
    ran = jobs.run({"task_key": "main", "pipeline_task": {"pipeline_id": pipeline_id, "full_refresh": True}})
    assert jobs.results(ran) == {"main": "SUCCESS"}
    (latest, *_) = client.pipelines.list_updates(pipeline_id).updates or []
    assert (latest.cause.value if latest.cause else "", latest.full_refresh) == ("JOB_TASK", True)
    unknown = jobs.run({"task_key": "main", "pipeline_task": {"pipeline_id": "none"}})
    assert jobs.output(unknown).error == "The specified pipeline none was not found."

    hold.touch()
    cut = str(client.pipelines.start_update(pipeline_id).update_id)
    until(client, pipeline_id, cut, UpdateInfoState.INITIALIZING)
    kill_service(world.estate)
    world.estate = start_estate(world.home)
    hold.unlink()
    assert ended(client, pipeline_id, cut).state is UpdateInfoState.FAILED
    assert failure(client, pipeline_id, cut) == "The local estate ended while this update was active; start it again."

    client.pipelines.delete(pipeline_id)
    assert [table.name for table in client.tables.list("c", "s")] == [], "a pipeline's tables go with it"
