"""The vault of one trust boundary: RBAC, purge protection, no public network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import keyvault

from infra.component import Component
from infra.naming import Naming


@dataclass(frozen=True, kw_only=True)
class KeyVaultArgs:
    resource_group: pulumi.Input[str]
    naming: Naming
    tenant_id: str
    role: str
    tags: Mapping[str, str]
    protect: bool


class KeyVault(Component):
    token = "lakehouse:azure:KeyVault"
    vault: keyvault.Vault

    def __init__(self, name: str, args: KeyVaultArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self.vault = keyvault.Vault(
            args.role,
            resource_group_name=args.resource_group,
            vault_name=args.naming.azure("kv", args.role),
            properties={
                "tenant_id": args.tenant_id,
                "sku": {"family": "A", "name": "standard"},
                "enable_rbac_authorization": True,
                "enable_purge_protection": True,
                "soft_delete_retention_in_days": 90,
                "public_network_access": "Disabled",
                # A Databricks scope reads as the AzureDatabricks application, which is a trusted service.
                "network_acls": {"default_action": "Deny", "bypass": "AzureServices"},
            },
            tags=dict(args.tags),
            opts=self.child(protect=args.protect),
        )
        self.register_outputs({"vault_id": self.vault.id})
