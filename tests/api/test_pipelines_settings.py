"""Pipelines over the wire through the real SDK: settings, permissions, lists, and updates that fail before they need Spark."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError, NotFound, PermissionDenied, ResourceConflict
from databricks.sdk.service.pipelines import (
    FileLibrary,
    PathPattern,
    PipelineAccessControlRequest,
    PipelineCluster,
    PipelineLibrary,
    PipelinePermissionLevel,
    PipelineState,
    RunAs,
    UpdateInfoState,
)
from databricks.sdk.service.workspace import ImportFormat

from tests.api.workspace_world import World, make_world
from tests.pipelines_client import ended, events

SOURCE = "/Workspace/Shared/pipeline.py"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with make_world() as made:
        yield made


@pytest.fixture
def client(world: World) -> WorkspaceClient:
    return world.admin


def create(client: WorkspaceClient, name: str, **settings: Any) -> str:
    libraries = [PipelineLibrary(file=FileLibrary(path=SOURCE))]
    made = client.pipelines.create(**{"name": name, "catalog": "c", "schema": "s", "libraries": libraries, **settings})
    assert made.pipeline_id is not None
    return made.pipeline_id


def test_settings_come_back_with_their_defaults_and_are_replaced_as_a_whole(world: World, client: WorkspaceClient) -> None:
    pipeline_id = create(client, "settings", configuration={"a": "b"}, tags={"ENVM": "dev"})
    shown = client.pipelines.get(pipeline_id)
    assert (shown.state, shown.run_as_user_name, shown.creator_user_name) == (PipelineState.IDLE, world.name("admin"), world.name("admin"))
    assert shown.spec is not None
    assert (shown.spec.id, shown.spec.channel, shown.spec.edition, shown.spec.continuous) == (pipeline_id, "CURRENT", "ADVANCED", False)
    assert (shown.spec.configuration, shown.spec.tags) == ({"a": "b"}, {"ENVM": "dev"})

    with pytest.raises(ResourceConflict, match=rf"Pipeline {pipeline_id} was modified at \d+, not at 1; read it again"):
        client.pipelines.update(pipeline_id, name="settings", catalog="c", schema="s", expected_last_modified=1)
    client.pipelines.update(pipeline_id, name="renamed", catalog="c", schema="s", expected_last_modified=shown.last_modified)
    changed = client.pipelines.get(pipeline_id).spec
    assert changed is not None
    assert (changed.name, changed.configuration, changed.libraries) == ("renamed", None, [])

    client.pipelines.delete(pipeline_id)
    with pytest.raises(NotFound, match=f"The specified pipeline {pipeline_id} was not found"):
        client.pipelines.get(pipeline_id)


def test_a_name_is_taken_once_unless_that_is_allowed(client: WorkspaceClient) -> None:
    first = create(client, "taken")
    with pytest.raises(ResourceConflict, match="The pipeline name 'taken' is already used by another pipeline"):
        create(client, "taken")
    second = create(client, "taken", allow_duplicate_names=True)
    found = [each.pipeline_id for each in client.pipelines.list_pipelines(filter="name LIKE 'tak%'", max_results=1)]
    assert sorted(map(str, found)) == sorted([first, second])
    with pytest.raises(DatabricksError, match=r"does not support the pipelines filter \"notebook='/x'\""):
        list(client.pipelines.list_pipelines(filter="notebook='/x'"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"catalog": None}, "Missing required field: catalog"),
        ({"schema": "a.b"}, "schema must be a single-part name, not 'a.b'"),
        ({"continuous": True}, "does not support continuous pipelines: every update here is triggered and ends"),
        ({"storage": "/x"}, "does not support pipelines outside Unity Catalog; set catalog and schema"),
        ({"target": "t"}, "does not support the legacy setting target"),
        ({"edition": "LITE"}, "edition must be one of CORE, PRO, ADVANCED, not 'LITE'"),
        ({"dry_run": True}, "does not support dry_run of pipeline settings; start an update with validate_only"),
        ({"libraries": [PipelineLibrary(jar="dbfs:/x.jar")]}, r"does not support jar libraries of pipelines \(libraries\[0\]\)"),
        ({"libraries": [PipelineLibrary(file=FileLibrary(path="x.py"))]}, r"libraries\[0\]\.file\.path must be an absolute path"),
        ({"libraries": [PipelineLibrary(glob=PathPattern(include="/a/*.py"))]}, r"must be a file, or a folder that ends in /\*\*"),
        ({"clusters": [PipelineCluster(label="big")]}, r"clusters\[0\]\.label must be default, updates or maintenance, not 'big'"),
        ({"serverless": True, "clusters": [PipelineCluster()]}, "You cannot provide cluster settings when using serverless compute"),
        ({"run_as": RunAs(user_name="nobody@example.com")}, r"The user 'nobody@example\.com' of run_as does not exist"),
    ],
)
def test_what_is_wrong_or_not_done_here_is_refused_by_name(client: WorkspaceClient, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(DatabricksError, match=said):
        create(client, "refused", **settings)
    assert [each for each in client.pipelines.list_pipelines() if each.name == "refused"] == []


def test_an_unknown_field_is_named(client: WorkspaceClient) -> None:
    body = {"name": "unknown", "catalog": "c", "schema": "s", "librarys": []}
    with pytest.raises(DatabricksError, match=r"Unknown field\(s\) in the pipeline settings: librarys"):
        client.api_client.do("POST", "/api/2.0/pipelines", body=body)
    cluster = {"name": "unknown", "catalog": "c", "schema": "s", "clusters": [{"spark_version": "17.3.x-scala2.13"}]}
    with pytest.raises(DatabricksError, match=r"clusters\[0\]: spark_version cannot be set for a pipeline; its channel decides it"):
        client.api_client.do("POST", "/api/2.0/pipelines", body=cluster)


def test_levels_decide_who_sees_runs_and_changes_a_pipeline(world: World, client: WorkspaceClient) -> None:
    pipeline_id = create(client, "shared")
    bob = world.client("bob")
    with pytest.raises(PermissionDenied):
        bob.pipelines.get(pipeline_id)
    assert [each for each in bob.pipelines.list_pipelines() if each.pipeline_id == pipeline_id] == []
    viewers = [PipelineAccessControlRequest(group_name="analysts", permission_level=PipelinePermissionLevel.CAN_VIEW)]
    client.pipelines.update_permissions(pipeline_id, access_control_list=viewers)
    assert bob.pipelines.get(pipeline_id).name == "shared"
    with pytest.raises(PermissionDenied):
        bob.pipelines.start_update(pipeline_id)
    with pytest.raises(PermissionDenied):
        bob.pipelines.delete(pipeline_id)
    with pytest.raises(PermissionDenied, match=f"run_as of a pipeline may be set to '{world.name('alice')}' by itself or an admin only"):
        create(bob, "as-alice", run_as=RunAs(service_principal_name=world.name("alice")))


def test_an_update_that_cannot_begin_fails_with_the_reason_in_the_log(world: World, client: WorkspaceClient) -> None:
    alice = {"service_principal_name": world.name("alice")}
    pipeline_id = create(client, "broken", run_as=RunAs(**alice))
    started = client.pipelines.start_update(pipeline_id)
    assert started.update_id is not None
    assert ended(client, pipeline_id, started.update_id).state is UpdateInfoState.FAILED
    (failure,) = [each for each in events(client, pipeline_id) if each["level"] == "ERROR"]
    assert failure["error"]["exceptions"][0]["message"] == f"Path ({SOURCE}) doesn't exist."
    assert failure["origin"]["update_id"] == started.update_id
    assert client.pipelines.get(pipeline_id).state is PipelineState.FAILED

    client.workspace.upload(SOURCE, io.BytesIO(b""), format=ImportFormat.RAW)
    settings: dict[str, Any] = {"name": "broken", "catalog": "c", "schema": "s", "clusters": [PipelineCluster(label="default")]}
    client.pipelines.update(pipeline_id, libraries=[PipelineLibrary(file=FileLibrary(path=SOURCE))], **settings)
    second = client.pipelines.start_update(pipeline_id)
    assert second.update_id is not None
    ended(client, pipeline_id, second.update_id)
    shown = list(client.pipelines.list_pipeline_events(pipeline_id, filter="level='ERROR'", max_results=1))
    assert "is not authorized to create clusters without a policy" in str(shown[0].message)
    listed = client.pipelines.list_updates(pipeline_id).updates or []
    assert [each.update_id for each in listed] == [second.update_id, started.update_id]
    with pytest.raises(NotFound, match="The specified update none of pipeline"):
        client.pipelines.get_update(pipeline_id, "none")
    with pytest.raises(DatabricksError, match="does not support the event filter \"message = 'x'\""):
        list(client.pipelines.list_pipeline_events(pipeline_id, filter="message = 'x'"))


def test_an_update_takes_known_fields_only(client: WorkspaceClient) -> None:
    pipeline_id = create(client, "fields")
    with pytest.raises(DatabricksError, match="does not support reset_checkpoint_selection of pipeline updates"):
        client.pipelines.start_update(pipeline_id, reset_checkpoint_selection=["a"])
    with pytest.raises(DatabricksError, match="full_refresh cannot be combined with full_refresh_selection or refresh_selection"):
        client.pipelines.start_update(pipeline_id, full_refresh=True, refresh_selection=["a"])
    client.pipelines.stop(pipeline_id)  # nothing runs: no error
