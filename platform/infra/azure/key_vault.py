"""The vault of one trust boundary: RBAC, purge protection, no public network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization, keyvault

from infra.component import Component
from infra.naming import Naming

KEY_VAULT_SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"


@dataclass(frozen=True, kw_only=True)
class KeyVaultArgs:
    resource_group: pulumi.Input[str]
    naming: Naming
    tenant_id: str
    reader_object_id: str  # who may read secrets: the application AzureDatabricks
    role: str
    tags: Mapping[str, str]
    protect: bool
    recover: bool = False  # what was deleted under this name


class KeyVault(Component):
    """`uri` follows from the name, so that it stays known while a change of the vault is previewed."""

    token = "lakehouse:azure:KeyVault"
    vault: keyvault.Vault
    reader: authorization.RoleAssignment
    uri: str

    def __init__(self, name: str, args: KeyVaultArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        vault_name = args.naming.azure("kv", args.role)
        self.uri = f"https://{vault_name}.vault.azure.net/"
        self.vault = keyvault.Vault(
            args.role,
            resource_group_name=args.resource_group,
            vault_name=vault_name,
            properties={
                "tenant_id": args.tenant_id,
                "sku": {"family": "A", "name": "standard"},
                "enable_rbac_authorization": True,
                "enable_purge_protection": True,
                "soft_delete_retention_in_days": 90,
                "public_network_access": "Disabled",
                # A Databricks scope reads as the AzureDatabricks application, which is a trusted service.
                "network_acls": {"default_action": "Deny", "bypass": "AzureServices"},
                **({"create_mode": "recover"} if args.recover else {}),
            },
            tags=dict(args.tags),
            opts=self.child(protect=args.protect),
        )
        subscription = f"/subscriptions/{args.naming.subscription_id}"
        # With RBAC the vault gives Databricks nothing by itself: without this a scope exists and every read of it fails.
        self.reader = authorization.RoleAssignment(
            f"{args.role}-databricks",
            role_assignment_name=args.naming.guid("databricks", args.role),
            scope=self.vault.id,
            principal_id=args.reader_object_id,
            principal_type="ServicePrincipal",
            role_definition_id=f"{subscription}/providers/Microsoft.Authorization/roleDefinitions/{KEY_VAULT_SECRETS_USER}",
            opts=self.child(),
        )
        self.register_outputs({"vault_id": self.vault.id})
