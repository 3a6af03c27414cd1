"""What ties a workspace to the account: the metastore, and who may enter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_databricks as databricks

from infra.component import Component
from infra.databricks.groups import GROUPS, OWNERS


@dataclass(frozen=True, kw_only=True)
class MembershipArgs:
    """`group_ids` and `principal_ids` (by role) are outputs of stack `shared`."""

    account: databricks.Provider
    workspace_id: pulumi.Input[str]
    metastore_id: pulumi.Input[str]
    group_ids: Mapping[str, pulumi.Output[str]]
    principal_ids: Mapping[str, pulumi.Output[str]]


class Membership(Component):
    token = "lakehouse:databricks:Membership"
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: MembershipArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        assignment = databricks.MetastoreAssignment(
            "metastore",
            workspace_id=args.workspace_id,
            metastore_id=args.metastore_id,
            opts=self.child(provider=args.account),
        )
        # Identity federation exists once the metastore is assigned, so nobody can be let in before.
        entries = [(group, args.group_ids, group, "ADMIN" if group == OWNERS else "USER") for group in GROUPS]
        entries += [(f"sp-{role}", args.principal_ids, role, "USER") for role in ("etl", "airflow")]
        self.ready = [assignment]
        for logical, ids, key, level in entries:
            self.ready.append(
                databricks.MwsPermissionAssignment(
                    logical,
                    workspace_id=args.workspace_id,
                    principal_id=ids[key],
                    permissions=[level],
                    opts=self.child(provider=args.account, depends_on=[assignment]),
                )
            )
        self.register_outputs({})
