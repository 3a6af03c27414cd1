"""Account groups, the service principals of each environment, who is in which group, and the region's metastore."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_databricks as databricks

from infra.component import Component
from infra.databricks.groups import DATA_GROUPS, ENGINEERS, GROUPS, OWNERS, PIPELINES


@dataclass(frozen=True, kw_only=True)
class AccountArgs:
    """`account` is the account-level provider; the deployer is found by its application id."""

    account: databricks.Provider
    environments: tuple[str, ...]
    deployer_application_id: str
    region: str
    organisation: str
    protect: bool


class Account(Component):
    """`principals[environment][role]` with role etl or airflow: application ids; `principal_ids` the same as SCIM ids."""

    token = "lakehouse:databricks:Account"
    metastore: databricks.Metastore
    group_ids: dict[str, pulumi.Output[str]]
    principals: dict[str, dict[str, pulumi.Output[str]]]
    principal_ids: dict[str, dict[str, pulumi.Output[str]]]

    def __init__(self, name: str, args: AccountArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        provider = args.account
        groups = {
            group: databricks.Group(group, display_name=group, opts=self.child(provider=provider, protect=args.protect))
            for group in (*GROUPS, *DATA_GROUPS)
        }
        deployer = databricks.get_service_principal_output(
            application_id=args.deployer_application_id, opts=pulumi.InvokeOutputOptions(provider=provider, parent=self)
        )
        owns = databricks.GroupMember(
            "deployer-owns",
            group_id=groups[OWNERS].id,
            member_id=deployer.id,
            opts=self.child(provider=provider),
        )
        self.principals, self.principal_ids = {}, {}
        for environment in args.environments:
            made = {role: self._principal(args, role, environment) for role in ("etl", "airflow")}
            for logical, group in (("engineers", ENGINEERS), ("pipelines", PIPELINES)):
                databricks.GroupMember(
                    f"etl-{environment}-{logical}",
                    group_id=groups[group].id,
                    member_id=made["etl"].id,
                    opts=self.child(provider=provider),
                )
            self.principals[environment] = {role: principal.application_id for role, principal in made.items()}
            self.principal_ids[environment] = {role: principal.id for role, principal in made.items()}
        # One metastore serves a region. It has no root: every catalog names its own storage.
        self.metastore = databricks.Metastore(
            "metastore",
            name=f"{args.organisation}-{args.region}",
            region=args.region,
            owner=OWNERS,
            # The provider would take a changed region for an update, and do nothing.
            opts=self.child(provider=provider, protect=args.protect, depends_on=[owns], replace_on_changes=["region"]),
        )
        self.group_ids = {name: group.id for name, group in groups.items()}
        self.register_outputs({"metastore_id": self.metastore.id})

    def _principal(self, args: AccountArgs, role: str, environment: str) -> databricks.ServicePrincipal:
        return databricks.ServicePrincipal(
            f"{role}-{environment}",
            display_name=f"sp-{args.organisation}-lakehouse-{role}-{environment}",
            opts=self.child(provider=args.account, protect=args.protect),
        )
