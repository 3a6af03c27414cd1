"""Azure Resource Manager: read-back, and what Azure refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from local_estate import tenancy
from tests.api.estate_setup import SUBSCRIPTION, Arm, network, ready_workspace, subnet, workspace_body
from tests.conftest import RunningEstate


@pytest.fixture(scope="module")
def arm(shared_estate: RunningEstate) -> Iterator[Arm]:
    yield Arm(estate=shared_estate)


@pytest.fixture
def group(arm: Arm, request: pytest.FixtureRequest) -> str:
    path = "/resourceGroups/" + re.sub(r"\W", "-", request.node.name)[:60].strip("-")
    network(arm, path)
    return path


def _network(group: str, rest: str) -> str:
    return f"{group}/providers/Microsoft.Network/{rest}"


def test_a_location_reads_back_normalised_and_names_ignore_case(arm: Arm) -> None:
    arm.put("/resourceGroups/Mixed", {"location": "Australia East"})
    found = arm.request("GET", "/resourcegroups/mIXED").json()
    assert (found["location"], found["name"]) == ("australiaeast", "Mixed")


def test_a_list_ignores_the_case_of_its_type_and_scope(arm: Arm, group: str) -> None:
    found = arm.request("GET", f"{group.upper()}/providers/MICROSOFT.network/virtualnetworks").json()["value"]
    assert [(each["name"], each["type"]) for each in found] == [("vnet", "Microsoft.Network/virtualNetworks")]


def test_without_an_api_version_nothing_happens(arm: Arm) -> None:
    headers = {"authorization": f"Bearer {arm.estate.entra_token('https://management.azure.com')}"}
    reply = httpx.put(f"{arm.estate.arm}{SUBSCRIPTION}/resourceGroups/x", json={"location": "a"}, headers=headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "MissingApiVersionParameter")


def test_a_type_the_estate_does_not_know_is_refused_by_name(arm: Arm, group: str) -> None:
    status, _, message = arm.refused("PUT", f"{group}/providers/Microsoft.Sql/servers/x", {})
    assert (status, message) == (501, "the local estate does not support the Azure resource type Microsoft.Sql/servers")


def test_a_resource_needs_its_group_and_a_child_its_parent(arm: Arm, group: str) -> None:
    assert arm.refused("PUT", _network("/resourceGroups/none", "networkSecurityGroups/x"), {"location": "a"})[1] == "ResourceGroupNotFound"
    body = {"properties": {"addressPrefix": "10.0.0.0/24"}}
    assert arm.refused("PUT", _network(group, "virtualNetworks/none/subnets/x"), body)[1] == "ParentResourceNotFound"


@pytest.mark.parametrize(
    ("prefix", "code", "said"),
    [
        ("10.0.0.1/24", "InvalidCIDRNotation", "10.0.0.1/24"),
        ("10.1.0.0/24", "NetcfgInvalidSubnet", "Subnet 'new' is not valid in virtual network 'vnet'."),
        ("10.0.5.128/25", "NetcfgSubnetRangesOverlap", "Subnet 'new' with prefix 10.0.5.128/25 overlaps with subnet 'taken'."),
    ],
)
def test_a_subnet_that_does_not_fit_is_refused(arm: Arm, group: str, prefix: str, code: str, said: str) -> None:
    subnet(arm, group, "taken", "10.0.5.0/24")
    answer = arm.refused("PUT", _network(group, "virtualNetworks/vnet/subnets/new"), {"properties": {"addressPrefix": prefix}})
    assert (answer[1], said in answer[2]) == (code, True), answer


def test_a_network_put_again_keeps_its_subnets(arm: Arm, group: str) -> None:
    subnet(arm, group, "kept", "10.0.1.0/24")
    space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}
    arm.put(_network(group, "virtualNetworks/vnet"), {"location": tenancy.REGION, "properties": space})
    found = arm.request("GET", _network(group, "virtualNetworks/vnet")).json()
    assert [each["name"] for each in found["properties"]["subnets"]] == ["kept"]


def test_two_rules_cannot_share_priority_and_direction(arm: Arm, group: str) -> None:
    ends = {"sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "443"}
    rule = {"access": "Allow", "direction": "Inbound", "priority": 100, "protocol": "*", **ends}
    arm.put(_network(group, "networkSecurityGroups/nsg/securityRules/a"), {"properties": rule})
    answer = arm.refused("PUT", _network(group, "networkSecurityGroups/nsg/securityRules/b"), {"properties": rule})
    assert answer[1] == "SecurityRuleConflict"
    arm.put(_network(group, "networkSecurityGroups/nsg/securityRules/b"), {"properties": {**rule, "direction": "Outbound"}})


def test_what_is_in_use_cannot_be_deleted(arm: Arm, group: str) -> None:
    subnet(arm, group, "public", "10.0.0.0/24")
    answer = arm.refused("DELETE", _network(group, "networkSecurityGroups/nsg"))
    assert answer[1] == "InUseNetworkSecurityGroupCannotBeDeleted"
    subnet(arm, group, "private", "10.0.1.0/24")
    arm.put(f"{group}/providers/Microsoft.Databricks/workspaces/ws-in-use", workspace_body(group))
    assert arm.refused("DELETE", _network(group, "virtualNetworks/vnet/subnets/public"))[1] == "InUseSubnetCannotBeDeleted"


def test_a_workspace_is_polled_until_it_is_there_and_keeps_its_identity(arm: Arm, group: str) -> None:
    subnet(arm, group, "public", "10.0.0.0/24")
    subnet(arm, group, "private", "10.0.1.0/24")
    path = f"{group}/providers/Microsoft.Databricks/workspaces/ws-polled"
    reply = arm.request("PUT", path, workspace_body(group))
    assert (reply.status_code, reply.json()["properties"]["provisioningState"]) == (201, "Creating")
    headers = {"authorization": f"Bearer {arm.estate.entra_token('https://management.azure.com')}"}
    polls = [httpx.get(reply.headers["azure-asyncoperation"], headers=headers).json()["status"] for _ in range(2)]
    assert polls == ["InProgress", "Succeeded"]
    before = arm.request("GET", path).json()["properties"]
    assert arm.put(path, workspace_body(group))["properties"]["workspaceId"] == before["workspaceId"]
    number = int(before["workspaceId"])
    assert before["workspaceUrl"] == f"adb-{number}.{number % 20}.azuredatabricks.net"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"computeMode": None}, "InvalidRequestContent"),
        ({"managedResourceGroupId": None}, "InvalidRequestContent"),
        ({"publicNetworkAccess": "Disabled"}, "InvalidRequiredNsgRules"),
    ],
)
def test_an_incomplete_workspace_is_refused(arm: Arm, group: str, change: dict[str, str | None], code: str) -> None:
    subnet(arm, group, "public", "10.0.0.0/24")
    subnet(arm, group, "private", "10.0.1.0/24")
    body = workspace_body(group)
    body["properties"] = {name: value for name, value in {**body["properties"], **change}.items() if value is not None}
    assert arm.refused("PUT", f"{group}/providers/Microsoft.Databricks/workspaces/ws-x", body)[1] == code


def test_a_workspace_needs_two_delegated_subnets_of_its_own(arm: Arm, group: str) -> None:
    arm.put(_network(group, "virtualNetworks/vnet/subnets/plain"), {"properties": {"addressPrefix": "10.0.9.0/24"}})
    subnet(arm, group, "private", "10.0.1.0/24")
    path = f"{group}/providers/Microsoft.Databricks/workspaces/ws-y"
    assert arm.refused("PUT", path, workspace_body(group, public="plain"))[1] == "SubnetMissingRequiredDelegation"
    assert arm.refused("PUT", path, workspace_body(group, public="private"))[1] == "InvalidSubnets"
    assert arm.refused("PUT", path, workspace_body(group, public="none"))[1] == "InvalidSubnet"


@pytest.mark.parametrize("name", ["MTlakehouseadls", "ab", "x" * 25, "with-dash"])
def test_a_storage_name_azure_rejects_is_rejected(arm: Arm, group: str, name: str) -> None:
    body = {"location": tenancy.REGION, "kind": "StorageV2", "sku": {"name": "Standard_GRS"}}
    answer = arm.refused("PUT", f"{group}/providers/Microsoft.Storage/storageAccounts/{name}", body)
    assert answer[1] == "AccountNameInvalid"


def test_a_storage_name_is_taken_once_and_hns_is_for_ever(arm: Arm, group: str) -> None:
    body = {"location": tenancy.REGION, "kind": "StorageV2", "sku": {"name": "Standard_RAGRS"}, "properties": {"isHnsEnabled": True}}
    path = f"{group}/providers/Microsoft.Storage/storageAccounts/takenonce"
    made = arm.put(path, body)
    assert made["properties"]["primaryEndpoints"]["dfs"] == "https://takenonce.dfs.core.windows.net/"
    assert made["properties"]["secondaryEndpoints"]["blob"] == "https://takenonce-secondary.blob.core.windows.net/"
    network(arm, "/resourceGroups/another")
    other = "/resourceGroups/another/providers/Microsoft.Storage/storageAccounts/takenonce"
    assert arm.refused("PUT", other, body)[:2] == (409, "StorageAccountAlreadyTaken")
    assert arm.refused("PUT", path, {**body, "properties": {"isHnsEnabled": False}})[1] == "PropertyIsImmutable"


def test_a_container_is_a_directory_and_goes_with_its_account(arm: Arm, group: str) -> None:
    body = {"location": tenancy.REGION, "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    account = f"{group}/providers/Microsoft.Storage/storageAccounts/withcontainer"
    arm.put(account, body)
    arm.put(f"{account}/blobServices/default/containers/landing", {})
    directory = arm.estate.paths.adls / "withcontainer" / "landing"
    assert directory.is_dir()
    assert arm.request("DELETE", account).status_code == 200
    assert not directory.exists()
    assert arm.request("DELETE", account).status_code == 204


def test_purge_protection_is_one_way_and_a_deleted_name_stays_taken(arm: Arm, group: str) -> None:
    path = f"{group}/providers/Microsoft.KeyVault/vaults/kv-one-way"
    properties = {"tenantId": tenancy.TENANT_ID, "sku": {"family": "A", "name": "standard"}, "enableRbacAuthorization": True}
    body = {"location": tenancy.REGION, "properties": {**properties, "enablePurgeProtection": True}}
    assert arm.put(path, body)["properties"]["vaultUri"] == "https://kv-one-way.vault.azure.net/"
    assert "cannot be turned off" in arm.refused("PUT", path, {**body, "properties": properties})[2]
    arm.request("DELETE", path)
    _, code, said = arm.refused("PUT", path, body)
    assert code == "ConflictError"
    assert said.startswith("A vault with the same name already exists in deleted state. You need to either recover or purge")
    arm.put(path, {**body, "properties": {**body["properties"], "createMode": "recover"}})


def test_arm_never_returns_the_value_of_a_secret(arm: Arm, group: str) -> None:
    vault = f"{group}/providers/Microsoft.KeyVault/vaults/kv-secret-value"
    properties = {"tenantId": tenancy.TENANT_ID, "sku": {"family": "A", "name": "standard"}, "enableRbacAuthorization": True}
    arm.put(vault, {"location": tenancy.REGION, "properties": properties})
    made = arm.put(f"{vault}/secrets/password", {"properties": {"value": "hunter2-very-secret"}})
    assert "hunter2" not in str(made)
    assert "hunter2" not in arm.request("GET", f"{vault}/secrets/password").text
    assert b"hunter2" not in arm.estate.paths.store.read_bytes()
    wal = arm.estate.paths.store.with_name("store.db-wal")
    assert not wal.exists() or b"hunter2" not in wal.read_bytes()


def _assignment(group: str, guid: str) -> str:
    return f"{group}/providers/Microsoft.Authorization/roleAssignments/{guid}"


def test_role_assignments_follow_azures_rules(arm: Arm, group: str) -> None:
    role = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/ba92f5b4-2d11-453d-a403-e96b0029c9fe"
    fresh = {"principalId": "11111111-1111-4111-8111-111111111111", "roleDefinitionId": role}
    first, second = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
    assert arm.refused("PUT", _assignment(group, first), {"properties": fresh})[1] == "PrincipalNotFound"
    body = {"properties": {**fresh, "principalType": "ServicePrincipal"}}
    arm.put(_assignment(group, first), body)
    assert arm.refused("PUT", _assignment(group, second), body)[:2] == (409, "RoleAssignmentExists")
    changed = {"properties": {**body["properties"], "principalId": "22222222-2222-4222-8222-222222222222"}}
    assert arm.refused("PUT", _assignment(group, first), changed)[1] == "RoleAssignmentUpdateNotPermitted"
    assert arm.refused("PUT", _assignment(group, "no-guid"), body)[1] == "InvalidRoleAssignmentId"


def test_a_private_endpoint_names_a_group_of_its_target(arm: Arm, group: str) -> None:
    arm.put(_network(group, "virtualNetworks/vnet/subnets/endpoints"), {"properties": {"addressPrefix": "10.0.3.0/24"}})
    body = {"location": tenancy.REGION, "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    account = arm.put(f"{group}/providers/Microsoft.Storage/storageAccounts/endpointtarget", body)

    def endpoint(group_id: str, target: str = account["id"]) -> dict[str, object]:
        connection = {"name": "c", "properties": {"privateLinkServiceId": target, "groupIds": [group_id]}}
        network_id = f"{SUBSCRIPTION}{_network(group, 'virtualNetworks/vnet/subnets/endpoints')}"
        return {"location": tenancy.REGION, "properties": {"subnet": {"id": network_id}, "privateLinkServiceConnections": [connection]}}

    path = _network(group, "privateEndpoints/pe")
    assert arm.refused("PUT", path, endpoint("vault"))[1] == "InvalidPrivateEndpointGroupId"
    assert arm.refused("PUT", path, endpoint("dfs", account["id"] + "x"))[1] == "InvalidPrivateLinkServiceId"
    assert arm.request("PUT", path, endpoint("dfs")).status_code == 201
    assert arm.refused("DELETE", _network(group, "virtualNetworks/vnet/subnets/endpoints"))[1] == "InUseSubnetCannotBeDeleted"


def test_a_zone_is_global_and_goes_after_its_links(arm: Arm, group: str) -> None:
    zone = _network(group, "privateDnsZones/privatelink.dfs.core.windows.net")
    assert arm.refused("PUT", zone, {"location": "australiaeast"})[1] == "LocationNotAvailableForResourceType"
    arm.put(zone, {"location": "global"})
    target = f"{SUBSCRIPTION}{_network(group, 'virtualNetworks/vnet')}"
    arm.put(f"{zone}/virtualNetworkLinks/link", {"location": "global", "properties": {"virtualNetwork": {"id": target}}})
    assert arm.refused("DELETE", zone)[:2] == (409, "CannotDeleteResource")


def test_deleting_a_group_deletes_what_is_in_it(arm: Arm, group: str) -> None:
    arm.request("DELETE", group)
    status, code, _ = arm.refused("GET", _network(group, "virtualNetworks/vnet"))
    assert (status, code) == (404, "ResourceGroupNotFound")


def test_acknowledged_resources_survive_a_kill(estate: RunningEstate) -> None:
    arm = Arm(estate=estate)
    ready = ready_workspace(estate, "survivor")
    acknowledged = {f"/resourceGroups/g{number}" for number in range(20) if arm.put(f"/resourceGroups/g{number}", {"location": "x"})}
    estate.fault(method="GET", path="resourceGroups/g0$", effect="crash_before")
    with pytest.raises(httpx.HTTPError):
        arm.request("GET", "/resourceGroups/g0")
    estate.process.start(environment={"ESTATE_FAULTS": "1"})
    assert {path for path in acknowledged if arm.request("GET", path).status_code == 200} == acknowledged
    assert ready.client.current_user.me().user_name == tenancy.DEPLOYER_CLIENT_ID
