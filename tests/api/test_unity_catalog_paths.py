"""Which securable governs a path, and that no spelling of a path gets around it."""

from __future__ import annotations

import string
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_estate.api.kernel.errors import ApiError
from tests.api.governed_fixtures import ROOT, Governed, governed


@pytest.fixture(scope="module")
def estate() -> Iterator[Governed]:
    """Table `c.s.t` and volume `c.s.v` are managed, `c.s.landing` is external; alice reads all three, bob nothing, carol the location."""
    with tempfile.TemporaryDirectory() as home:
        made = governed(Path(home))
        in_schema = {"catalog_name": "c", "schema_name": "s"}
        made.uc("admin", "POST", "tables", {"name": "t", **in_schema})
        made.uc("admin", "POST", "volumes", {"name": "v", **in_schema, "volume_type": "MANAGED"})
        external = {"volume_type": "EXTERNAL", "storage_location": f"{ROOT}/landing/cmdm"}
        made.uc("admin", "POST", "volumes", {"name": "landing", **in_schema, **external})
        made.grant("catalog", "c", "alice", "USE_CATALOG", "USE_SCHEMA", "SELECT", "READ_VOLUME")
        made.grant("external_location", "lake", "carol", "READ_FILES", "WRITE_FILES")
        yield made
        made.estate.store.close()


def _table(estate: Governed) -> str:
    return str(estate.uc("admin", "GET", "tables/c.s.t")["storage_location"])


def _refusal(estate: Governed, who: str, path: str, operation: str = "READ") -> str:
    with pytest.raises(ApiError) as refused:
        estate.resolve(who, path, operation)
    assert refused.value.code == "PERMISSION_DENIED"
    return refused.value.message


def test_a_volume_path_resolves_to_its_directory(estate: Governed) -> None:
    location = estate.uc("admin", "GET", "volumes/c.s.v")["storage_location"]
    found = estate.resolve("alice", "/Volumes/c/s/v/2024/a.csv")
    assert (found["prefix"], found["securable_type"], found["full_name"]) == ("/Volumes/c/s/v", "VOLUME", "c.s.v")
    assert found["local_prefix"] == str(estate.estate.paths.adls / "accone" / "lake" / location.removeprefix(ROOT + "/"))
    assert found["local_path"] == found["local_prefix"] + "/2024/a.csv"
    assert Path(found["local_prefix"]).is_dir()


def test_dbfs_prefixes_are_the_same_path(estate: Governed) -> None:
    plain = estate.resolve("alice", "/Volumes/c/s/v/x")
    assert estate.resolve("alice", "dbfs:/Volumes/c/s/v/x") == estate.resolve("alice", "dbfs:///Volumes/c/s/v/x") == plain


def test_the_files_of_a_table_belong_to_the_table(estate: Governed) -> None:
    path = _table(estate) + "/_delta_log/00000000000000000000.json"
    assert estate.resolve("alice", path)["full_name"] == "c.s.t"
    assert _refusal(estate, "alice", path, "WRITE") == "User does not have MODIFY on Table 'c.s.t'."
    assert _refusal(estate, "bob", path) == "User does not have USE CATALOG on Catalog 'c'."


def test_whoever_may_use_the_location_still_may_not_reach_into_what_lies_in_it(estate: Governed) -> None:
    assert estate.resolve("carol", f"{ROOT}/elsewhere/x")["securable_type"] == "EXTERNAL_LOCATION"
    assert "Catalog 'c'" in _refusal(estate, "carol", _table(estate))
    assert "Catalog 'c'" in _refusal(estate, "carol", f"{ROOT}/landing/cmdm/day1.csv")
    assert "managed storage" in _refusal(estate, "carol", _table(estate).rpartition("/")[0] + "/not-a-table")


def test_a_path_below_no_location_is_refused(estate: Governed) -> None:
    message = _refusal(estate, "admin", "abfss://other@accone.dfs.core.windows.net/x")
    assert (
        message
        == "User does not have permission for path 'abfss://other@accone.dfs.core.windows.net/x': no Unity Catalog object governs it."
    )


def test_the_dbfs_root_is_disabled(estate: Governed) -> None:
    assert _refusal(estate, "admin", "dbfs:/tmp/x") == "Public DBFS root is disabled. Access is denied on path: /tmp/x"


def test_a_file_path_into_the_storage_account_is_judged_as_what_it_is(estate: Governed) -> None:
    local = estate.resolve("alice", _table(estate))["local_prefix"]
    assert estate.resolve("alice", f"file:{local}/part-0")["full_name"] == "c.s.t"
    assert "Catalog 'c'" in _refusal(estate, "bob", f"file://{local}/part-0")
    assert "not governed" in _refusal(estate, "admin", f"file:{estate.estate.paths.store}")


def test_a_link_out_of_a_volume_is_not_followed(estate: Governed) -> None:
    volume = Path(estate.resolve("alice", "/Volumes/c/s/v/x")["local_prefix"])
    (volume / "out").symlink_to(estate.estate.paths.home)
    assert "leads out of Volume 'c.s.v'" in _refusal(estate, "alice", "/Volumes/c/s/v/out/store.db")


def test_only_its_writer_reaches_a_table_that_is_being_staged(estate: Governed) -> None:
    body = {"name": "new", "catalog_name": "c", "schema_name": "s"}
    staging = estate.uc("admin", "POST", "staging-tables", body)
    assert estate.resolve("admin", staging["staging_location"] + "/part-0", "WRITE")["full_name"] == "c.s.new"
    assert "managed storage" in _refusal(estate, "carol", staging["staging_location"] + "/part-0")
    table = estate.uc("admin", "POST", "tables", {**body, "storage_location": staging["staging_location"]})
    assert table["table_id"] == staging["id"]
    with pytest.raises(ApiError) as refused:
        estate.uc("admin", "POST", "tables", {**body, "name": "newer", "storage_location": staging["staging_location"]})
    assert refused.value.code == "INVALID_PARAMETER_VALUE"


_SEGMENT = st.sampled_from(["a", "B", "..", ".", "", "%2e%2e", "c", "s", "v", "t", "x y", "é", "\x00", "a\\b", "__unitystorage"])


@settings(max_examples=400, deadline=None)
@given(segments=st.lists(_SEGMENT, max_size=8), slash=st.sampled_from(["/", "//"]))
def test_no_spelling_leads_out_of_the_volume(estate: Governed, segments: list[str], slash: str) -> None:
    path = "/Volumes/c/s/v/" + slash.join(segments)
    try:
        found = estate.resolve("alice", path)
    except ApiError as refused:
        assert refused.code == "INVALID_PARAMETER_VALUE"
        assert ".." in segments or "\x00" in path or "\\" in path
        return
    inside = Path(found["local_path"])
    assert inside == Path(found["local_prefix"]).joinpath(*(each for each in segments if each not in ("", ".")))
    assert found["path"].startswith(found["prefix"])


@settings(max_examples=400, deadline=None)
@given(
    text=st.text(alphabet=string.ascii_letters + string.digits + "/.:@-_%~ \\", max_size=60),
    head=st.sampled_from(["", "/", "abfss://", "file:/", "dbfs:/", "/Volumes/", ROOT]),
)
def test_a_principal_without_grants_reaches_nothing_however_the_path_is_written(estate: Governed, text: str, head: str) -> None:
    for operation in ("READ", "WRITE"):
        with pytest.raises(ApiError) as refused:
            estate.resolve("bob", head + text, operation)
        assert refused.value.status in (400, 403, 404)


@settings(max_examples=200, deadline=None)
@given(
    tail=st.lists(
        st.text(alphabet=string.ascii_lowercase + "._-=", min_size=1, max_size=6).filter(lambda part: part not in (".", "..")), max_size=4
    )
)
def test_the_longest_governed_prefix_wins(estate: Governed, tail: list[str]) -> None:
    path = "/".join((_table(estate), *tail))
    assert estate.resolve("alice", path)["full_name"] == "c.s.t"
    assert estate.resolve("alice", path)["local_path"].endswith("/".join(tail))
