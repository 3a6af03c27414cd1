"""A Key Vault-backed secret scope: one vault, one scope, one trust boundary."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_databricks as databricks

from infra.azure.key_vault import KeyVault
from infra.component import Component


@dataclass(frozen=True, kw_only=True)
class SecretScopeArgs:
    workspace_provider: databricks.Provider
    key_vault: KeyVault
    scope: str
    reader_groups: tuple[str, ...]


class SecretScope(Component):
    token = "lakehouse:databricks:SecretScope"
    scope: databricks.SecretScope

    def __init__(self, name: str, args: SecretScopeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self.scope = databricks.SecretScope(
            args.scope,
            name=args.scope,
            backend_type="AZURE_KEYVAULT",
            keyvault_metadata={
                "resource_id": args.key_vault.vault.id,
                "dns_name": args.key_vault.uri,
            },
            opts=self.child(provider=args.workspace_provider, depends_on=[args.key_vault.reader]),
        )
        for group in args.reader_groups:
            databricks.SecretAcl(
                f"{args.scope}-{group}",
                scope=self.scope.name,
                principal=group,
                permission="READ",
                opts=self.child(provider=args.workspace_provider),
            )
        self.register_outputs({"name": self.scope.name})
