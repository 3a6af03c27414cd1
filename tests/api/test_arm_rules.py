"""Azure Resource Manager across resources: what one resource means for another, who may do what, and what outlives a deletion."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError, PermissionDenied
from databricks.sdk.service.workspace import AzureKeyVaultSecretScopeMetadata, ScopeBackendType

from local_estate import tenancy
from tests.api.estate_setup import API_VERSION, HTTP, SUBSCRIPTION, Arm, account_client, network, subnet, token, workspace_body
from tests.conftest import RunningEstate

RULE_ENDS = {"sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "*"}
PLACE = {"location": tenancy.REGION}


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


def _workspace(arm: Arm, group: str, name: str) -> dict[str, Any]:
    subnet(arm, group, "public", "10.0.0.0/24")
    subnet(arm, group, "private", "10.0.1.0/24")
    return arm.put(f"{group}/providers/Microsoft.Databricks/workspaces/{name}", workspace_body(group))


def _endpoint(group: str, target: str, group_id: str) -> dict[str, Any]:
    connection = {"name": "c", "properties": {"privateLinkServiceId": target, "groupIds": [group_id]}}
    place = f"{SUBSCRIPTION}{_network(group, 'virtualNetworks/vnet/subnets/endpoints')}"
    return {**PLACE, "properties": {"subnet": {"id": place}, "privateLinkServiceConnections": [connection]}}


def _vault(arm: Arm, group: str, name: str, **more: Any) -> tuple[str, dict[str, Any]]:
    properties = {"tenantId": tenancy.TENANT_ID, "sku": {"family": "A", "name": "standard"}, "enableRbacAuthorization": True, **more}
    path, body = f"{group}/providers/Microsoft.KeyVault/vaults/{name}", {**PLACE, "properties": properties}
    arm.put(path, body)
    return path, body


# Networks


def test_subnets_named_in_a_network_replace_all_it_has(arm: Arm, group: str) -> None:
    subnet(arm, group, "goes", "10.0.1.0/24")
    subnet(arm, group, "stays", "10.0.2.0/24")
    listed = [
        {"name": name, "properties": {"addressPrefix": prefix}} for name, prefix in (("stays", "10.0.2.0/24"), ("new", "10.0.1.0/24"))
    ]
    body = {**PLACE, "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}, "subnets": listed}}
    shown = arm.put(_network(group, "virtualNetworks/vnet"), body)
    assert [each["name"] for each in shown["properties"]["subnets"]] == ["new", "stays"]
    assert arm.refused("GET", _network(group, "virtualNetworks/vnet/subnets/goes"))[1] == "ResourceNotFound"
    # Left out of the body, they stay.
    body["properties"].pop("subnets")  # type: ignore[attr-defined]
    assert len(arm.put(_network(group, "virtualNetworks/vnet"), body)["properties"]["subnets"]) == 2


def test_a_subnet_in_use_is_not_lost_by_leaving_it_out_of_the_list(arm: Arm, group: str) -> None:
    _workspace(arm, group, "ws-kept")
    body = {**PLACE, "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}, "subnets": []}}
    assert arm.refused("PUT", _network(group, "virtualNetworks/vnet"), body)[1] == "InUseSubnetCannotBeDeleted"


def test_rules_named_in_a_security_group_are_checked_like_others(arm: Arm, group: str) -> None:
    rule = {"access": "Deny", "direction": "Inbound", "priority": 4000, "protocol": "*", **RULE_ENDS}
    body = {**PLACE, "properties": {"securityRules": [{"name": "deny", "properties": rule}]}}
    shown = arm.put(_network(group, "networkSecurityGroups/nsg"), body)["properties"]
    assert [each["name"] for each in shown["securityRules"]] == ["deny"]
    assert [each["properties"]["priority"] for each in shown["defaultSecurityRules"]] == [65000, 65001, 65500] * 2
    rule["priority"] = 99
    assert arm.refused("PUT", _network(group, "networkSecurityGroups/nsg"), body)[1] == "SecurityRuleInvalidPriority"


def test_a_network_does_not_shrink_below_its_subnets(arm: Arm, group: str) -> None:
    subnet(arm, group, "far", "10.0.200.0/24")
    body = {**PLACE, "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/17"]}}}
    assert arm.refused("PUT", _network(group, "virtualNetworks/vnet"), body)[1] == "NetcfgInvalidSubnet"


def test_two_writes_to_one_network_at_a_time_are_one_too_many(arm: Arm, group: str) -> None:
    path, body = _network(group, "virtualNetworks/vnet/subnets"), {"properties": {"addressPrefix": "10.0.20.0/24"}}
    first = arm.request("PUT", f"{path}/first", body)
    assert first.status_code == 201
    second = {"properties": {"addressPrefix": "10.0.21.0/24"}}
    assert arm.refused("PUT", f"{path}/second", second)[:2] == (429, "AnotherOperationInProgress")
    headers = {"authorization": f"Bearer {arm.estate.entra_token('https://management.azure.com')}"}
    assert [httpx.get(first.headers["azure-asyncoperation"], headers=headers).json()["status"] for _ in range(2)][-1] == "Succeeded"
    assert arm.request("PUT", f"{path}/second", second).status_code == 201


def test_a_subnet_with_a_workspace_keeps_its_prefix_delegation_and_group(arm: Arm, group: str) -> None:
    _workspace(arm, group, "ws-fixed")
    path = _network(group, "virtualNetworks/vnet/subnets/public")
    before = arm.request("GET", path).json()["properties"]

    def without(**changed: Any) -> str:
        return arm.refused("PUT", path, {"properties": {**before, **changed}})[1]

    assert without(addressPrefix="10.0.7.0/24") == "InUsePrefixCannotBeDeleted"
    assert without(delegations=[]) == "SubnetMissingRequiredDelegation"
    assert without(networkSecurityGroup=None) == "SubnetMissingNetworkSecurityGroup"
    elsewhere = arm.put(_network(group, "networkSecurityGroups/far"), {"location": "westeurope"})
    assert without(networkSecurityGroup={"id": elsewhere["id"]}) == "InvalidResourceReference"


# Private endpoints


def test_an_endpoint_has_an_address_and_its_target_shows_the_connection(arm: Arm, group: str) -> None:
    workspace = _workspace(arm, group, "ws-private")
    arm.put(_network(group, "virtualNetworks/vnet/subnets/endpoints"), {"properties": {"addressPrefix": "10.0.3.0/24"}})
    endpoint = arm.put(_network(group, "privateEndpoints/pe"), _endpoint(group, workspace["id"], "databricks_ui_api"))["properties"]
    host = workspace["properties"]["workspaceUrl"]
    assert endpoint["customDnsConfigs"] == [{"fqdn": host, "ipAddresses": ["10.0.3.4"]}]
    assert endpoint["networkInterfaces"][0]["id"].startswith(f"{SUBSCRIPTION}{_network(group, 'networkInterfaces/pe.nic.')}")
    [connection] = arm.request("GET", workspace["id"].removeprefix(SUBSCRIPTION)).json()["properties"]["privateEndpointConnections"]
    assert connection["properties"]["privateLinkServiceConnectionState"]["status"] == "Approved"
    zone = arm.put(_network(group, "privateDnsZones/privatelink.azuredatabricks.net"), {"location": "global"})
    configs = {"properties": {"privateDnsZoneConfigs": [{"name": "ui", "properties": {"privateDnsZoneId": zone["id"]}}]}}
    made = arm.put(_network(group, "privateEndpoints/pe/privateDnsZoneGroups/default"), configs)
    [record] = made["properties"]["privateDnsZoneConfigs"][0]["properties"]["recordSets"]
    assert (record["fqdn"], record["ipAddresses"]) == (host.replace(".azure", ".privatelink.azure"), ["10.0.3.4"])
    # The group registers the name, so nobody is told to do it by hand any more.
    assert arm.request("GET", _network(group, "privateEndpoints/pe")).json()["properties"]["customDnsConfigs"] == []


def test_endpoints_of_one_target_follow_each_other(arm: Arm, group: str) -> None:
    workspace = _workspace(arm, group, "ws-both")
    arm.put(_network(group, "virtualNetworks/vnet/subnets/endpoints"), {"properties": {"addressPrefix": "10.0.3.0/24"}})
    ui, sign_in = (_endpoint(group, workspace["id"], each) for each in ("databricks_ui_api", "browser_authentication"))
    assert arm.request("PUT", _network(group, "privateEndpoints/ui"), ui).status_code == 201
    assert arm.refused("PUT", _network(group, "privateEndpoints/sign-in"), sign_in)[:2] == (409, "ConcurrentUpdateError")
    arm.request("GET", _network(group, "privateEndpoints/ui"))
    assert arm.request("PUT", _network(group, "privateEndpoints/sign-in"), sign_in).status_code == 201


def test_a_zone_has_one_browser_authentication(arm: Arm, group: str) -> None:
    zone = arm.put(_network(group, "privateDnsZones/privatelink.azuredatabricks.net"), {"location": "global"})
    configs = {"properties": {"privateDnsZoneConfigs": [{"name": "ui", "properties": {"privateDnsZoneId": zone["id"]}}]}}
    second = group + "-second"
    network(arm, second)
    for each, name in ((group, "ws-first-sign-in"), (second, "ws-second-sign-in")):
        workspace = _workspace(arm, each, name)
        arm.put(_network(each, "virtualNetworks/vnet/subnets/endpoints"), {"properties": {"addressPrefix": "10.0.3.0/24"}})
        arm.put(_network(each, "privateEndpoints/sign-in"), _endpoint(each, workspace["id"], "browser_authentication"))
    arm.put(_network(group, "privateEndpoints/sign-in/privateDnsZoneGroups/default"), configs)
    answer = arm.refused("PUT", _network(second, "privateEndpoints/sign-in/privateDnsZoneGroups/default"), configs)
    assert (answer[0], answer[1], answer[2].partition(":")[0]) == (409, "RESOURCE_CONFLICT", "Link ID conflict")


# Workspaces


@pytest.mark.parametrize(
    ("sku", "change", "message"),
    [
        ("standard", {"defaultStorageFirewall": "Enabled"}, "A workspace needs sku premium for the storage firewall."),
        ("premium", {"defaultStorageFirewall": "Enabled"}, "defaultStorageFirewall needs an accessConnector."),
        ("gold", {}, "The sku of a workspace is standard, premium or trial, not 'gold'."),
    ],
)
def test_features_need_their_tier(arm: Arm, group: str, sku: str, change: dict[str, str], message: str) -> None:
    body = {
        **PLACE,
        "sku": {"name": sku},
        "properties": {"computeMode": "Hybrid", "managedResourceGroupId": f"{SUBSCRIPTION}{group}-m", **change},
    }
    assert arm.refused("PUT", f"{group}/providers/Microsoft.Databricks/workspaces/ws-tier", body)[2] == message


def test_a_workspace_stays_in_its_managed_group_which_nobody_else_touches(arm: Arm, group: str) -> None:
    _workspace(arm, group, "ws-managed")
    body = workspace_body(group)
    body["properties"]["managedResourceGroupId"] += "-other"
    path = f"{group}/providers/Microsoft.Databricks/workspaces/ws-managed"
    assert arm.refused("PUT", path, body)[1] == "WorkspaceUpdateNotAllowed"
    assert arm.refused("DELETE", f"{group}-managed")[1] == "DenyAssignmentAuthorizationFailed"
    assert arm.refused("PUT", _network(f"{group}-managed", "networkSecurityGroups/x"), PLACE)[1] == "DenyAssignmentAuthorizationFailed"
    arm.request("DELETE", path)
    assert arm.refused("GET", f"{group}-managed")[1] == "ResourceGroupNotFound"


def test_the_account_lists_workspaces_and_makes_none(arm: Arm, group: str) -> None:
    made = _workspace(arm, group, "ws-listed")
    account = account_client(arm.estate)
    number = int(made["properties"]["workspaceId"])
    [found] = [each for each in account.workspaces.list() if each.workspace_name == "ws-listed"]
    assert (found.workspace_id, found.azure_workspace_info.resource_group) == (number, group.rpartition("/")[2])  # type: ignore[union-attr]
    assert account.workspaces.get(number).workspace_status.value == "RUNNING"  # type: ignore[union-attr]
    with pytest.raises(DatabricksError, match="workspaces are Azure resources"):
        account.api_client.do("POST", f"/api/2.0/accounts/{tenancy.ACCOUNT_ID}/workspaces", body={"workspace_name": "x"})


# Storage, vaults


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"sku": {"name": "Standard_XRS"}}, "InvalidValuesForRequestParameters"),
        ({"properties": {"minimumTlsVersion": "TLS1_3"}}, "InvalidValuesForRequestParameters"),
        ({"tags": {str(number): "x" for number in range(16)}}, "InvalidTagNameOrValue"),
        ({"kind": "BlobStorage", "properties": {"isHnsEnabled": True}}, "HnsNotSupportedForAccountKind"),
    ],
)
def test_a_storage_account_azure_does_not_offer_is_refused(arm: Arm, group: str, change: dict[str, Any], code: str) -> None:
    body = {**PLACE, "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, **change}
    assert arm.refused("PUT", f"{group}/providers/Microsoft.Storage/storageAccounts/notoffered", body)[1] == code


def test_leaving_network_rules_out_opens_the_account(arm: Arm, group: str) -> None:
    path = f"{group}/providers/Microsoft.Storage/storageAccounts/openedagain"
    body: dict[str, Any] = {**PLACE, "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    closed = arm.put(path, {**body, "properties": {"networkAcls": {"defaultAction": "Deny", "bypass": "None"}}})
    assert closed["properties"]["networkAcls"]["defaultAction"] == "Deny"
    assert arm.put(path, body)["properties"]["networkAcls"]["defaultAction"] == "Allow"


def test_blob_services_belong_to_their_account(arm: Arm, group: str) -> None:
    path = f"{group}/providers/Microsoft.Storage/storageAccounts/withservices"
    body = {**PLACE, "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": {"isHnsEnabled": True}}
    assert arm.refused("PUT", f"{path}/blobServices/default/containers/early", {})[1] == "ParentResourceNotFound"
    arm.put(path, body)
    services = f"{path}/blobServices/default"
    assert arm.request("GET", services).json()["properties"] == {}
    assert arm.refused("PUT", services, {"properties": {"isVersioningEnabled": True}})[1] == "FeatureNotSupportedForAccount"
    assert arm.refused("PUT", services, {"properties": {"deleteRetentionPolicy": {"enabled": True, "days": 0}}})[2].endswith(
        "when it is enabled."
    )
    assert arm.refused("DELETE", services)[0] == 405


def test_a_recovered_vault_has_its_secrets_again(arm: Arm, group: str) -> None:
    path, body = _vault(arm, group, "kv-recovered")
    made = arm.put(f"{path}/secrets/password", {"properties": {"value": "kept"}})
    arm.request("DELETE", path)
    assert arm.refused("PUT", path, body)[1] == "ConflictError"
    arm.put(path, {**body, "properties": {**body["properties"], "createMode": "recover"}})
    assert arm.request("GET", f"{path}/secrets/password").json() == made


def test_a_deleted_vault_is_purged_unless_it_is_protected(arm: Arm, group: str) -> None:
    deleted = f"/providers/Microsoft.KeyVault/locations/{tenancy.REGION}/deletedVaults"
    path, body = _vault(arm, group, "kv-purged")
    protected, _ = _vault(arm, group, "kv-protected", enablePurgeProtection=True)
    arm.request("DELETE", path)
    arm.request("DELETE", protected)
    listed = arm.request("GET", "/providers/Microsoft.KeyVault/deletedVaults").json()["value"]
    assert {"kv-purged", "kv-protected"} <= {each["name"] for each in listed}
    assert arm.refused("POST", f"{deleted}/kv-protected/purge")[:2] == (405, "MethodNotAllowed")
    assert arm.request("POST", f"{deleted}/kv-purged/purge").status_code == 200
    assert arm.refused("GET", f"{deleted}/kv-purged")[1] == "DeletedVaultNotFound"
    arm.put(path, body)


def test_a_deleted_vaults_name_is_free_after_its_retention(estate: RunningEstate) -> None:
    arm, group = Arm(estate=estate), "/resourceGroups/rg-retention"
    arm.put(group, PLACE)
    path, body = _vault(arm, group, "kv-retention", softDeleteRetentionInDays=7, enablePurgeProtection=True)
    arm.request("DELETE", path)
    assert arm.refused("PUT", path, body)[1] == "ConflictError"
    httpx.post(f"{estate.arm}/api/estate/1.0/clock", json={"seconds": 7 * 86_400 + 1}).raise_for_status()
    arm.put(path, body)


# Diagnostic settings


def test_diagnostic_settings_follow_azures_rules(arm: Arm, group: str) -> None:
    workspace = _workspace(arm, group, "ws-audited")
    logs = arm.put(f"{group}/providers/Microsoft.OperationalInsights/workspaces/law-audit", PLACE)

    def setting(name: str, category: str, destination: str = logs["id"]) -> tuple[int, str]:
        path = f"{workspace['id'].removeprefix(SUBSCRIPTION)}/providers/Microsoft.Insights/diagnosticSettings/{name}"
        body = {"properties": {"workspaceId": destination, "logs": [{"category": category, "enabled": True}]}}
        reply = arm.request("PUT", path, body)
        return reply.status_code, reply.json().get("error", {}).get("message", "")

    assert setting("audit", "coffee") == (400, "Category 'coffee' is not supported")
    assert setting("audit", "jobs", logs["id"] + "x")[0] == 404
    assert setting("audit", "jobs")[0] == 201
    assert setting("again", "jobs")[0] == 409
    assert [setting(name, category)[0] for name, category in (("2", "secrets"), ("3", "clusters"), ("4", "accounts"), ("5", "sql"))] == [
        201
    ] * 4
    assert "already has 5 diagnostic settings" in setting("6", "workspace")[1]


# Groups and roles


def test_a_group_is_not_deleted_while_another_group_needs_what_is_in_it(arm: Arm, group: str) -> None:
    other = group + "-other"
    arm.put(other, PLACE)
    subnet(arm, group, "public", "10.0.0.0/24")
    subnet(arm, group, "private", "10.0.1.0/24")
    path = f"{other}/providers/Microsoft.Databricks/workspaces/ws-next-door"
    managed = f"{group}-managed"
    arm.put(path, workspace_body(group))
    assert arm.refused("DELETE", group)[1] == "InUseSubnetCannotBeDeleted"
    assert arm.request("GET", _network(group, "virtualNetworks/vnet")).status_code == 200
    arm.request("DELETE", other)
    assert arm.refused("GET", managed)[1] == "ResourceGroupNotFound"
    assert arm.request("DELETE", group).status_code == 200


def test_lists_of_what_is_not_there_say_so(arm: Arm, group: str) -> None:
    assert arm.refused("GET", _network("/resourceGroups/nowhere", "virtualNetworks"))[1] == "ResourceGroupNotFound"
    assert arm.refused("GET", _network(group, "virtualNetworks/none/subnets"))[1] == "ParentResourceNotFound"
    found = arm.request("GET", _network(group, "virtualNetworks")).json()["value"]
    assert [each["name"] for each in found] == ["vnet"]


@dataclass(frozen=True, kw_only=True)
class Other(Arm):
    """ARM as another service principal of Entra ID."""

    client_id: str
    client_secret: str
    object_id: str

    def token(self, resource: str) -> str:
        client = {"client_id": self.client_id, "client_secret": self.client_secret}
        form = {"grant_type": "client_credentials", "resource": resource, **client}
        reply = HTTP.post(f"{self.estate.arm}/{tenancy.TENANT_ID}/oauth2/token", data=form)
        return str(reply.json()["access_token"])

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token('https://management.azure.com')}"}
        return HTTP.request(method, self.estate.arm + SUBSCRIPTION + path, params=API_VERSION, json=body, headers=headers)


def _newcomer(arm: Arm) -> Other:
    account, object_id = account_client(arm.estate), str(uuid.uuid4())
    made = account.service_principals.create(display_name="sp-entra", application_id=str(uuid.uuid4()), external_id=object_id)
    secret = account.service_principal_secrets.create(made.id or "").secret or ""
    return Other(estate=arm.estate, client_id=made.application_id or "", client_secret=secret, object_id=object_id)


def _grant(arm: Arm, object_id: str, role: str, scope: str) -> str:
    path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    definition = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    arm.put(path, {"properties": {"principalId": object_id, "principalType": "ServicePrincipal", "roleDefinitionId": definition}})
    return path


READER, CONTRIBUTOR = "acdd72a7-3385-48ef-bd42-f606fba81ae7", "b24988ac-6180-42a0-ab88-20f7382dd24c"
SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"


def test_a_role_opens_its_scope_and_nothing_else(arm: Arm, group: str) -> None:
    reader = _newcomer(arm)
    assert reader.refused("GET", group)[:2] == (403, "AuthorizationFailed")
    assignment = _grant(arm, reader.object_id, READER, group)
    assert reader.request("GET", _network(group, "virtualNetworks/vnet")).status_code == 200
    groups = reader.request("GET", "/resourceGroups").json()["value"]
    assert [each["name"] for each in groups] == [group.rpartition("/")[2]]
    status, code, message = reader.refused("DELETE", _network(group, "virtualNetworks/vnet"))
    assert (status, code) == (403, "AuthorizationFailed")
    assert "to perform action 'Microsoft.Network/virtualNetworks/delete'" in message
    arm.request("DELETE", assignment)
    assert reader.refused("GET", group)[1] == "AuthorizationFailed"


def test_a_contributor_grants_nothing_and_joins_only_what_is_its_own(arm: Arm, group: str) -> None:
    other = group + "-hub"
    network(arm, other)
    contributor = _newcomer(arm)
    _grant(arm, contributor.object_id, CONTRIBUTOR, group)
    role = {"principalId": contributor.object_id, "roleDefinitionId": f"x/{READER}"}
    path = f"{group}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    assert contributor.refused("PUT", path, {"properties": role})[1] == "AuthorizationFailed"
    foreign = {"id": f"{SUBSCRIPTION}{_network(other, 'networkSecurityGroups/nsg')}"}
    body = {"properties": {"addressPrefix": "10.0.9.0/24", "networkSecurityGroup": foreign}}
    answer = contributor.refused("PUT", _network(group, "virtualNetworks/vnet/subnets/mine"), body)
    assert (answer[1], foreign["id"] in answer[2]) == ("LinkedAuthorizationFailed", True)


def test_a_contributor_of_the_workspace_is_its_admin_without_being_assigned(arm: Arm, group: str) -> None:
    workspace = _workspace(arm, group, "ws-contributed")
    contributor = _newcomer(arm)
    url = arm.estate.endpoints["workspaces"][workspace["properties"]["workspaceUrl"]]["url"]

    def client() -> WorkspaceClient:
        return WorkspaceClient(host=url, token=contributor.token("2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"), auth_type="pat")

    with pytest.raises(PermissionDenied, match="is not a member of workspace"):
        client().current_user.me()
    _grant(arm, contributor.object_id, CONTRIBUTOR, workspace["id"].removeprefix(SUBSCRIPTION))
    assert client().groups.create(display_name="theirs").display_name == "theirs"


def test_an_object_id_is_taken_once(arm: Arm) -> None:
    with pytest.raises(DatabricksError, match="Service principal with object ID .* already exists"):
        account_client(arm.estate).service_principals.create(application_id=str(uuid.uuid4()), external_id=tenancy.DEPLOYER_OBJECT_ID)


def test_a_vault_backed_scope_reads_what_arm_wrote_until_the_secret_is_disabled(arm: Arm, group: str) -> None:
    workspace = _workspace(arm, group, "ws-scope")
    path, _ = _vault(arm, group, "kv-behind-scope")
    _grant(arm, tenancy.AZURE_DATABRICKS_OBJECT_ID, SECRETS_USER, path)
    arm.put(f"{path}/secrets/password", {"properties": {"value": "open sesame"}})
    url = arm.estate.endpoints["workspaces"][workspace["properties"]["workspaceUrl"]]["url"]
    client = WorkspaceClient(host=url, token=token(arm.estate, "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"), auth_type="pat")
    backend = AzureKeyVaultSecretScopeMetadata(resource_id=SUBSCRIPTION + path, dns_name="https://kv-behind-scope.vault.azure.net/")
    client.secrets.create_scope("vault", scope_backend_type=ScopeBackendType.AZURE_KEYVAULT, backend_azure_keyvault=backend)
    assert base64.b64decode(client.secrets.get_secret("vault", "password").value or "") == b"open sesame"
    arm.put(f"{path}/secrets/password", {"properties": {"attributes": {"enabled": False}}})
    with pytest.raises(PermissionDenied, match="refused access to secret password"):
        client.secrets.get_secret("vault", "password")


def test_a_head_request_tells_whether_a_resource_exists(arm: Arm, group: str) -> None:
    assert [arm.request("HEAD", path).status_code for path in (group, group + "-not")] == [204, 404]


def test_a_new_container_is_empty_and_one_that_lost_its_directory_gets_it_back(estate: RunningEstate) -> None:
    arm, group = Arm(estate=estate), "/resourceGroups/rg-bytes"
    account = f"{group}/providers/Microsoft.Storage/storageAccounts/bytesleftover"
    left_over = estate.paths.adls / "bytesleftover" / "landing" / "old.csv"
    left_over.parent.mkdir(parents=True)
    left_over.write_text("of an account that is gone")
    arm.put(group, PLACE)
    arm.put(account, {**PLACE, "kind": "StorageV2", "sku": {"name": "Standard_LRS"}})
    arm.put(f"{account}/blobServices/default/containers/landing", {})
    assert list(left_over.parent.iterdir()) == []
    left_over.parent.rmdir()
    estate.process.stop()
    estate.process.start()
    assert left_over.parent.is_dir()


def test_an_endpoint_in_another_subnet_has_another_address(arm: Arm, group: str) -> None:
    for name, prefix in (("endpoints", "10.0.3.0/24"), ("later", "10.0.4.0/24")):
        arm.put(_network(group, f"virtualNetworks/vnet/subnets/{name}"), {"properties": {"addressPrefix": prefix}})
    path, _ = _vault(arm, group, "kv-moved-endpoint")
    body = _endpoint(group, SUBSCRIPTION + path, "vault")

    def address() -> str:
        shown = arm.put(_network(group, "privateEndpoints/pe"), body)["properties"]
        return str(shown["customDnsConfigs"][0]["ipAddresses"][0])

    assert [address(), address()] == ["10.0.3.4"] * 2
    body["properties"]["subnet"]["id"] = body["properties"]["subnet"]["id"].replace("/endpoints", "/later")
    assert address() == "10.0.4.4"
