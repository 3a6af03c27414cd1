"""Where the workspace's audit log goes: Log Analytics, through a diagnostic setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import databricks, monitor, operationalinsights

from infra.component import Component
from infra.naming import Naming

AUDITED = ("accounts", "clusters", "jobs", "secrets", "sqlPermissions", "unityCatalog", "workspace")


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    resource_group: pulumi.Input[str]
    naming: Naming
    workspace: databricks.Workspace
    tags: Mapping[str, str]
    protect: bool


class Monitoring(Component):
    token = "lakehouse:azure:Monitoring"

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        logs = operationalinsights.Workspace(
            "audit",
            resource_group_name=args.resource_group,
            workspace_name=args.naming.azure("log"),
            sku={"name": "PerGB2018"},
            retention_in_days=90,
            tags=dict(args.tags),
            opts=self.child(protect=args.protect),
        )
        monitor.DiagnosticSetting(
            "audit",
            name="audit",
            resource_uri=args.workspace.id,
            workspace_id=logs.id,
            logs=[{"category": category, "enabled": True} for category in AUDITED],
            opts=self.child(),
        )
        self.register_outputs({})
