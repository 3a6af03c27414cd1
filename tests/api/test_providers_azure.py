"""azure-native on the local ARM face: what the engine relies on, for every type of the platform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from local_estate import tenancy
from local_estate.providers.azure_native.arm_types import ARM_TYPES
from local_estate.providers.azure_native.provider import AzureNative
from local_estate.providers.wire import UNKNOWN, Secret
from tests.api.providers_engine import CheckFailed, Engine, engine_for
from tests.api.providers_world import GROUP, SCOPE, World, azure, deploy_network, deploy_workspace, engines, environment
from tests.conftest import RunningEstate

IN_GROUP: dict[str, Any] = {"resourceGroupName": GROUP}
ZONE = "privatelink.dfs.core.windows.net"


@pytest.fixture(scope="module")
def world(shared_estate: RunningEstate) -> Iterator[World]:
    with engines(shared_estate) as made:
        deploy_network(made.azure)
        deploy_workspace(made.azure)
        yield made


@pytest.fixture
def engine(world: World) -> Engine:
    return world.azure


def everything(engine: Engine) -> None:
    """The types the world does not have yet."""
    lake = {**IN_GROUP, "accountName": "stproviders1"}
    engine.up(
        azure("network:SecurityRule"),
        "rule",
        **IN_GROUP,
        networkSecurityGroupName="nsg",
        securityRuleName="https",
        access="Allow",
        direction="Inbound",
        priority=100,
        protocol="Tcp",
        sourceAddressPrefix="*",
        sourcePortRange="*",
        destinationAddressPrefix="*",
        destinationPortRange="443",
    )
    endpoints = {**IN_GROUP, "virtualNetworkName": "vnet", "subnetName": "endpoints", "addressPrefix": "10.0.9.0/24"}
    engine.up(azure("network:Subnet"), "endpoints", **endpoints)
    engine.up(azure("storage:BlobServiceProperties"), "blobs", **lake, deleteRetentionPolicy={"enabled": True, "days": 7})
    delete = {"actions": {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 5}}}, "filters": {"blobTypes": ["blockBlob"]}}
    rules = [{"name": "expire", "type": "Lifecycle", "definition": delete}]
    engine.up(azure("storage:ManagementPolicy"), "policy", **lake, policy={"rules": rules})
    engine.up(azure("privatedns:PrivateZone"), "zone", **IN_GROUP, privateZoneName=ZONE, location="global")
    engine.up(
        azure("privatedns:VirtualNetworkLink"),
        "link",
        **IN_GROUP,
        privateZoneName=ZONE,
        virtualNetworkLinkName="link",
        location="Global",
        virtualNetwork={"id": engine.id("vnet")},
        registrationEnabled=False,
    )
    connection = {"name": "dfs", "privateLinkServiceId": engine.id("lake"), "groupIds": ["dfs"]}
    engine.up(
        azure("network:PrivateEndpoint"),
        "endpoint",
        **IN_GROUP,
        privateEndpointName="endpoint",
        subnet={"id": engine.id("endpoints")},
        privateLinkServiceConnections=[connection],
    )
    engine.up(
        azure("network:PrivateDnsZoneGroup"),
        "zones",
        **IN_GROUP,
        privateEndpointName="endpoint",
        privateDnsZoneGroupName="default",
        privateDnsZoneConfigs=[{"name": "dfs", "privateDnsZoneId": engine.id("zone")}],
    )
    vault = {"tenantId": tenancy.TENANT_ID, "sku": {"family": "A", "name": "standard"}, "enableRbacAuthorization": True}
    engine.up(azure("keyvault:Vault"), "vault", **IN_GROUP, vaultName="kv-providers", properties=vault)
    secret = {"value": Secret("hunter2")}
    engine.up(azure("keyvault:Secret"), "secret", **IN_GROUP, vaultName="kv-providers", secretName="password", properties=secret)
    workspace = {"workspaceName": "law-providers", "sku": {"name": "PerGB2018"}, "retentionInDays": 30}
    engine.up(azure("operationalinsights:Workspace"), "logs", **IN_GROUP, **workspace)
    engine.up(
        azure("monitor:DiagnosticSetting"),
        "diagnostics",
        resourceUri=engine.id("workspace"),
        name="diagnostics",
        workspaceId=engine.id("logs"),
        logs=[{"category": "jobs", "enabled": True}],
    )


def test_every_type_of_the_platform_is_made_refreshes_empty_and_is_imported_by_its_id_alone(engine: Engine) -> None:
    everything(engine)
    assert {each.token for each in engine.state.values()} == set(ARM_TYPES)
    for name, recorded in list(engine.state.items()):
        assert engine.refresh(name) == [], name
        imported = engine.read(recorded.token, f"{name}-imported", recorded.id, {}, {})
        assert imported is not None and imported.id == recorded.id, name
        checked = engine.check(recorded.token, f"{name}-imported", imported.inputs)
        assert {key for key in recorded.inputs if key not in checked} <= {"properties"}, name


def test_what_was_read_back_is_the_state_and_not_what_was_sent(engine: Engine) -> None:
    lake = engine["lake"]
    assert lake["primaryEndpoints"]["dfs"] == "https://stproviders1.dfs.core.windows.net/"
    assert engine["workspace"]["workspaceUrl"].endswith(".azuredatabricks.net")
    assert engine["workspace"]["provisioningState"] == "Succeeded"
    assert isinstance(engine["workspace"]["workspaceId"], str)


def test_what_the_program_looks_up_is_what_arm_shows_and_a_resource_that_is_not_there_is_named(engine: Engine) -> None:
    found = engine.invoke(azure("databricks:getWorkspace"), resourceGroupName=GROUP, workspaceName=engine["workspace"]["name"])
    assert found["workspaceId"] == engine["workspace"]["workspaceId"]
    assert found["id"] == engine.id("workspace")
    with pytest.raises(grpc.RpcError) as refused:
        engine.invoke(azure("databricks:getWorkspace"), resourceGroupName=GROUP, workspaceName="dbw-none")
    assert refused.value.details().endswith("Microsoft.Databricks/workspaces/dbw-none was not found")
    with pytest.raises(grpc.RpcError) as refused:
        engine.invoke(azure("databricks:getWorkspace"), resourceGroupName=GROUP)
    assert refused.value.details() == "the look-up of a azure-native:databricks:Workspace needs workspaceName"


def test_a_second_up_changes_nothing_and_letter_case_and_spaces_say_nothing(engine: Engine) -> None:
    engine.up(azure("resources:ResourceGroup"), "casing", resourceGroupName="rg-casing", location="Australia East")
    assert engine.up(azure("resources:ResourceGroup"), "casing", resourceGroupName="rg-casing", location="australiaeast") == "same"
    subnet = engine.state["public"].inputs
    shouted = {**subnet, "networkSecurityGroup": {"id": engine.id("nsg").upper().replace("/SUBSCRIPTIONS", "/subscriptions")}}
    assert engine.up(azure("network:Subnet"), "public", **shouted) == "same"


def test_a_changed_location_replaces_and_deletes_first_as_the_id_stays(engine: Engine) -> None:
    token = azure("resources:ResourceGroup")
    engine.up(token, "moving", resourceGroupName="rg-moving", location="australiaeast")
    diff = engine.diff("moving", engine.check(token, "moving", {"resourceGroupName": "rg-moving", "location": "westeurope"}))
    assert list(diff.replaces) == ["location"] and diff.deleteBeforeReplace
    assert engine.up(token, "moving", resourceGroupName="rg-moving", location="westeurope") == "replace"
    assert engine["moving"]["location"] == "westeurope"


def test_drift_shows_on_refresh_and_the_next_up_repairs_it(engine: Engine, world: World) -> None:
    token = azure("resources:ResourceGroup")
    inputs = {"resourceGroupName": "rg-drift", "tags": {"ENVM": "dev"}}
    engine.up(token, "drift", **inputs)
    with engines(world.estate) as other:
        other.azure.import_(token, "drift", engine.id("drift"))
        other.azure.up(token, "drift", **{**inputs, "location": tenancy.REGION, "tags": {"ENVM": "prod", "by": "hand"}})
    assert engine.refresh("drift") == ["tags.ENVM", "tags.by"]
    assert engine.up(token, "drift", **inputs) == "update"
    assert engine["drift"]["tags"] == {"ENVM": "dev"}


def test_subnets_made_as_resources_survive_an_update_of_their_network(engine: Engine) -> None:
    inputs = {**engine.state["vnet"].inputs, "tags": {"SYSTEM": "lakehouse"}}
    assert engine.up(azure("network:VirtualNetwork"), "vnet", **inputs) == "update"
    assert engine.refresh("public") == []
    assert engine.refresh("vnet") == []


def test_a_secret_is_sealed_in_state_wherever_it_was_sealed_in_the_program(engine: Engine) -> None:
    vault = {"tenantId": tenancy.TENANT_ID, "sku": {"family": "A", "name": "standard"}, "enableRbacAuthorization": True}
    engine.up(azure("keyvault:Vault"), "sealed-vault", **IN_GROUP, vaultName="kv-sealed", properties=vault)
    engine.up(
        azure("keyvault:Secret"), "sealed", **IN_GROUP, vaultName="kv-sealed", secretName="s", properties={"value": Secret("hunter3")}
    )
    assert "hunter3" not in engine.stored()
    assert engine.state["sealed"].outputs["properties"]["value"] == Secret("hunter3")
    assert engine.refresh("sealed") == []
    changed = {**IN_GROUP, "vaultName": "kv-sealed", "secretName": "s", "properties": {"value": Secret("hunter4")}}
    assert engine.up(azure("keyvault:Secret"), "sealed", **changed) == "update"


def test_mistakes_are_named_by_property_before_anything_is_called(engine: Engine) -> None:
    with pytest.raises(CheckFailed) as failed:
        engine.check(
            azure("storage:StorageAccount"),
            "bad",
            {"resourceGroupName": GROUP, "kind": 5, "sku": {}, "isHnsEnabed": True, "networkRuleSet": {"defaultActon": "Deny"}},
        )
    assert failed.value.failures == {
        "kind": "Expected a string, got number",
        "sku.name": "Missing required property 'name'",
        "isHnsEnabed": "Unknown property 'isHnsEnabed'; did you mean 'isHnsEnabled'?",
        "networkRuleSet.defaultActon": "Unknown property 'defaultActon'; did you mean 'defaultAction'?",
    }


def test_blob_services_have_one_name(engine: Engine) -> None:
    with pytest.raises(CheckFailed, match="must be 'default', not 'mine'"):
        engine.check(azure("storage:BlobServiceProperties"), "b", {**IN_GROUP, "accountName": "a", "blobServicesName": "mine"})


def test_a_preview_passes_unknowns_on_and_calls_nothing(engine: Engine) -> None:
    outputs = engine.preview(
        azure("network:Subnet"),
        "planned",
        resourceGroupName=UNKNOWN,
        virtualNetworkName="vnet",
        subnetName="planned",
        addressPrefix="10.0.50.0/24",
        networkSecurityGroup={"id": UNKNOWN},
    )
    assert outputs["name"] is UNKNOWN and outputs["addressPrefix"] == "10.0.50.0/24"
    assert outputs["networkSecurityGroup"]["id"] is UNKNOWN


def test_names_that_are_missing_are_made_once_and_kept(engine: Engine) -> None:
    token = azure("storage:StorageAccount")
    inputs = {"resourceGroupName": GROUP, "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    made = engine.check(token, "lake", inputs)["accountName"]
    assert made.startswith("lake") and len(made) == 12
    assert engine.check(token, "lake", inputs, {"accountName": "kept"})["accountName"] == "kept"


def test_arm_errors_reach_the_user_with_their_code_first(engine: Engine) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        engine.up(
            azure("network:Subnet"),
            "outside",
            **IN_GROUP,
            virtualNetworkName="vnet",
            subnetName="outside",
            addressPrefix="192.168.0.0/24",
        )
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details().startswith("NetcfgInvalidSubnet: ")


def test_what_exists_and_is_not_ours_is_not_taken_over(engine: Engine) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        engine.up(azure("resources:ResourceGroup"), "again", resourceGroupName=GROUP)
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert "cannot create already existing resource" in refused.value.details()


def test_a_creation_whose_engine_died_is_found_by_the_next_one(engine: Engine) -> None:
    token = azure("resources:ResourceGroup")
    engine.up(token, "orphan", resourceGroupName="rg-orphan")
    lost = engine.state.pop("orphan")
    assert engine.up(token, "orphan", resourceGroupName="rg-orphan") == "create"
    assert engine.id("orphan") == lost.id


def test_a_lost_reply_of_a_put_is_asked_for_again(engine: Engine, world: World) -> None:
    world.estate.fault(method="PUT", path="rg-lost", effect="drop_reply")
    engine.up(azure("resources:ResourceGroup"), "lost", resourceGroupName="rg-lost")
    assert engine.id("lost").endswith("/resourceGroups/rg-lost")


def test_throttling_is_waited_out(engine: Engine, world: World) -> None:
    world.estate.fault(method="PUT", path="rg-throttled", effect="status", status=429)
    engine.up(azure("resources:ResourceGroup"), "throttled", resourceGroupName="rg-throttled")
    assert "throttled" in engine.state


def test_deleting_what_is_gone_is_fine(engine: Engine) -> None:
    token = azure("resources:ResourceGroup")
    engine.up(token, "twice", resourceGroupName="rg-twice")
    recorded = engine.state["twice"]
    engine.destroy("twice")
    engine.state["twice"] = recorded
    engine.destroy("twice")
    engine.state["twice"] = recorded
    assert engine.refresh("twice") == ["(gone)"]


def test_unknown_types_and_functions_are_refused_by_name(engine: Engine) -> None:
    with pytest.raises(grpc.RpcError, match="azure-native:compute:VirtualMachine"):
        engine.check("azure-native:compute:VirtualMachine", "vm", {})
    with pytest.raises(grpc.RpcError, match="azure-native:storage:getBlob"):
        engine.invoke("azure-native:storage:getBlob")


def test_the_client_configuration_names_the_deployer_without_a_service(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESTATE_HOME", str(tmp_path))
    with engine_for(AzureNative()) as alone:
        alone.configure()
        assert alone.invoke("azure-native:authorization:getClientConfig") == {
            "clientId": tenancy.DEPLOYER_CLIENT_ID,
            "objectId": tenancy.DEPLOYER_OBJECT_ID,
            "subscriptionId": tenancy.SUBSCRIPTION_ID,
            "tenantId": tenancy.TENANT_ID,
        }
        with pytest.raises(grpc.RpcError, match="the local estate is not running"):
            alone.up(azure("resources:ResourceGroup"), "rg", resourceGroupName="rg", location="australiaeast")


def test_a_wrong_secret_of_the_deployer_is_an_authentication_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with environment(world.estate):
        monkeypatch.setenv("ARM_CLIENT_SECRET", "wrong")
        with engine_for(AzureNative()) as stranger:
            stranger.configure(location=tenancy.REGION)
            with pytest.raises(grpc.RpcError) as refused:
                stranger.up(azure("resources:ResourceGroup"), "rg", resourceGroupName="rg-stranger")
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "wrong" not in refused.value.details()


def test_a_network_in_use_is_not_deleted_and_the_engine_is_told_why(engine: Engine) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        engine._delete("nsg", engine.state["nsg"])
    assert refused.value.details().startswith("InUseNetworkSecurityGroupCannotBeDeleted: ")
    assert engine.id("nsg").startswith(SCOPE)
