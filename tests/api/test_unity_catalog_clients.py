"""Unity Catalog as the published SDK uses it, the way the Terraform and Pulumi providers go about it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from databricks.sdk.errors import BadRequest, InvalidParameterValue, NotFound, PermissionDenied
from databricks.sdk.service.catalog import (
    AzureManagedIdentityRequest,
    CatalogIsolationMode,
    CreateMetastoreAssignment,
    FunctionInfo,
    PermissionsChange,
    Privilege,
    SecurableType,
    VolumeType,
    WorkspaceBinding,
    WorkspaceBindingBindingType,
)

from tests.api.workspace_world import World, make_world


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with make_world() as made:
        yield made


@pytest.fixture
def catalog(world: World, request: pytest.FixtureRequest) -> str:
    """A catalog of the test's own."""
    name = f"c{abs(hash(request.node.name))}"
    world.admin.catalogs.create(name, storage_root=f"{world.root}/{name}")
    return name


def test_the_account_makes_a_metastore_and_assigns_it(world: World) -> None:
    account = world.account
    metastore = next(iter(account.metastores.list()))
    assert metastore.metastore_id is not None
    got = account.metastores.get(metastore.metastore_id).metastore_info
    assert got is not None and (got.name, got.region, got.owner) == ("main", "australiaeast", world.name("admin"))
    assert world.workspaces["one"] in list(account.metastore_assignments.list(metastore.metastore_id))
    account.metastore_assignments.create(
        world.workspaces["one"],
        metastore.metastore_id,
        metastore_assignment=CreateMetastoreAssignment(
            workspace_id=world.workspaces["one"], metastore_id=metastore.metastore_id, default_catalog_name="x"
        ),
    )
    current = world.admin.metastores.current()
    assert (current.metastore_id, current.workspace_id) == (metastore.metastore_id, world.workspaces["one"])
    assert world.admin.metastores.summary().metastore_id == metastore.metastore_id


def test_only_account_admins_touch_metastores(world: World) -> None:
    with pytest.raises(PermissionDenied, match="Only account admin can perform this operation"):
        world.client("alice").metastores.create("mine", region="westeurope")


def test_a_catalog_comes_with_what_unity_catalog_fills_in(world: World, catalog: str) -> None:
    got = world.admin.catalogs.get(catalog.upper()).as_dict()
    assert got["name"] == got["full_name"] == catalog
    assert got["catalog_type"] == "MANAGED_CATALOG"
    assert got["isolation_mode"] == "OPEN"
    assert got["enable_predictive_optimization"] == "INHERIT"
    assert {"owner", "created_at", "created_by", "updated_at", "metastore_id", "storage_location"} <= set(got)


def test_a_provider_deletes_default_right_after_creating_a_catalog(world: World, catalog: str) -> None:
    world.admin.schemas.delete(f"{catalog}.default")
    assert [each.name for each in world.admin.schemas.list(catalog)] == ["information_schema"]
    with pytest.raises(InvalidParameterValue, match="system schema"):
        world.admin.schemas.delete(f"{catalog}.information_schema")


def test_grants_read_back_as_they_were_given(world: World, catalog: str) -> None:
    changes = [
        PermissionsChange(principal="engineers", add=[Privilege.USE_CATALOG, Privilege.SELECT]),
        PermissionsChange(principal=world.name("bob"), add=[Privilege.BROWSE]),
    ]
    world.admin.grants.update("catalog", catalog, changes=changes)
    got = world.admin.grants.get("catalog", catalog).privilege_assignments or []
    assert {each.principal: set(each.privileges or []) for each in got} == {
        "engineers": {Privilege.USE_CATALOG, Privilege.SELECT},
        world.name("bob"): {Privilege.BROWSE},
    }
    world.admin.grants.update("catalog", catalog, changes=[PermissionsChange(principal=world.name("bob"), remove=[Privilege.BROWSE])])
    left = world.admin.grants.get("catalog", catalog).privilege_assignments or []
    assert [each.principal for each in left] == ["engineers"]


def test_refusals_reach_the_client_by_their_names(world: World, catalog: str) -> None:
    with pytest.raises(InvalidParameterValue, match=rf"Privilege READ FILES is not applicable to this entity \[{catalog}:CATALOG\]"):
        world.admin.grants.update("catalog", catalog, changes=[PermissionsChange(principal="engineers", add=[Privilege.READ_FILES])])
    with pytest.raises(NotFound, match="Could not find principal with name ghosts"):
        world.admin.grants.update("catalog", catalog, changes=[PermissionsChange(principal="ghosts", add=[Privilege.SELECT])])
    with pytest.raises(NotFound, match=f"Schema '{catalog}.none' does not exist."):
        world.admin.schemas.get(f"{catalog}.none")
    with pytest.raises(BadRequest, match=f"Catalog '{catalog}' already exists"):
        world.admin.catalogs.create(catalog, storage_root=f"{world.root}/{catalog}")
    with pytest.raises(PermissionDenied, match=rf"User does not have USE CATALOG on Catalog '{catalog}'\."):
        world.client("bob").schemas.create("mine", catalog)
    with pytest.raises(PermissionDenied, match=rf"User does not have MANAGE on Catalog '{catalog}'\."):
        world.client("bob").catalogs.delete(catalog)


def test_an_isolated_catalog_binds_the_workspace_that_isolates_it(world: World, catalog: str) -> None:
    world.admin.catalogs.update(catalog, isolation_mode=CatalogIsolationMode.ISOLATED)
    world.admin.grants.update("catalog", catalog, changes=[PermissionsChange(principal="engineers", add=[Privilege.ALL_PRIVILEGES])])
    bound = list(world.admin.workspace_bindings.get_bindings("catalog", catalog))
    assert [(each.workspace_id, each.binding_type) for each in bound] == [
        (world.workspaces["one"], WorkspaceBindingBindingType.BINDING_TYPE_READ_WRITE)
    ]
    assert catalog in {each.name for each in world.client("alice").catalogs.list()}
    assert catalog not in {each.name for each in world.elsewhere("alice").catalogs.list()}
    with pytest.raises(PermissionDenied, match=f"Catalog '{catalog}' is not accessible in current workspace"):
        world.elsewhere("alice").schemas.create("s", catalog)
    world.admin.workspace_bindings.update_bindings(
        "catalog", catalog, add=[WorkspaceBinding(world.workspaces["two"], WorkspaceBindingBindingType.BINDING_TYPE_READ_WRITE)]
    )
    assert world.elsewhere("alice").schemas.create("s", catalog).full_name == f"{catalog}.s"


def test_owner_changes_by_patch_and_must_exist(world: World, catalog: str) -> None:
    assert world.admin.catalogs.update(catalog, owner="engineers").owner == "engineers"
    assert world.client("alice").schemas.create("made", catalog).owner == world.name("alice")
    with pytest.raises(NotFound, match="Could not find principal with name ghosts"):
        world.admin.catalogs.update(catalog, owner="ghosts")


def test_volumes_are_found_listed_renamed_and_removed(world: World, catalog: str) -> None:
    world.admin.schemas.create("S", catalog)
    volume = world.admin.volumes.create(catalog, "s", "Landing", VolumeType.EXTERNAL, storage_location=f"{world.root}/x/{catalog}/")
    assert (volume.full_name, volume.storage_location) == (f"{catalog}.s.landing", f"{world.root}/x/{catalog}")
    renamed = world.admin.volumes.update(f"{catalog}.s.landing", new_name="inbox")
    assert (renamed.full_name, renamed.volume_id) == (f"{catalog}.s.inbox", volume.volume_id)
    assert [each.name for each in world.admin.volumes.list(catalog, "s")] == ["inbox"]
    world.admin.volumes.delete(f"{catalog}.s.inbox")
    with pytest.raises(BadRequest, match="storage_location must not be set for a MANAGED volume"):
        world.admin.volumes.create(catalog, "s", "m", VolumeType.MANAGED, storage_location=f"{world.root}/y")


def test_credentials_and_locations_complete_themselves(world: World) -> None:
    credential = world.admin.storage_credentials.create("Second", azure_managed_identity=AzureManagedIdentityRequest(world.connector_id))
    assert credential.name == "second"
    assert credential.azure_managed_identity is not None and credential.azure_managed_identity.credential_id == credential.id
    location = world.admin.external_locations.get("lake")
    assert (location.url, location.credential_name, location.read_only, location.fallback) == (world.root, "cred", False, False)
    results = world.admin.storage_credentials.validate(storage_credential_name="cred", url=world.root).results or []
    assert {each.result.value for each in results if each.result} == {"PASS"}
    with pytest.raises(InvalidParameterValue, match="Conflicting location: lake"):
        world.admin.external_locations.create("again", f"{world.root}/sub", "cred")
    world.admin.storage_credentials.delete("second")


def test_a_location_waits_for_its_role_assignment(world: World) -> None:
    url = world.container("second")
    assignment = world.assign_storage_role()
    world.arm("DELETE", assignment)
    try:
        with pytest.raises(PermissionDenied, match=rf"The Azure Managed Identity does not have READ permissions on path {url}"):
            world.admin.external_locations.create("second", url, "cred")
        failed = world.admin.storage_credentials.validate(storage_credential_name="cred", url=url).results or []
        assert {each.result.value for each in failed if each.result} == {"FAIL"}
    finally:
        world.assign_storage_role()
    assert world.admin.external_locations.create("second", url, "cred").url == url
    world.admin.external_locations.delete("second")


def test_a_location_needs_its_container(world: World) -> None:
    with pytest.raises(NotFound, match="container none of account accone does not exist"):
        world.admin.external_locations.create("none", "abfss://none@accone.dfs.core.windows.net/", "cred")


def test_spark_asks_with_the_principals_own_token(world: World, catalog: str) -> None:
    world.admin.schemas.create("s", catalog)
    in_schema = {"name": "t", "catalog_name": catalog, "schema_name": "s"}
    run_as = world.client("alice").api_client.do
    grants = [Privilege.USE_CATALOG, Privilege.USE_SCHEMA, Privilege.CREATE_TABLE]
    world.admin.grants.update("catalog", catalog, changes=[PermissionsChange(principal=world.name("alice"), add=grants)])
    staging = dict(run_as("POST", "/api/2.1/unity-catalog/staging-tables", body=in_schema))  # type: ignore[arg-type]
    with pytest.raises(NotFound, match=f"Table '{catalog}.s.t' does not exist."):
        world.client("alice").tables.get(f"{catalog}.s.t")
    body = {**in_schema, "storage_location": staging["staging_location"], "columns": [{"name": "id", "type_text": "bigint"}]}
    run_as("POST", "/api/2.1/unity-catalog/tables", body=body)
    table = world.client("alice").tables.get(f"{catalog}.s.t")
    assert (table.table_id, table.owner) == (staging["id"], world.name("alice"))
    asked = {
        "checks": [{"privilege": privilege, "securable_type": "TABLE", "full_name": table.full_name} for privilege in ("SELECT", "MODIFY")]
    }
    assert run_as("POST", "/api/estate/1.0/authorize", body=asked) == {"results": [{"allowed": True}, {"allowed": True}]}
    path = {"path": f"{table.storage_location}/part-0", "operation": "WRITE"}
    found = dict(run_as("POST", "/api/estate/1.0/resolve-path", body=path))  # type: ignore[arg-type]
    assert (found["prefix"], found["securable_type"], found["full_name"]) == (table.storage_location, "TABLE", f"{catalog}.s.t")
    with pytest.raises(PermissionDenied, match=rf"User does not have USE CATALOG on Catalog '{catalog}'\."):
        world.client("bob").api_client.do("POST", "/api/estate/1.0/resolve-path", body=path)


def test_a_function_is_stored_and_governed(world: World, catalog: str) -> None:
    world.admin.schemas.create("s", catalog)
    body = {
        "function_info": {
            "name": "mask",
            "catalog_name": catalog,
            "schema_name": "s",
            "input_params": {"parameters": [{"name": "v", "type_text": "string", "type_name": "STRING", "position": 0}]},
            "data_type": "STRING",
            "full_data_type": "STRING",
            "routine_body": "SQL",
            "routine_definition": "sha2(v, 256)",
        }
    }
    made = FunctionInfo.from_dict(dict(world.admin.api_client.do("POST", "/api/2.1/unity-catalog/functions", body=body)))  # type: ignore[arg-type]
    assert made.full_name == f"{catalog}.s.mask"
    assert [each.name for each in world.admin.functions.list(catalog, "s")] == ["mask"]
    with pytest.raises(PermissionDenied, match="USE CATALOG"):
        world.client("bob").functions.get(f"{catalog}.s.mask")
    effective = world.admin.grants.get_effective(SecurableType.FUNCTION.value, f"{catalog}.s.mask")
    assert effective.privilege_assignments == []
