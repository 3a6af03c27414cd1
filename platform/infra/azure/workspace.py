"""The engineering workspace: injected into our network, no public IP, with its access connector to the lake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization, databricks

from infra.azure.network import Network
from infra.azure.storage import DataLake
from infra.component import Component
from infra.naming import Naming

STORAGE_BLOB_DATA_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"


@dataclass(frozen=True, kw_only=True)
class WorkspaceArgs:
    resource_group: pulumi.Input[str]
    naming: Naming
    network: Network
    lake: DataLake
    tags: Mapping[str, str]
    protect: bool


class Workspace(Component):
    """`resource_id` is computed from names, so the Databricks provider is configured on the very first preview.

    `workspace_id`, `workspace_url` and the connector's principal are looked up once the resources exist: azure-native previews every answer
    of ARM as unknown as soon as a tag of the resource changes, and what is bound to them would be previewed as replaced.
    """

    token = "lakehouse:azure:Workspace"
    workspace: databricks.Workspace
    connector: databricks.AccessConnector
    lake_access: authorization.RoleAssignment
    resource_id: str
    workspace_id: pulumi.Output[str]
    workspace_url: pulumi.Output[str]

    def __init__(self, name: str, args: WorkspaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        naming = args.naming
        workspace_name = naming.azure("dbw")
        self.resource_id = naming.id("Microsoft.Databricks/workspaces", workspace_name)
        public, private = args.network.workspace_subnets
        self.workspace = databricks.Workspace(
            "engineering",
            resource_group_name=args.resource_group,
            workspace_name=workspace_name,
            compute_mode="Hybrid",
            sku={"name": "premium"},
            managed_resource_group_id=naming.resource_group_id("managed"),
            public_network_access="Disabled",
            required_nsg_rules="NoAzureDatabricksRules",
            parameters={
                "custom_virtual_network_id": {"value": args.network.virtual_network.id},
                "custom_public_subnet_name": {"value": naming.azure("snet", "public")},
                "custom_private_subnet_name": {"value": naming.azure("snet", "private")},
                "enable_no_public_ip": {"value": True},
            },
            tags=dict(args.tags),
            # ARM refuses these changes in place; without this the refusal would come in the middle of an `up`.
            opts=self.child(
                protect=args.protect,
                depends_on=[public, private],
                replace_on_changes=["parameters", "managedResourceGroupId", "computeMode"],
            ),
        )
        looked_up = pulumi.InvokeOutputOptions(parent=self)
        shown = databricks.get_workspace_output(resource_group_name=args.resource_group, workspace_name=self.workspace.name, opts=looked_up)
        self.workspace_id, self.workspace_url = shown.workspace_id, shown.workspace_url
        self.connector = databricks.AccessConnector(
            "lake",
            resource_group_name=args.resource_group,
            connector_name=naming.azure("dbac"),
            identity={"type": "SystemAssigned"},
            tags=dict(args.tags),
            opts=self.child(),
        )
        identity = databricks.get_access_connector_output(
            resource_group_name=args.resource_group, connector_name=self.connector.name, opts=looked_up
        ).identity
        subscription = f"/subscriptions/{naming.subscription_id}"
        self.lake_access = authorization.RoleAssignment(
            "lake",
            role_assignment_name=naming.guid("connector", "lake"),
            scope=args.lake.account.id,
            principal_id=identity.apply(lambda known: known.principal_id if known else ""),
            # Without the type, a principal that has not yet spread through Entra ID is refused as unknown.
            principal_type="ServicePrincipal",
            role_definition_id=f"{subscription}/providers/Microsoft.Authorization/roleDefinitions/{STORAGE_BLOB_DATA_CONTRIBUTOR}",
            opts=self.child(),
        )
        self.register_outputs({"workspace_url": self.workspace_url})
