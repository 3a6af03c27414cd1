"""Who may do what: every privilege on every securable for a principal granted it and for one who is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local_estate.api.kernel.errors import ApiError
from local_estate.api.services.unity_catalog.securables import NOT_IN_ALL_PRIVILEGES, PRIVILEGES, Securable
from tests.api.governed_fixtures import Governed, governed

_NAMES = {
    Securable.METASTORE: "",
    Securable.CATALOG: "c",
    Securable.SCHEMA: "c.s",
    Securable.TABLE: "c.s.t",
    Securable.VOLUME: "c.s.v",
    Securable.FUNCTION: "c.s.f",
    Securable.STORAGE_CREDENTIAL: "cred",
    Securable.EXTERNAL_LOCATION: "lake",
}
_MATRIX = [(securable, privilege) for securable in Securable for privilege in sorted(PRIVILEGES[securable] - {"ALL_PRIVILEGES"})]
_INHERITED = [
    (above, below, privilege)
    for above, below in (
        (Securable.CATALOG, Securable.SCHEMA),
        (Securable.CATALOG, Securable.TABLE),
        (Securable.SCHEMA, Securable.VOLUME),
        (Securable.SCHEMA, Securable.FUNCTION),
    )
    for privilege in sorted((PRIVILEGES[above] & PRIVILEGES[below]) - {"ALL_PRIVILEGES"})
]


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Governed]:
    made = governed(tmp_path)
    made.uc("admin", "POST", "tables", {"name": "t", "catalog_name": "c", "schema_name": "s", "columns": []})
    made.uc("admin", "POST", "volumes", {"name": "v", "catalog_name": "c", "schema_name": "s", "volume_type": "MANAGED"})
    function = {"name": "f", "catalog_name": "c", "schema_name": "s", "routine_definition": "1"}
    made.uc("admin", "POST", "functions", {"function_info": function})
    yield made
    made.estate.store.close()


def _metastore(estate: Governed) -> str:
    return str(estate.uc("admin", "GET", "metastore_summary")["metastore_id"])


def _open_the_way(estate: Governed, securable: Securable) -> None:
    """Gives both principals the usage chain, so that the privilege alone decides."""
    for who in ("engineers", "analysts"):
        if securable in (Securable.SCHEMA, Securable.TABLE, Securable.VOLUME, Securable.FUNCTION):
            estate.grant("catalog", "c", who, "USE_CATALOG")
        if securable in (Securable.TABLE, Securable.VOLUME, Securable.FUNCTION):
            estate.grant("schema", "c.s", who, "USE_SCHEMA")


@pytest.mark.parametrize(("securable", "privilege"), _MATRIX, ids=lambda value: str(value))
def test_a_privilege_lets_its_holder_and_nobody_else(estate: Governed, securable: Securable, privilege: str) -> None:
    name = _NAMES[securable] or _metastore(estate)
    _open_the_way(estate, securable)
    estate.grant(securable.value, name, "engineers", privilege)

    assert estate.may("alice", privilege, securable, name) == {"allowed": True}
    refused = estate.may("bob", privilege, securable, name)
    shown = "main" if securable is Securable.METASTORE else name
    assert refused == {
        "allowed": False,
        "error_code": "PERMISSION_DENIED",
        "message": f"User does not have {privilege.replace('_', ' ')} on {securable.label} '{shown}'.",
    }


@pytest.mark.parametrize(("above", "below", "privilege"), _INHERITED, ids=lambda value: str(value))
def test_a_privilege_is_inherited_from_above(estate: Governed, above: Securable, below: Securable, privilege: str) -> None:
    _open_the_way(estate, below)
    estate.grant(above.value, _NAMES[above], "engineers", privilege)
    assert estate.may("alice", privilege, below, _NAMES[below])["allowed"]
    assert estate.may("bob", privilege, below, _NAMES[below])["allowed"] is (privilege == "USE_SCHEMA" and below is not Securable.SCHEMA)


@pytest.mark.parametrize("privilege", sorted(PRIVILEGES[Securable.CATALOG] - {"ALL_PRIVILEGES"}))
def test_all_privileges_is_everything_but_what_must_be_given_by_name(estate: Governed, privilege: str) -> None:
    estate.grant("catalog", "c", "engineers", "ALL_PRIVILEGES")
    assert estate.may("alice", privilege, "CATALOG", "c")["allowed"] is (privilege not in NOT_IN_ALL_PRIVILEGES)


def test_the_first_missing_link_from_the_catalog_down_is_named(estate: Governed) -> None:
    estate.grant("table", "c.s.t", "bob", "SELECT")
    assert estate.may("bob", "SELECT", "TABLE", "c.s.t")["message"] == "User does not have USE CATALOG on Catalog 'c'."
    estate.grant("catalog", "c", "bob", "USE_CATALOG")
    assert estate.may("bob", "SELECT", "TABLE", "c.s.t")["message"] == "User does not have USE SCHEMA on Schema 'c.s'."
    estate.grant("schema", "c.s", "bob", "USE_SCHEMA")
    assert estate.may("bob", "SELECT", "TABLE", "c.s.t") == {"allowed": True}
    assert estate.may("bob", "MODIFY", "TABLE", "c.s.t")["message"] == "User does not have MODIFY on Table 'c.s.t'."


def test_a_stranger_does_not_learn_what_exists(estate: Governed) -> None:
    missing, present = (estate.may("carol", "SELECT", "TABLE", f"c.s.{name}") for name in ("nothing", "t"))
    assert missing == present
    assert missing["message"] == "User does not have USE CATALOG on Catalog 'c'."


def test_owning_a_catalog_manages_what_is_in_it_but_reads_no_data(estate: Governed) -> None:
    estate.uc("admin", "PATCH", "catalogs/c", {"owner": "alice"})
    assert estate.may("alice", "MANAGE", "TABLE", "c.s.t")["allowed"]
    assert estate.may("alice", "SELECT", "TABLE", "c.s.t")["message"] == "User does not have SELECT on Table 'c.s.t'."


def test_a_metastore_admin_manages_everything_and_reads_no_data_of_others(estate: Governed) -> None:
    estate.uc("admin", "PATCH", "tables/c.s.t", {"owner": "alice"})
    assert estate.may("admin", "MANAGE", "TABLE", "c.s.t")["allowed"]
    assert not estate.may("admin", "SELECT", "TABLE", "c.s.t")["allowed"]
    estate.grant("table", "c.s.t", "admin", "SELECT")
    assert estate.may("admin", "SELECT", "TABLE", "c.s.t")["allowed"]


def test_the_group_that_owns_the_metastore_is_its_admin(estate: Governed) -> None:
    estate.ask("admin", "PATCH", f"/api/2.1/unity-catalog/metastores/{_metastore(estate)}", {"owner": "engineers"})
    assert estate.may("alice", "CREATE_CATALOG", "METASTORE", "")["allowed"]
    assert not estate.may("bob", "CREATE_CATALOG", "METASTORE", "")["allowed"]


def test_manage_lets_grant_and_drop_with_the_usage_chain(estate: Governed) -> None:
    estate.grant("catalog", "c", "engineers", "MANAGE")
    with pytest.raises(ApiError, match="User does not have USE CATALOG on Catalog 'c'."):
        estate.uc("alice", "DELETE", "tables/c.s.t")
    estate.grant("catalog", "c", "engineers", "USE_CATALOG", "USE_SCHEMA")
    estate.uc("alice", "PATCH", "permissions/schema/c.s", {"changes": [{"principal": "bob", "add": ["SELECT"]}]})
    estate.uc("alice", "DELETE", "tables/c.s.t")
    with pytest.raises(ApiError, match="Table 'c.s.t' does not exist."):
        estate.uc("alice", "GET", "tables/c.s.t")


def test_browse_shows_metadata_without_the_usage_chain(estate: Governed) -> None:
    estate.grant("catalog", "c", "analysts", "BROWSE")
    assert estate.uc("bob", "GET", "catalogs/c")["browse_only"] is True
    assert estate.uc("bob", "GET", "tables/c.s.t")["browse_only"] is True
    assert [table["name"] for table in estate.uc("bob", "GET", "tables", catalog_name="c", schema_name="s")["tables"]] == ["t"]
    assert not estate.may("bob", "SELECT", "TABLE", "c.s.t")["allowed"]


def test_lists_hold_what_the_caller_may_see(estate: Governed) -> None:
    estate.uc("admin", "POST", "tables", {"name": "hidden", "catalog_name": "c", "schema_name": "s"})
    assert estate.uc("bob", "GET", "catalogs") == {"catalogs": []}
    estate.grant("catalog", "c", "bob", "USE_CATALOG")
    assert [each["name"] for each in estate.uc("bob", "GET", "catalogs")["catalogs"]] == ["c"]
    assert [each["name"] for each in estate.uc("bob", "GET", "schemas", catalog_name="c")["schemas"]] == ["information_schema"]
    estate.grant("schema", "c.s", "bob", "USE_SCHEMA")
    estate.grant("table", "c.s.t", "bob", "SELECT")
    assert [each["name"] for each in estate.uc("bob", "GET", "tables", catalog_name="c", schema_name="s")["tables"]] == ["t"]


@pytest.mark.parametrize(
    ("securable_type", "name", "privilege"),
    [
        ("table", "c.s.t", "READ_VOLUME"),
        ("volume", "c.s.v", "SELECT"),
        ("catalog", "c", "READ_FILES"),
        ("external_location", "lake", "USE_CATALOG"),
    ],
)
def test_a_privilege_that_does_not_fit_the_securable_is_refused_by_both_names(
    estate: Governed, securable_type: str, name: str, privilege: str
) -> None:
    with pytest.raises(ApiError) as refused:
        estate.grant(securable_type, name, "bob", privilege)
    assert refused.value.code == "INVALID_PARAMETER_VALUE"
    assert privilege.replace("_", " ") in refused.value.message
    assert f"{name}:{securable_type.upper()}" in refused.value.message


def test_a_grant_to_nobody_is_refused(estate: Governed) -> None:
    with pytest.raises(ApiError) as refused:
        estate.grant("schema", "c.s", "ghosts", "SELECT")
    assert (refused.value.code, refused.value.message) == ("PRINCIPAL_DOES_NOT_EXIST", "Could not find principal with name ghosts")


def test_adding_and_removing_the_same_privilege_is_refused(estate: Governed) -> None:
    with pytest.raises(ApiError, match="SELECT is both added to and removed from principal bob"):
        estate.uc("admin", "PATCH", "permissions/schema/c.s", {"changes": [{"principal": "bob", "add": ["SELECT"], "remove": ["SELECT"]}]})


def test_removing_all_privileges_clears(estate: Governed) -> None:
    estate.grant("schema", "c.s", "bob", "SELECT", "MODIFY")
    changes = {"changes": [{"principal": "bob", "remove": ["ALL_PRIVILEGES"]}]}
    assert estate.uc("admin", "PATCH", "permissions/schema/c.s", changes) == {"privilege_assignments": []}


def test_effective_permissions_say_where_each_comes_from(estate: Governed) -> None:
    estate.grant("catalog", "c", "bob", "SELECT", "USE_CATALOG")
    estate.grant("table", "c.s.t", "bob", "MODIFY")
    answer = estate.uc("admin", "GET", "effective-permissions/table/c.s.t", principal="bob")
    assert answer["privilege_assignments"] == [
        {
            "principal": "bob",
            "privileges": [
                {"privilege": "MODIFY"},
                {"privilege": "SELECT", "inherited_from_type": "CATALOG", "inherited_from_name": "c"},
            ],
        }
    ]


def test_an_isolated_catalog_is_usable_only_where_it_is_bound(estate: Governed) -> None:
    estate.uc("admin", "PATCH", "catalogs/c", {"isolation_mode": "ISOLATED"})
    estate.grant("catalog", "c", "engineers", "ALL_PRIVILEGES")
    check = {"checks": [{"privilege": "SELECT", "securable_type": "TABLE", "full_name": "c.s.t"}]}
    assert estate.may("alice", "SELECT", "TABLE", "c.s.t")["allowed"]
    elsewhere = estate.ask("alice", "POST", "/api/estate/1.0/authorize", check, workspace=1002)["results"][0]
    assert elsewhere["message"] == "Catalog 'c' is not accessible in current workspace"
    assert estate.uc("alice", "GET", "catalogs", workspace=1002) == {"catalogs": []}

    estate.uc("admin", "PATCH", "bindings/catalog/c", {"add": [{"workspace_id": 1002, "binding_type": "BINDING_TYPE_READ_ONLY"}]})
    assert estate.ask("alice", "POST", "/api/estate/1.0/authorize", check, workspace=1002)["results"] == [{"allowed": True}]
    write = {"checks": [{"privilege": "MODIFY", "securable_type": "TABLE", "full_name": "c.s.t"}]}
    refused = estate.ask("alice", "POST", "/api/estate/1.0/authorize", write, workspace=1002)["results"][0]
    assert refused["message"] == "Catalog 'c' is read-only in current workspace"


def test_create_table_needs_its_privilege(estate: Governed) -> None:
    estate.grant("catalog", "c", "engineers", "USE_CATALOG")
    estate.grant("schema", "c.s", "engineers", "USE_SCHEMA")
    with pytest.raises(ApiError, match="User does not have CREATE TABLE on Schema 'c.s'."):
        estate.uc("alice", "POST", "staging-tables", {"name": "n", "catalog_name": "c", "schema_name": "s"})
    estate.grant("schema", "c.s", "engineers", "CREATE_TABLE")
    assert estate.uc("alice", "POST", "staging-tables", {"name": "n", "catalog_name": "c", "schema_name": "s"})["id"]


def test_the_information_schema_is_open_to_whoever_may_use_the_catalog(estate: Governed) -> None:
    assert (
        estate.may("bob", "SELECT", "TABLE", "c.information_schema.tables")["message"] == "User does not have USE CATALOG on Catalog 'c'."
    )
    estate.grant("catalog", "c", "bob", "USE_CATALOG")
    assert estate.may("bob", "SELECT", "TABLE", "c.information_schema.tables") == {"allowed": True}
    assert not estate.may("bob", "MODIFY", "TABLE", "c.information_schema.tables")["allowed"]


def test_the_older_bindings_call_still_rebinds_an_isolated_catalog(estate: Governed) -> None:
    estate.uc("admin", "PATCH", "catalogs/c", {"isolation_mode": "ISOLATED"})
    body = {"assign_workspaces": [1002], "unassign_workspaces": [1001]}
    assert estate.uc("admin", "PATCH", "workspace-bindings/catalogs/c", body) == {"workspaces": [1002]}
    with pytest.raises(ApiError, match="Catalog 'c' is not accessible in current workspace"):
        estate.uc("admin", "POST", "schemas", {"name": "n", "catalog_name": "c"})
    assert estate.uc("admin", "PATCH", "workspace-bindings/catalogs/c", {"assign_workspaces": [1001]}) == {"workspaces": [1001, 1002]}
    with pytest.raises(ApiError, match="Workspace 7 does not exist"):
        estate.uc("admin", "PATCH", "workspace-bindings/catalogs/c", {"assign_workspaces": [7]})


def test_a_table_is_read_through_its_view_only_by_a_grant_on_the_view(estate: Governed) -> None:
    view = {"name": "w", "catalog_name": "c", "schema_name": "s", "table_type": "VIEW", "view_definition": "select 1"}
    assert "storage_location" not in estate.uc("admin", "POST", "tables", view)
    estate.grant("catalog", "c", "bob", "USE_CATALOG", "USE_SCHEMA")
    estate.grant("table", "c.s.w", "bob", "SELECT")
    assert estate.may("bob", "SELECT", "TABLE", "c.s.w")["allowed"]
    assert not estate.may("bob", "SELECT", "TABLE", "c.s.t")["allowed"]
