"""The platform's resources, deployed by the providers on a real service, as the engine would."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from databricks.sdk import WorkspaceClient

from local_estate import tenancy
from local_estate.providers.azure_native.provider import AzureNative
from local_estate.providers.databricks.provider import Databricks
from tests.api.providers_engine import Engine, engine_for
from tests.conftest import RunningEstate

GROUP = "rg-providers"
SCOPE = f"/subscriptions/{tenancy.SUBSCRIPTION_ID}/resourceGroups/{GROUP}"
WORKSPACE_ID = f"{SCOPE}/providers/Microsoft.Databricks/workspaces/ws-providers"
ROLE = f"/subscriptions/{tenancy.SUBSCRIPTION_ID}/providers/Microsoft.Authorization/roleDefinitions/ba92f5b4-2d11-453d-a403-e96b0029c9fe"
LANDING = "abfss://landing@stproviders1.dfs.core.windows.net"


def azure(token: str) -> str:
    return f"azure-native:{token}"


def databricks(kind: str) -> str:
    return f"databricks:index/{kind[0].lower()}{kind[1:]}:{kind}"


@dataclass
class World:
    estate: RunningEstate
    azure: Engine
    account: Engine
    workspace: Engine

    @property
    def workspace_number(self) -> str:
        return str(self.azure["workspace"]["workspaceId"])

    def client(self) -> WorkspaceClient:
        """Somebody at a keyboard, with Databricks' own SDK."""
        host = self.azure["workspace"]["workspaceUrl"]
        return WorkspaceClient(
            host=self.estate.endpoints["workspaces"][host]["url"],
            client_id=tenancy.DEPLOYER_CLIENT_ID,
            client_secret=self.estate.deployer_secret,
            auth_type="oauth-m2m",
        )


@contextmanager
def environment(estate: RunningEstate) -> Iterator[None]:
    """What the engine's process has when it starts a provider."""
    variables = {"ESTATE_HOME": str(estate.paths.home), "ARM_CLIENT_SECRET": estate.deployer_secret}
    with mock.patch.dict(os.environ, variables):
        yield


@contextmanager
def engines(estate: RunningEstate) -> Iterator[World]:
    with ExitStack() as stack:
        stack.enter_context(environment(estate))
        world = World(
            estate=estate,
            azure=stack.enter_context(engine_for(AzureNative())),
            account=stack.enter_context(engine_for(Databricks())),
            workspace=stack.enter_context(engine_for(Databricks())),
        )
        world.azure.configure(location=tenancy.REGION)
        world.account.configure(accountId=tenancy.ACCOUNT_ID)
        world.workspace.configure(azureWorkspaceResourceId=WORKSPACE_ID)
        yield world


def deploy(world: World) -> None:
    """Network, storage, workspace, metastore, catalog: what most resources stand on."""
    deploy_network(world.azure)
    deploy_workspace(world.azure)
    account = world.account
    account.up(databricks("Metastore"), "metastore", name="primary", region=tenancy.REGION)
    account.up(databricks("MetastoreAssignment"), "assignment", workspaceId=world.workspace_number, metastoreId=account.id("metastore"))
    account.up(databricks("Group"), "engineers", displayName="data_engineering")
    account.up(databricks("ServicePrincipal"), "runner", displayName="sp-runner")
    account.up(
        databricks("MwsPermissionAssignment"),
        "runner-user",
        workspaceId=world.workspace_number,
        principalId=account.id("runner"),
        permissions=["USER"],
    )
    deploy_catalog(world)


def deploy_network(engine: Engine) -> None:
    group: dict[str, Any] = {"resourceGroupName": GROUP}
    engine.up(azure("resources:ResourceGroup"), "group", **group)
    space = {"addressPrefixes": ["10.0.0.0/16"]}
    engine.up(azure("network:VirtualNetwork"), "vnet", **group, virtualNetworkName="vnet", addressSpace=space)
    engine.up(azure("network:NetworkSecurityGroup"), "nsg", **group, networkSecurityGroupName="nsg")
    engine.up(
        azure("network:PublicIPAddress"),
        "ip",
        **group,
        publicIpAddressName="ip",
        sku={"name": "Standard"},
        publicIPAllocationMethod="Static",
    )
    engine.up(
        azure("network:NatGateway"),
        "nat",
        **group,
        natGatewayName="nat",
        sku={"name": "Standard"},
        publicIpAddresses=[{"id": engine.id("ip")}],
    )
    for index, name in enumerate(("public", "private")):
        engine.up(
            azure("network:Subnet"),
            name,
            **group,
            virtualNetworkName="vnet",
            subnetName=name,
            addressPrefix=f"10.0.{index}.0/24",
            networkSecurityGroup={"id": engine.id("nsg")},
            natGateway={"id": engine.id("nat")},
            delegations=[{"name": "databricks", "serviceName": "Microsoft.Databricks/workspaces"}],
        )


def deploy_workspace(engine: Engine) -> None:
    group: dict[str, Any] = {"resourceGroupName": GROUP}
    engine.up(
        azure("databricks:Workspace"),
        "workspace",
        **group,
        workspaceName="ws-providers",
        managedResourceGroupId=f"{SCOPE}-managed",
        sku={"name": "premium"},
        computeMode="Hybrid",
        parameters={
            "customVirtualNetworkId": {"value": engine.id("vnet")},
            "customPublicSubnetName": {"value": "public"},
            "customPrivateSubnetName": {"value": "private"},
            "enableNoPublicIp": {"value": True},
        },
    )
    engine.up(
        azure("storage:StorageAccount"),
        "lake",
        **group,
        accountName="stproviders1",
        kind="StorageV2",
        sku={"name": "Standard_LRS"},
        isHnsEnabled=True,
    )
    engine.up(azure("storage:BlobContainer"), "landing", **group, accountName="stproviders1", containerName="landing")
    identity = {"type": "SystemAssigned"}
    engine.up(azure("databricks:AccessConnector"), "connector", **group, connectorName="connector", identity=identity)
    engine.up(
        azure("authorization:RoleAssignment"),
        "contributor",
        scope=engine.id("lake"),
        principalId=engine["connector"]["identity"]["principalId"],
        principalType="ServicePrincipal",
        roleDefinitionId=ROLE,
        roleAssignmentName="11111111-2222-4333-8444-555555555555",
    )


def deploy_catalog(world: World) -> None:
    engine = world.workspace
    connector = {"accessConnectorId": world.azure.id("connector")}
    engine.up(databricks("StorageCredential"), "credential", name="lake", azureManagedIdentity=connector)
    engine.up(databricks("ExternalLocation"), "location", name="landing", url=f"{LANDING}/", credentialName="lake", forceDestroy=True)
    engine.up(databricks("Catalog"), "catalog", name="dev_ep_raw", storageRoot=f"{LANDING}/managed", forceDestroy=True)
    engine.up(databricks("Schema"), "schema", catalogName="dev_ep_raw", name="cmdm")
    engine.up(databricks("Volume"), "volume", catalogName="dev_ep_raw", schemaName="cmdm", name="files", volumeType="MANAGED")


def deploy_attributes(world: World) -> None:
    """A governed tag, who may assign it, where it is, and a policy that masks by it with a function of the catalog."""
    engine = world.workspace
    engine.up(databricks("TagPolicy"), "governed", tagKey="pii", values=[{"name": "mail"}, {"name": "phone"}])
    rules = [{"role": "roles/tagPolicy.assigner", "principals": ["groups/data_engineering"]}]
    engine.up(databricks("AccessControlRuleSet"), "assigners", name=rule_set(engine.id("governed")), grantRules=rules)
    tag = {"tagKey": "pii", "tagValue": "mail"}
    engine.up(databricks("EntityTagAssignment"), "tagged", entityType="schemas", entityName="dev_ep_raw.cmdm", **tag)
    parameter = {"name": "x", "type_text": "string", "type_name": "STRING", "position": 0}
    function = {
        "name": "hide",
        "catalog_name": "dev_ep_raw",
        "schema_name": "cmdm",
        "full_data_type": "string",
        "routine_definition": "'*'",
    }
    info = {**function, "input_params": {"parameters": [parameter]}}
    world.client().api_client.do("POST", "/api/2.1/unity-catalog/functions", body={"function_info": info})
    engine.up(databricks("PolicyInfo"), "abac", **mask("hide_pii"))


def rule_set(tag_policy_id: str) -> str:
    return f"accounts/{tenancy.ACCOUNT_ID}/tagPolicies/{tag_policy_id}/ruleSets/default"


def mask(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "onSecurableType": "CATALOG",
        "onSecurableFullname": "dev_ep_raw",
        "forSecurableType": "TABLE",
        "policyType": "POLICY_TYPE_COLUMN_MASK",
        "toPrincipals": ["account users"],
        "exceptPrincipals": ["data_engineering"],
        "matchColumns": [{"alias": "secret", "condition": "has_tag_value('pii', 'mail')"}],
        "columnMask": {"functionName": "dev_ep_raw.cmdm.hide", "onColumn": "secret"},
    }
