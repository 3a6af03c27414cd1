"""Workspace files and notebooks as the published SDK and CLI use them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import httpx
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, DatabricksError, InvalidParameterValue, NotFound, PermissionDenied, ResourceAlreadyExists
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.workspace import ImportFormat, Language, ObjectType

from tests.api.workspace_world import World, make_world

_NOTEBOOK = b"# Databricks notebook source\nprint(1)\n"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with make_world() as made:
        yield made


@pytest.fixture
def folder(world: World, request: pytest.FixtureRequest) -> str:
    path = f"/Shared/{request.node.name[:60]}"
    world.admin.workspace.mkdirs(path)
    return path


@pytest.fixture
def admin(world: World) -> WorkspaceClient:
    return world.admin


def test_a_file_comes_back_as_it_was(admin: WorkspaceClient, folder: str) -> None:
    content = bytes(range(256))
    admin.workspace.upload(f"{folder}/a.whl", io.BytesIO(content), format=ImportFormat.RAW)
    assert admin.workspace.download(f"{folder}/a.whl").read() == content
    status = admin.workspace.get_status(f"{folder}/a.whl")
    assert (status.object_type, status.size, status.language) == (ObjectType.FILE, 256, None)


def test_auto_tells_notebooks_from_files_by_their_first_line(admin: WorkspaceClient, folder: str) -> None:
    admin.workspace.upload(f"{folder}/nb.py", io.BytesIO(_NOTEBOOK), format=ImportFormat.AUTO)
    admin.workspace.upload(f"{folder}/plain.py", io.BytesIO(b"print(1)\n"), format=ImportFormat.AUTO)
    kinds = {each.path: (each.object_type, each.language) for each in admin.workspace.list(folder)}
    assert kinds == {
        f"{folder}/nb": (ObjectType.NOTEBOOK, Language.PYTHON),
        f"{folder}/plain.py": (ObjectType.FILE, None),
    }


def test_source_keeps_the_path_and_needs_a_language(admin: WorkspaceClient, folder: str) -> None:
    content = base64.b64encode(b"select 1").decode()
    admin.workspace.import_(f"{folder}/q.sql", content=content, format=ImportFormat.SOURCE, language=Language.SQL)
    exported = admin.workspace.export(f"{folder}/q.sql").content
    assert exported is not None
    assert base64.b64decode(exported) == b"-- Databricks notebook source\nselect 1"
    with pytest.raises(DatabricksError, match="format SOURCE needs it"):
        admin.workspace.import_(f"{folder}/r", content=content, format=ImportFormat.SOURCE)


def test_importing_twice_needs_overwrite(admin: WorkspaceClient, folder: str) -> None:
    for overwrite in (False, True):
        admin.workspace.upload(f"{folder}/a", io.BytesIO(b"1"), format=ImportFormat.RAW, overwrite=overwrite)
    with pytest.raises(ResourceAlreadyExists, match=r"already exists"):
        admin.workspace.upload(f"{folder}/a", io.BytesIO(b"1"), format=ImportFormat.RAW)


def test_a_missing_parent_folder_is_named(admin: WorkspaceClient) -> None:
    with pytest.raises(NotFound, match=r"The parent folder \(/Shared/none\) does not exist."):
        admin.workspace.upload("/Shared/none/a", io.BytesIO(b"1"), format=ImportFormat.RAW)


def test_a_missing_path_is_named_as_it_was_asked_for(admin: WorkspaceClient) -> None:
    with pytest.raises(NotFound, match=r"Path \(/Workspace/Shared/none\) doesn't exist."):
        admin.workspace.get_status("/Workspace/Shared/none")


def test_workspace_is_an_alias_of_the_root_and_echoed(admin: WorkspaceClient, folder: str) -> None:
    admin.workspace.upload(f"/Workspace{folder}/a", io.BytesIO(b"1"), format=ImportFormat.RAW)
    assert admin.workspace.get_status(f"/Workspace{folder}/a").path == f"/Workspace{folder}/a"
    assert admin.workspace.get_status(f"{folder}/a").path == f"{folder}/a"
    assert [each.path for each in admin.workspace.list(f"/Workspace{folder}")] == [f"/Workspace{folder}/a"]


def test_folders_are_made_with_their_parents_and_go_only_when_empty(admin: WorkspaceClient, folder: str) -> None:
    admin.workspace.mkdirs(f"{folder}/x/y")
    admin.workspace.mkdirs(f"{folder}/x/y")
    with pytest.raises(BadRequest, match="is not empty"):
        admin.workspace.delete(folder)
    admin.workspace.delete(folder, recursive=True)
    with pytest.raises(NotFound):
        admin.workspace.get_status(f"{folder}/x/y")


def test_a_file_is_no_folder(admin: WorkspaceClient, folder: str) -> None:
    admin.workspace.upload(f"{folder}/a", io.BytesIO(b"1"), format=ImportFormat.RAW)
    with pytest.raises(ResourceAlreadyExists, match="is no directory"):
        admin.workspace.mkdirs(f"{folder}/a/b")


def test_an_import_may_not_be_too_large(admin: WorkspaceClient, folder: str) -> None:
    with pytest.raises(DatabricksError) as refused:
        admin.workspace.upload(f"{folder}/a", io.BytesIO(b"1" * (10 * 1024 * 1024 + 1)), format=ImportFormat.RAW)
    assert refused.value.error_code == "MAX_NOTEBOOK_SIZE_EXCEEDED"


def test_what_this_estate_cannot_read_is_refused_by_name(admin: WorkspaceClient, folder: str) -> None:
    with pytest.raises(DatabricksError, match="does not support workspace import of format DBC"):
        admin.workspace.upload(f"{folder}/a", io.BytesIO(b"1"), format=ImportFormat.DBC)


def test_the_cli_uploads_to_import_file(world: World, folder: str) -> None:
    url = f"{world.url}/api/2.0/workspace-files/import-file{folder}/by-cli.txt"
    assert httpx.post(url, headers=world.headers("admin"), content=b"1").status_code == 200
    assert httpx.post(url, headers=world.headers("admin"), content=b"2").status_code == 409
    assert httpx.post(url + "?overwrite=true", headers=world.headers("admin"), content=b"3").status_code == 200
    assert world.admin.workspace.download(f"{folder}/by-cli.txt").read() == b"3"


def test_a_home_is_its_owners_and_the_admins(world: World) -> None:
    alice, home = world.client("alice"), f"/Users/{world.name('alice')}"
    alice.workspace.upload(f"{home}/mine", io.BytesIO(b"1"), format=ImportFormat.RAW)
    assert world.admin.workspace.download(f"{home}/mine").read() == b"1"
    with pytest.raises(PermissionDenied, match="does not have View permissions on"):
        world.client("bob").workspace.get_status(f"{home}/mine")
    with pytest.raises(PermissionDenied, match="does not have Edit permissions on"):
        world.client("bob").workspace.upload(f"{home}/yours", io.BytesIO(b"1"), format=ImportFormat.RAW)


def test_a_folders_acl_holds_for_what_lies_in_it(world: World) -> None:
    world.admin.workspace.mkdirs("/lakehouse/files")
    world.admin.workspace.upload("/lakehouse/files/job.py", io.BytesIO(b"1"), format=ImportFormat.RAW)
    alice = world.client("alice")
    with pytest.raises(PermissionDenied, match="does not have View permissions on"):
        alice.workspace.download("/lakehouse/files/job.py")
    folder = world.admin.workspace.get_status("/lakehouse").object_id
    reader = [AccessControlRequest(group_name="engineers", permission_level=PermissionLevel.CAN_READ)]
    world.admin.permissions.update("directories", str(folder), access_control_list=reader)
    assert alice.workspace.download("/lakehouse/files/job.py").read() == b"1"
    with pytest.raises(PermissionDenied, match="does not have Edit permissions on"):
        alice.workspace.upload("/lakehouse/files/mine.py", io.BytesIO(b"1"), format=ImportFormat.RAW)
    with pytest.raises(PermissionDenied, match="does not have View permissions on"):
        world.client("bob").workspace.download("/lakehouse/files/job.py")


def test_nobody_comes_to_own_the_roots_by_being_first(world: World) -> None:
    with pytest.raises(PermissionDenied, match="does not have Edit permissions on"):
        world.client("bob").workspace.mkdirs("/of-bob")
    with pytest.raises(PermissionDenied, match="does not have Manage permissions on"):
        world.client("bob").workspace.delete("/Users", recursive=True)


@pytest.mark.parametrize("path", ["relative", "/Shared/../Users/x", "/Shared/a\\b"])
def test_a_path_that_is_none_is_refused(admin: WorkspaceClient, path: str) -> None:
    with pytest.raises(InvalidParameterValue, match="Path"):
        admin.workspace.get_status(path)
