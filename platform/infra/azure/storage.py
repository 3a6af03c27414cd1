"""The environment's ADLS Gen2 account: one container per zone, reachable only from our network and the access connector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import storage

from infra.component import Component
from infra.naming import Naming
from infra.settings import Storage as StorageSettings

# Azure wants three characters at least, so the container of layer `ai` is called knowledge.
ZONES = ("landing", "raw", "curated", "marts", "knowledge")
CONTAINERS = (*ZONES, "logs", "backup")


@dataclass(frozen=True, kw_only=True)
class DataLakeArgs:
    resource_group: pulumi.Input[str]
    naming: Naming
    settings: StorageSettings
    tags: Mapping[str, str]
    protect: bool


class DataLake(Component):
    """`url(container)` is known before the first deployment."""

    token = "lakehouse:azure:DataLake"
    account: storage.StorageAccount
    containers: dict[str, storage.BlobContainer]

    def __init__(self, name: str, args: DataLakeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._account_name = args.naming.azure("st")
        self.account = storage.StorageAccount(
            "lake",
            resource_group_name=args.resource_group,
            account_name=self._account_name,
            kind="StorageV2",
            sku={"name": args.settings.redundancy},
            is_hns_enabled=True,
            enable_https_traffic_only=True,
            minimum_tls_version="TLS1_2",
            allow_blob_public_access=False,
            allow_shared_key_access=False,
            allow_cross_tenant_replication=False,
            public_network_access="Disabled",
            network_rule_set={"default_action": "Deny", "bypass": "None"},
            tags=dict(args.tags),
            opts=self.child(protect=args.protect),
        )
        retention = {"enabled": True, "days": args.settings.soft_delete_days}
        service = storage.BlobServiceProperties(
            "lake",
            resource_group_name=args.resource_group,
            account_name=self.account.name,
            blob_services_name="default",
            delete_retention_policy=retention,
            container_delete_retention_policy=retention,
            opts=self.child(),
        )
        storage.ManagementPolicy(
            "lake",
            resource_group_name=args.resource_group,
            account_name=self.account.name,
            management_policy_name="default",
            policy={"rules": [_cool_landing(args.settings.cool_after_days)]},
            opts=self.child(depends_on=[service]),
        )
        self.containers = {
            container: storage.BlobContainer(
                container,
                resource_group_name=args.resource_group,
                account_name=self.account.name,
                container_name=container,
                public_access="None",
                opts=self.child(protect=args.protect),
            )
            for container in CONTAINERS
        }
        self.register_outputs({"account_id": self.account.id})

    def url(self, container: str) -> str:
        return f"abfss://{container}@{self._account_name}.dfs.core.windows.net/"


def _cool_landing(days: int) -> dict[str, object]:
    return {
        "name": "cool-landing",
        "type": "Lifecycle",
        "enabled": True,
        "definition": {
            "filters": {"blob_types": ["blockBlob"], "prefix_match": ["landing/"]},
            "actions": {"base_blob": {"tier_to_cool": {"days_after_modification_greater_than": days}}},
        },
    }
