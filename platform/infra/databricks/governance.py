"""What is hidden, and from whom: functions, governed tags, and the policies that bind the ones to whatever carries the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pulumi
import pulumi_databricks as databricks

from infra.component import Component
from infra.databricks.catalogs import Catalogs
from infra.databricks.groups import ENGINEERS, OWNERS, PIPELINES
from infra.databricks.sql_functions import SqlFunction, SqlObjects, function_files
from lakehouse.contracts import load_contracts
from lakehouse.contracts.masks import PII_TAG, ROW_FILTER_TAG, TAGS, Filter, Mask, column_tags, filters, masks, tag_key

# A policy is for everybody but those it names: who joins the account tomorrow sees no more than the masks leave.
EVERYBODY = "account users"
_SCHEMA = "governance"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A mask or a row filter as it is bound to one catalog: plain data, worked out from the contracts."""

    layer: str
    name: str
    function: str
    tag: str
    value: str
    masks: bool
    excepted: tuple[str, ...]


def policies() -> tuple[Policy, ...]:
    """On every catalog that has columns with the tag. One on the catalog holds for tables that are yet to come."""
    tags = column_tags(load_contracts())

    def bound(key: str, value: str, hiding: Mask | Filter, *more: str) -> Iterable[Policy]:
        for layer in sorted({str(tag.layer) for tag in tags if (tag.key, tag.value) == (key, value)}):
            yield Policy(
                layer=layer,
                name=hiding.function,
                function=hiding.function,
                tag=key,
                value=value,
                masks=isinstance(hiding, Mask),
                excepted=(hiding.except_group, PIPELINES, *more),
            )

    found = [policy for mask in masks(load_contracts()) for policy in bound(PII_TAG, mask.tag_value, mask)]
    # Engineers answer for every row being there; whose it is, the masks keep from them, too.
    found += [policy for each in filters(load_contracts()) for policy in bound(ROW_FILTER_TAG, str(each.kind), each, ENGINEERS)]
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class GovernanceArgs:
    """`workspace_host` has no scheme; `warehouse` runs the statements that make functions; `tagger` gives tables their tags: the
    application id of the principal that `migrate` runs as."""

    workspace_provider: databricks.Provider
    workspace_host: pulumi.Input[str]
    workspace_resource_id: str
    warehouse: databricks.SqlEndpoint
    catalogs: Catalogs
    account_id: str
    prefix: str
    tagger: pulumi.Input[str]


class Governance(Component):
    """`ready`: once these exist, no table that `migrate` tags shows what it should hide."""

    token = "lakehouse:databricks:Governance"
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: GovernanceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        functions = self._functions()
        tags = self._tags()
        self.ready = [*tags, *(self._policy(policy, [functions[policy.function], *tags]) for policy in policies())]
        self.register_outputs({})

    def _functions(self) -> dict[str, SqlFunction]:
        args = self._args
        sql = SqlObjects(
            "sql",
            host=args.workspace_host,
            azure_workspace_resource_id=args.workspace_resource_id,
            warehouse_id=args.warehouse.id,
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.catalogs.ready),
        )
        return {
            file.name: SqlFunction(
                f"{file.schema}-{file.name}",
                full_name=file.full_name(args.catalogs.names),
                statement=file.statement(args.catalogs.names),
                # A function is replaced where it is, or made under another name first: a policy is never without one.
                opts=self.child(provider=sql, delete_before_replace=None),
            )
            for file in function_files()
        }

    def _tags(self) -> list[pulumi.Resource]:
        """Keys are the account's, so that they carry the environment as catalogs do; only the tagger assigns them."""
        args = self._args
        values = {key: sorted({tag.value for tag in column_tags(load_contracts()) if tag.key == key}) for key in TAGS}
        made: list[pulumi.Resource] = []
        for key in TAGS:
            tag = databricks.TagPolicy(
                key,
                tag_key=tag_key(args.prefix, key),
                description=f"{key} of a column, from its data contract; `migrate` sets it",
                values=[{"name": value} for value in values[key]],
                opts=self.child(provider=args.workspace_provider, delete_before_replace=None),
            )
            assigned = databricks.AccessControlRuleSet(
                key,
                name=tag.id.apply(lambda id: f"accounts/{args.account_id}/tagPolicies/{id}/ruleSets/default"),
                grant_rules=[
                    {"role": "roles/tagPolicy.assigner", "principals": [pulumi.Output.concat("servicePrincipals/", args.tagger)]},
                    {"role": "roles/tagPolicy.manager", "principals": [f"groups/{OWNERS}"]},
                ],
                opts=self.child(provider=args.workspace_provider, delete_before_replace=None),
            )
            made += [tag, assigned]
        return made

    def _policy(self, policy: Policy, after: list[pulumi.Resource]) -> databricks.PolicyInfo:
        args = self._args
        function = f"{args.catalogs.names['raw']}.{_SCHEMA}.{policy.function}"
        hiding = {"column_mask": {"function_name": function, "on_column": "tagged"}}
        if not policy.masks:
            hiding = {"row_filter": {"function_name": function, "usings": [{"alias": "tagged"}]}}  # type: ignore[dict-item]
        return databricks.PolicyInfo(
            f"{policy.layer}-{policy.name}",
            name=policy.name,
            comment=f"{'Masks columns' if policy.masks else 'Filters rows of tables'} tagged {policy.tag} = {policy.value}",
            policy_type="POLICY_TYPE_COLUMN_MASK" if policy.masks else "POLICY_TYPE_ROW_FILTER",
            on_securable_type="CATALOG",
            on_securable_fullname=args.catalogs.names[policy.layer],
            for_securable_type="TABLE",
            to_principals=[EVERYBODY],
            except_principals=list(policy.excepted),
            match_columns=[{"alias": "tagged", "condition": f"has_tag_value('{tag_key(args.prefix, policy.tag)}', '{policy.value}')"}],
            # The published provider would look for a renamed or moved policy at its new place and not find it.
            opts=self.child(
                provider=args.workspace_provider,
                depends_on=after,
                delete_before_replace=None,
                replace_on_changes=["name", "onSecurableFullname"],
            ),
            **hiding,
        )
