"""A workspace ready to use, made through ARM and the account API as the platform would."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import httpx
from databricks.sdk import AccountClient, WorkspaceClient

from local_estate import tenancy
from tests.conftest import RunningEstate

SUBSCRIPTION = f"/subscriptions/{tenancy.SUBSCRIPTION_ID}"
API_VERSION = {"api-version": "2024-01-01"}

# Making a client costs more than a request to the service. Connections are not kept: tests kill what is at their other end.
HTTP = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), trust_env=False, timeout=30)
_TOKENS: dict[tuple[str, str], str] = {}


def token(estate: RunningEstate, resource: str) -> str:
    """The deployer's Entra token, one per estate; it lasts an hour."""
    key = (estate.deployer_secret, resource)
    if key not in _TOKENS:
        _TOKENS[key] = estate.entra_token(resource)
    return _TOKENS[key]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """ARM as the deployer; paths below the subscription."""

    estate: RunningEstate

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {token(self.estate, 'https://management.azure.com')}"}
        return HTTP.request(method, self.estate.arm + SUBSCRIPTION + path, params=API_VERSION, json=body, headers=headers)

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The resource once its operation is done."""
        reply = self.request("PUT", path, body)
        assert reply.status_code in (200, 201), reply.text
        if "azure-asyncoperation" in reply.headers:
            reply = self.request("GET", path)  # reading a resource is one way to follow it
        found: dict[str, Any] = reply.json()
        return found

    def refused(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, str, str]:
        """Status, code and message of an error."""
        reply = self.request(method, path, body)
        error = reply.json()["error"]
        return reply.status_code, error["code"], error["message"]


@dataclass(frozen=True, kw_only=True)
class Ready:
    """`url` is the workspace's base URL, `token` the deployer's Entra token for it, `group` its resource group's path."""

    estate: RunningEstate
    arm: Arm
    group: str
    url: str
    workspace_id: int
    resource_id: str
    metastore_id: str
    token: str

    @property
    def client(self) -> WorkspaceClient:
        return WorkspaceClient(
            host=self.url, client_id=tenancy.DEPLOYER_CLIENT_ID, client_secret=self.estate.deployer_secret, auth_type="oauth-m2m"
        )

    @property
    def account(self) -> AccountClient:
        return account_client(self.estate)

    def as_service_principal(self, name: str, *groups: str) -> WorkspaceClient:
        """A new member of the workspace and of account groups (made when missing), signed in with a secret of its own."""
        account = self.account
        principal = account.service_principals.create(display_name=name)
        assert principal.id and principal.application_id
        for group in groups:
            found = next(iter(account.groups.list(filter=f'displayName eq "{group}"')), None) or account.groups.create(display_name=group)
            operations = {"Operations": [{"op": "add", "path": "members", "value": [{"value": principal.id}]}]}
            account.api_client.do("PATCH", f"/api/2.0/accounts/{tenancy.ACCOUNT_ID}/scim/v2/Groups/{found.id}", body=operations)
        path = f"/api/2.0/accounts/{tenancy.ACCOUNT_ID}/workspaces/{self.workspace_id}/permissionassignments/principals/{principal.id}"
        account.api_client.do("PUT", path, body={"permissions": ["USER"]})
        secret = account.service_principal_secrets.create(principal.id).secret
        return WorkspaceClient(host=self.url, client_id=principal.application_id, client_secret=secret, auth_type="oauth-m2m")


def account_client(estate: RunningEstate) -> AccountClient:
    return AccountClient(
        host=estate.account,
        account_id=tenancy.ACCOUNT_ID,
        client_id=tenancy.DEPLOYER_CLIENT_ID,
        client_secret=estate.deployer_secret,
        auth_type="oauth-m2m",
    )


def subnet(arm: Arm, group: str, name: str, prefix: str) -> str:
    network = f"{group}/providers/Microsoft.Network"
    body = {
        "addressPrefix": prefix,
        "networkSecurityGroup": {"id": f"{SUBSCRIPTION}{network}/networkSecurityGroups/nsg"},
        "delegations": [{"name": "databricks", "properties": {"serviceName": "Microsoft.Databricks/workspaces"}}],
    }
    arm.put(f"{network}/virtualNetworks/vnet/subnets/{name}", {"properties": body})
    return name


def workspace_body(group: str, public: str = "public", private: str = "private") -> dict[str, Any]:
    return {
        "location": tenancy.REGION,
        "sku": {"name": "premium"},
        "properties": {
            "computeMode": "Hybrid",
            "managedResourceGroupId": f"{SUBSCRIPTION}{group}-managed",
            "parameters": {
                "customVirtualNetworkId": {"value": f"{SUBSCRIPTION}{group}/providers/Microsoft.Network/virtualNetworks/vnet"},
                "customPublicSubnetName": {"value": public},
                "customPrivateSubnetName": {"value": private},
                "enableNoPublicIp": {"value": True},
            },
        },
    }


def network(arm: Arm, group: str) -> None:
    """A resource group with a virtual network and a security group."""
    arm.put(group, {"location": tenancy.REGION})
    arm.put(f"{group}/providers/Microsoft.Network/networkSecurityGroups/nsg", {"location": tenancy.REGION})
    space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}
    arm.put(f"{group}/providers/Microsoft.Network/virtualNetworks/vnet", {"location": tenancy.REGION, "properties": space})


def ready_workspace(estate: RunningEstate, name: str = "") -> Ready:
    """With its own resource group and network; the region's one metastore is made if missing and assigned."""
    name = name or f"ws-{uuid.uuid4().hex[:8]}"
    arm, group = Arm(estate=estate), f"/resourceGroups/rg-{name}"
    network(arm, group)
    subnet(arm, group, "public", "10.0.0.0/24")
    subnet(arm, group, "private", "10.0.1.0/24")
    workspace = arm.put(f"{group}/providers/Microsoft.Databricks/workspaces/{name}", workspace_body(group))
    properties = workspace["properties"]
    account = account_client(estate)
    metastores = list(account.metastores.list())
    metastore_id = metastores[0].metastore_id if metastores else _create_metastore(account)
    assert metastore_id
    path = f"/api/2.0/accounts/{tenancy.ACCOUNT_ID}/workspaces/{properties['workspaceId']}/metastores/{metastore_id}"
    assignment = {"metastore_id": metastore_id, "workspace_id": int(properties["workspaceId"])}
    account.api_client.do("POST", path, body={"metastore_assignment": assignment})
    return Ready(
        estate=estate,
        arm=arm,
        group=group,
        url=estate.endpoints["workspaces"][properties["workspaceUrl"]]["url"],
        workspace_id=int(properties["workspaceId"]),
        resource_id=workspace["id"],
        metastore_id=metastore_id,
        token=token(estate, "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"),
    )


def _create_metastore(account: AccountClient) -> str:
    body = {"metastore_info": {"name": "metastore", "region": tenancy.REGION}}
    reply: Any = account.api_client.do("POST", f"/api/2.0/accounts/{tenancy.ACCOUNT_ID}/metastores", body=body)
    return str(reply["metastore_info"]["metastore_id"])
