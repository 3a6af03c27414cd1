"""Where bytes may lie: credentials, external locations, managed storage, and what happens to bytes on drop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local_estate.api.kernel.errors import ApiError
from local_estate.api.services.unity_catalog.api import SERVICE
from local_estate.api.services.unity_catalog.locations import STAGING_SECONDS, sweep
from local_estate.api.services.unity_catalog.securables import GARBAGE
from tests.api.governed_fixtures import CONNECTOR, ROOT, Governed, governed

_IN = {"catalog_name": "c", "schema_name": "s"}


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Governed]:
    made = governed(tmp_path)
    yield made
    made.estate.store.close()


def _refused(estate: Governed, who: str, method: str, path: str, body: dict[str, object] | None = None, **query: object) -> ApiError:
    with pytest.raises(ApiError) as refused:
        estate.uc(who, method, path, body, **query)
    return refused.value


def test_a_credential_needs_an_access_connector_that_exists(estate: Governed) -> None:
    identity = {"access_connector_id": CONNECTOR + "-gone"}
    error = _refused(estate, "admin", "POST", "storage-credentials", {"name": "x", "azure_managed_identity": identity})
    assert error.message == f"Access connector '{CONNECTOR}-gone' could not be found, or has no managed identity."
    assert estate.uc("admin", "GET", "storage-credentials/cred")["azure_managed_identity"]["access_connector_id"] == CONNECTOR


def test_a_location_is_refused_until_the_role_assignment_is_there(estate: Governed) -> None:
    (estate.estate.paths.adls / "accone" / "other").mkdir()
    body: dict[str, object] = {"name": "other", "url": "abfss://other@accone.dfs.core.windows.net/", "credential_name": "cred"}
    estate.roles.clear()
    error = _refused(estate, "admin", "POST", "external-locations", body)
    assert (error.status, error.code) == (403, "PERMISSION_DENIED")
    assert "does not have READ permissions on path abfss://other@accone.dfs.core.windows.net" in error.message
    estate.roles.add("connector-object")
    assert estate.uc("admin", "POST", "external-locations", body)["url"] == "abfss://other@accone.dfs.core.windows.net"


@pytest.mark.parametrize("url", [ROOT, f"{ROOT}/below", "abfss://LAKE@accone.dfs.core.windows.net/x/"])
def test_overlapping_locations_are_refused(estate: Governed, url: str) -> None:
    error = _refused(estate, "admin", "POST", "external-locations", {"name": "again", "url": url, "credential_name": "cred"})
    assert error.code == "INVALID_PARAMETER_VALUE"
    assert "Conflicting location: lake" in error.message


def test_a_catalog_needs_a_location_for_its_storage(estate: Governed) -> None:
    outside = "abfss://nowhere@accone.dfs.core.windows.net/c"
    assert (
        "no parent external location was found"
        in _refused(estate, "admin", "POST", "catalogs", {"name": "d", "storage_root": outside}).message
    )
    assert "Metastore storage root URL does not exist" in _refused(estate, "admin", "POST", "catalogs", {"name": "d"}).message


def test_managed_storage_needs_its_privilege_on_the_location(estate: Governed) -> None:
    metastore = estate.uc("admin", "GET", "metastore_summary")["metastore_id"]
    body: dict[str, object] = {"name": "mine", "storage_root": f"{ROOT}/mine"}
    assert _refused(estate, "alice", "POST", "catalogs", body).message == "User does not have CREATE CATALOG on Metastore 'main'."
    estate.grant("metastore", metastore, "engineers", "CREATE_CATALOG")
    assert (
        _refused(estate, "alice", "POST", "catalogs", body).message
        == "User does not have CREATE MANAGED STORAGE on External Location 'lake'."
    )
    estate.grant("external_location", "lake", "engineers", "CREATE_MANAGED_STORAGE")
    assert estate.uc("alice", "POST", "catalogs", body)["owner"] == "alice"


@pytest.mark.parametrize("kind", ["tables", "volumes"])
def test_external_data_needs_its_privilege_on_the_location(estate: Governed, kind: str) -> None:
    privilege = {"tables": "CREATE_EXTERNAL_TABLE", "volumes": "CREATE_EXTERNAL_VOLUME"}[kind]
    estate.grant("catalog", "c", "alice", "USE_CATALOG", "USE_SCHEMA", "CREATE_TABLE", "CREATE_VOLUME")
    body: dict[str, object] = {
        "name": "e",
        **_IN,
        "table_type": "EXTERNAL",
        "volume_type": "EXTERNAL",
        "storage_location": f"{ROOT}/outside/e",
    }
    message = _refused(estate, "alice", "POST", kind, body).message
    assert message == f"User does not have {privilege.replace('_', ' ')} on External Location 'lake'."
    estate.grant("external_location", "lake", "alice", privilege)
    assert estate.uc("alice", "POST", kind, body)["storage_location"] == f"{ROOT}/outside/e"


@pytest.mark.parametrize("url", [f"{ROOT}/ext/e", f"{ROOT}/ext", f"{ROOT}/ext/e/deeper", f"{ROOT}/c/inside"])
def test_external_data_shares_no_path(estate: Governed, url: str) -> None:
    estate.uc("admin", "POST", "volumes", {"name": "e", **_IN, "volume_type": "EXTERNAL", "storage_location": f"{ROOT}/ext/e"})
    body: dict[str, object] = {"name": "f", **_IN, "table_type": "EXTERNAL", "storage_location": url}
    assert "LOCATION_OVERLAP" in _refused(estate, "admin", "POST", "tables", body).message


def test_a_location_in_use_is_kept_unless_forced(estate: Governed) -> None:
    assert "used by 1 dependent object(s): c" in _refused(estate, "admin", "DELETE", "external-locations/lake").message
    assert "used by 1 external location(s): lake" in _refused(estate, "admin", "DELETE", "storage-credentials/cred").message
    estate.uc("admin", "DELETE", "external-locations/lake", force="true")
    estate.uc("admin", "DELETE", "storage-credentials/cred")


@pytest.mark.parametrize(("kind", "extra"), [("tables", {}), ("volumes", {"volume_type": "MANAGED"})])
def test_dropping_managed_data_removes_its_bytes(estate: Governed, kind: str, extra: dict[str, str]) -> None:
    made = estate.uc("admin", "POST", kind, {"name": "x", **_IN, **extra})
    directory = estate.estate.paths.adls / "accone" / "lake" / made["storage_location"].removeprefix(ROOT + "/")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "part-0").write_text("x")
    estate.uc("admin", "DELETE", f"{kind}/c.s.x")
    assert not directory.exists()


def test_a_drop_that_was_cut_short_is_finished_at_the_next_start(estate: Governed) -> None:
    made = estate.uc("admin", "POST", "volumes", {"name": "x", **_IN, "volume_type": "MANAGED"})
    directory = estate.estate.paths.adls / "accone" / "lake" / made["storage_location"].removeprefix(ROOT + "/")
    with estate.estate.store.transaction() as transaction:
        transaction.put(GARBAGE, made["volume_id"], {"location": made["storage_location"]})
    assert SERVICE.start is not None
    SERVICE.start(estate.estate)
    assert not directory.exists()
    assert estate.estate.store.read.count(GARBAGE) == 0


def test_dropping_external_data_leaves_its_bytes(estate: Governed) -> None:
    estate.uc("admin", "POST", "volumes", {"name": "e", **_IN, "volume_type": "EXTERNAL", "storage_location": f"{ROOT}/ext/e"})
    directory = estate.estate.paths.adls / "accone" / "lake" / "ext" / "e"
    (directory / "day1.csv").write_text("x")
    estate.uc("admin", "DELETE", "volumes/c.s.e")
    assert (directory / "day1.csv").exists()


def test_a_staging_table_given_up_is_swept(estate: Governed) -> None:
    staging = estate.uc("admin", "POST", "staging-tables", {"name": "n", **_IN})
    directory = estate.estate.paths.adls / "accone" / "lake" / staging["staging_location"].removeprefix(ROOT + "/")
    directory.mkdir(parents=True)
    sweep(estate.estate)
    assert directory.exists()
    estate.estate.clock.offset_seconds += STAGING_SECONDS + 1
    sweep(estate.estate)
    assert not directory.exists()


def test_a_catalog_owns_default_and_information_schema_and_is_kept_while_it_holds_schemas(estate: Governed) -> None:
    assert [each["name"] for each in estate.uc("admin", "GET", "schemas", catalog_name="c")["schemas"]] == [
        "default",
        "information_schema",
        "s",
    ]
    assert _refused(estate, "admin", "DELETE", "catalogs/c").message.startswith("Catalog 'c' is not empty. The catalog has 2 schema(s)")
    for name in ("default", "s"):
        estate.uc("admin", "DELETE", f"schemas/c.{name}")
    estate.uc("admin", "DELETE", "catalogs/c")
    assert _refused(estate, "admin", "GET", "catalogs/c").message == "Catalog 'c' does not exist."


def test_a_schema_that_holds_something_is_kept_unless_forced(estate: Governed) -> None:
    estate.uc("admin", "POST", "tables", {"name": "t", **_IN})
    error = _refused(estate, "admin", "DELETE", "schemas/c.s")
    assert error.message == "Schema 'c.s' is not empty. The schema has 1 table(s), 0 function(s), 0 volume(s), 0 model(s)."
    estate.uc("admin", "DELETE", "schemas/c.s", force="true")
    assert _refused(estate, "admin", "GET", "tables/c.s.t").code == "SCHEMA_DOES_NOT_EXIST"


def test_renaming_keeps_ids_grants_and_paths(estate: Governed) -> None:
    table = estate.uc("admin", "POST", "tables", {"name": "t", **_IN})
    estate.grant("table", "c.s.t", "bob", "SELECT")
    estate.uc("admin", "PATCH", "catalogs/c", {"new_name": "renamed"})
    moved = estate.uc("admin", "GET", "tables/renamed.s.t")
    assert (moved["table_id"], moved["storage_location"]) == (table["table_id"], table["storage_location"])
    assert (moved["catalog_name"], moved["schema_name"]) == ("renamed", "s")
    grants = estate.uc("admin", "GET", "permissions/table/renamed.s.t")["privilege_assignments"]
    assert grants == [{"principal": "bob", "privileges": ["SELECT"]}]
    assert _refused(estate, "admin", "GET", "tables/c.s.t").code == "CATALOG_DOES_NOT_EXIST"


def test_a_writer_evolves_columns_but_neither_masks_nor_comments(estate: Governed) -> None:
    mask = {"function_name": "c.s.f"}
    columns = [{"name": "id", "type_text": "bigint", "type_name": "LONG"}, {"name": "email", "type_text": "string", "mask": mask}]
    estate.uc("admin", "POST", "tables", {"name": "t", **_IN, "columns": columns})
    estate.grant("catalog", "c", "alice", "USE_CATALOG", "USE_SCHEMA", "MODIFY")
    bare = [{"name": "id", "type_text": "bigint"}, {"name": "email", "type_text": "string"}, {"name": "more", "type_text": "date"}]
    updated = estate.uc("alice", "PATCH", "tables/c.s.t", {"columns": bare})
    assert [(each["name"], each["position"], each.get("mask")) for each in updated["columns"]] == [
        ("id", 0, None),
        ("email", 1, mask),
        ("more", 2, None),
    ]
    assert _refused(estate, "alice", "PATCH", "tables/c.s.t", {"comment": "mine"}).message == "User does not have MANAGE on Table 'c.s.t'."
    masked = [{"name": "id", "type_text": "bigint", "mask": mask}]
    assert _refused(estate, "alice", "PATCH", "tables/c.s.t", {"columns": masked}).code == "PERMISSION_DENIED"
    assert _refused(estate, "bob", "PATCH", "tables/c.s.t", {"columns": bare}).message == "User does not have USE CATALOG on Catalog 'c'."


def test_one_name_one_table(estate: Governed) -> None:
    estate.uc("admin", "POST", "tables", {"name": "T", **_IN})
    error = _refused(estate, "admin", "POST", "tables", {"name": "t", **_IN})
    assert (error.code, error.status, error.message) == ("TABLE_ALREADY_EXISTS", 400, "Table 'c.s.t' already exists")


@pytest.mark.parametrize("name", ["", "a b", "a.b", "a/b", "a\x01"])
def test_names_that_unity_catalog_bans_are_refused(estate: Governed, name: str) -> None:
    error = _refused(estate, "admin", "POST", "schemas", {"name": name, "catalog_name": "c"})
    assert error.code == "INVALID_PARAMETER_VALUE"
    assert error.message.startswith("CreateSchema ")


def test_an_empty_update_says_so(estate: Governed) -> None:
    assert _refused(estate, "admin", "PATCH", "schemas/c.s", {}).message == "UpdateSchema Nothing to update"


def test_pages_follow_max_results(estate: Governed) -> None:
    for number in range(5):
        estate.uc("admin", "POST", "tables", {"name": f"t{number}", **_IN})
    seen: list[str] = []
    token = ""
    while True:
        answer = estate.uc("admin", "GET", "tables", **_IN, max_results=2, page_token=token)
        seen += [each["name"] for each in answer["tables"]]
        token = answer.get("next_page_token", "")
        if not token:
            break
    assert seen == [f"t{number}" for number in range(5)]
    assert "next_page_token" not in estate.uc("admin", "GET", "tables", **_IN)
    assert _refused(estate, "admin", "GET", "tables", **_IN, max_results=-1).code == "INVALID_PARAMETER_VALUE"


def test_one_metastore_per_region(estate: Governed) -> None:
    account = "/api/2.0/accounts/c4d5e6f7-1a2b-4c3d-8e9f-0a1b2c3d4e5f"
    with pytest.raises(ApiError, match="limit for metastores in region australiaeast"):
        estate.ask("admin", "POST", f"{account}/metastores", {"metastore_info": {"name": "second", "region": "australiaeast"}})
