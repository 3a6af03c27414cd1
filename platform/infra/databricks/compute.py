"""Cluster policy, its users, and the SQL warehouse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_databricks as databricks

from infra.component import Component
from infra.databricks.groups import ENGINEERS, PII_READERS
from infra.settings import Compute as ComputeSettings


@dataclass(frozen=True, kw_only=True)
class ComputeArgs:
    workspace_provider: databricks.Provider
    settings: ComputeSettings
    environment: str
    tags: Mapping[str, str]


def policy_definition(settings: ComputeSettings, tags: Mapping[str, str]) -> dict[str, Any]:
    """The blueprint's `etl_restricted`, corrected: standard access mode, autoscaling within limits, an allow-list of nodes, real tags."""
    definition: dict[str, Any] = {
        "spark_version": {"type": "fixed", "value": settings.spark_version},
        "node_type_id": {"type": "allowlist", "values": list(settings.node_types), "defaultValue": settings.node_types[0]},
        "driver_node_type_id": {"type": "allowlist", "values": list(settings.node_types), "isOptional": True},
        "autoscale.min_workers": {"type": "range", "minValue": 1, "maxValue": settings.max_workers, "defaultValue": 1},
        "autoscale.max_workers": {"type": "range", "minValue": 1, "maxValue": settings.max_workers, "defaultValue": 2},
        "enable_elastic_disk": {"type": "fixed", "value": True},
        "data_security_mode": {"type": "fixed", "value": "USER_ISOLATION"},
        "azure_attributes.availability": {"type": "fixed", "value": "ON_DEMAND_AZURE"},
        "autotermination_minutes": {"type": "range", "minValue": 15, "maxValue": 120, "isOptional": True},
    }
    return definition | {f"custom_tags.{name}": {"type": "fixed", "value": value} for name, value in sorted(tags.items())}


class Compute(Component):
    token = "lakehouse:databricks:Compute"
    policy: databricks.ClusterPolicy
    warehouse: databricks.SqlEndpoint
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: ComputeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        child = self.child(provider=args.workspace_provider)
        self.policy = databricks.ClusterPolicy(
            "etl_restricted",
            name="etl_restricted",
            definition=json.dumps(policy_definition(args.settings, args.tags), sort_keys=True),
            opts=child,
        )
        self.warehouse = databricks.SqlEndpoint(
            "serving",
            name=f"sql-{args.environment}",
            cluster_size=args.settings.warehouse_size,
            max_num_clusters=1,
            auto_stop_mins=10,
            warehouse_type="PRO",
            tags={"custom_tags": [{"key": key, "value": value} for key, value in sorted(args.tags.items())]},
            opts=child,
        )
        may_use = databricks.Permissions(
            "policy",
            cluster_policy_id=self.policy.id,
            access_controls=[{"group_name": ENGINEERS, "permission_level": "CAN_USE"}],
            opts=child,
        )
        may_query = databricks.Permissions(
            "warehouse",
            sql_endpoint_id=self.warehouse.id,
            access_controls=[
                {"group_name": group, "permission_level": "CAN_USE"}
                for group in (ENGINEERS, "MT-analyst-readers", "analyst_readers", PII_READERS)
            ],
            opts=child,
        )
        self.ready = [self.policy, may_use, may_query]
        self.register_outputs({"policy_id": self.policy.id, "warehouse_id": self.warehouse.id})
