"""The Files API and DBFS as the published SDK uses them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import AlreadyExists, BadRequest, InvalidParameterValue, NotFound, PermissionDenied
from databricks.sdk.service.catalog import PermissionsChange, Privilege, VolumeType

from tests.api.workspace_world import World, make_world

V = "/Volumes/c/s/v"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with make_world() as made:
        made.admin.volumes.create("c", "s", "v", VolumeType.MANAGED)
        reader = [Privilege.USE_CATALOG, Privilege.USE_SCHEMA, Privilege.READ_VOLUME]
        made.admin.grants.update("catalog", "c", changes=[PermissionsChange(principal=made.name("alice"), add=reader)])
        yield made


@pytest.fixture
def admin(world: World) -> WorkspaceClient:
    return world.admin


def _read(client: WorkspaceClient, path: str) -> bytes:
    contents = client.files.download(path).contents
    assert contents is not None
    return contents.read()


@pytest.mark.parametrize("name", ["plain.csv", "with space.csv", "é ü.csv", "a#b?c%20d.csv", "x=1/y=2/part-0"])
def test_what_was_uploaded_is_downloaded(admin: WorkspaceClient, name: str) -> None:
    admin.files.upload(f"{V}/names/{name}", io.BytesIO(b"hello"))
    assert _read(admin, f"{V}/names/{name}") == b"hello"
    assert admin.files.get_metadata(f"{V}/names/{name}").content_length == 5


def test_a_file_is_replaced_unless_that_is_forbidden(admin: WorkspaceClient) -> None:
    admin.files.upload(f"{V}/once", io.BytesIO(b"1"))
    admin.files.upload(f"{V}/once", io.BytesIO(b"2"), overwrite=True)
    with pytest.raises(AlreadyExists, match="The file being created already exists."):
        admin.files.upload(f"{V}/once", io.BytesIO(b"3"), overwrite=False)
    assert _read(admin, f"{V}/once") == b"2"


def test_a_large_upload_begins_with_a_session_and_ends_as_one_put(admin: WorkspaceClient, tmp_path: Path) -> None:
    content = b"0123456789abcdef" * (51 * 1024 * 1024 // 16)
    admin.files.upload(f"{V}/large", io.BytesIO(content))
    admin.files.download_to(f"{V}/large", str(tmp_path / "large"))
    assert (tmp_path / "large").read_bytes() == content


def test_directories_are_listed_made_and_removed(admin: WorkspaceClient) -> None:
    admin.files.create_directory(f"{V}/d/e")
    admin.files.create_directory(f"{V}/d/e")
    admin.files.upload(f"{V}/d/f", io.BytesIO(b"abc"))
    listed = [(each.name, each.path, each.is_directory, each.file_size) for each in admin.files.list_directory_contents(f"{V}/d")]
    assert listed == [("e", f"{V}/d/e", True, None), ("f", f"{V}/d/f", False, 3)]
    with pytest.raises(BadRequest, match="not empty"):
        admin.files.delete_directory(f"{V}/d")
    admin.files.delete(f"{V}/d/f")
    admin.files.delete_directory(f"{V}/d/e")
    admin.files.delete_directory(f"{V}/d")
    with pytest.raises(NotFound):
        admin.files.get_directory_metadata(f"{V}/d")


def test_a_listing_is_paged(world: World) -> None:
    for number in range(5):
        world.admin.files.upload(f"{V}/paged/{number}", io.BytesIO(b""))
    assert [each.name for each in world.admin.files.list_directory_contents(f"{V}/paged", page_size=2)] == list("01234")


def test_a_directory_cannot_take_the_place_of_a_file_nor_the_other_way_round(admin: WorkspaceClient) -> None:
    admin.files.upload(f"{V}/clash/file", io.BytesIO(b""))
    with pytest.raises(AlreadyExists):
        admin.files.create_directory(f"{V}/clash/file")
    with pytest.raises(AlreadyExists):
        admin.files.upload(f"{V}/clash", io.BytesIO(b""))


def test_what_is_missing_is_not_found(admin: WorkspaceClient) -> None:
    with pytest.raises(NotFound, match="The file being accessed is not found."):
        _read(admin, f"{V}/missing")
    with pytest.raises(NotFound, match="The directory being accessed is not found."):
        list(admin.files.list_directory_contents(f"{V}/missing"))
    with pytest.raises(NotFound, match="Volume 'c.s.nothing' does not exist."):
        _read(admin, "/Volumes/c/s/nothing/x")


def test_a_reader_reads_and_a_stranger_does_neither(world: World) -> None:
    world.admin.files.upload(f"{V}/shared", io.BytesIO(b"x"))
    assert _read(world.client("alice"), f"{V}/shared") == b"x"
    with pytest.raises(PermissionDenied, match=r"User does not have WRITE VOLUME on Volume 'c.s.v'\."):
        world.client("alice").files.upload(f"{V}/shared", io.BytesIO(b"y"))
    with pytest.raises(PermissionDenied, match="User does not have WRITE VOLUME"):
        world.client("alice").files.delete(f"{V}/shared")
    with pytest.raises(PermissionDenied, match=r"User does not have USE CATALOG on Catalog 'c'\."):
        _read(world.client("bob"), f"{V}/shared")


@pytest.mark.parametrize("path", ["/Volumes/c/s/v/%2e%2e/%2e%2e/x", "/Volumes/c/s/v/a%5cb", "/etc/passwd"])
def test_a_path_that_would_lead_out_is_refused(world: World, path: str) -> None:
    reply = httpx.get(f"{world.url}/api/2.0/fs/files{path}", headers=world.headers("admin"))
    assert reply.status_code == 400
    assert reply.json()["error_code"] == "INVALID_PARAMETER_VALUE"


def test_a_range_is_served(world: World) -> None:
    world.admin.files.upload(f"{V}/range", io.BytesIO(b"0123456789"))
    reply = httpx.get(f"{world.url}/api/2.0/fs/files{V}/range", headers={**world.headers("admin"), "range": "bytes=2-4"})
    assert (reply.status_code, reply.content, reply.headers["content-range"]) == (206, b"234", "bytes 2-4/10")


def test_presigned_urls_are_refused_at_once(world: World) -> None:
    reply = httpx.post(f"{world.url}/api/2.0/fs/create-download-url", headers=world.headers("admin"), json={"path": f"{V}/x"})
    assert reply.status_code == 404


def test_dbfs_reaches_volumes_and_nothing_else(world: World) -> None:
    call = world.admin.api_client.do
    call("POST", "/api/2.0/dbfs/put", body={"path": f"dbfs:{V}/by-dbfs", "contents": base64.b64encode(b"abc").decode()})
    assert call("GET", "/api/2.0/dbfs/read", query={"path": f"dbfs:{V}/by-dbfs", "offset": 1}) == {"bytes_read": 2, "data": "YmM="}
    assert call("GET", "/api/2.0/dbfs/get-status", query={"path": f"dbfs:{V}/by-dbfs"})["file_size"] == 3  # type: ignore[call-overload]
    with pytest.raises(PermissionDenied, match="Public DBFS root is disabled. Access is denied on path: /tmp/x"):
        call("GET", "/api/2.0/dbfs/get-status", query={"path": "dbfs:/tmp/x"})
    with pytest.raises(BadRequest, match="at most"):
        call("GET", "/api/2.0/dbfs/read", query={"path": f"dbfs:{V}/by-dbfs", "length": 2 << 20})


def test_the_root_of_a_volume_stays(admin: WorkspaceClient) -> None:
    with pytest.raises(InvalidParameterValue, match="The root of a volume cannot be deleted."):
        admin.files.delete_directory(V)
