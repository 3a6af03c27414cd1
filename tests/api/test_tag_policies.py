"""Governed tags through the published SDK: who defines them, who assigns them, and what that means to policies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    AlreadyExists,
    BadRequest,
    DatabricksError,
    InvalidParameterValue,
    NotFound,
    PermissionDenied,
    ResourceConflict,
)
from databricks.sdk.service.catalog import (
    ColumnMaskOptions,
    EntityTagAssignment,
    MatchColumn,
    PermissionsChange,
    PolicyInfo,
    PolicyType,
    Privilege,
    SecurableType,
)
from databricks.sdk.service.iam import ComplexValue, GrantRule, RuleSetUpdateRequest
from databricks.sdk.service.tags import TagPolicy, Value

from local_estate import tenancy
from tests.api.workspace_world import World, make_world

MAIL = "people.hr.staff.mail"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with make_world() as made:
        admin = made.admin
        for catalog, schema in (("people", "hr"), ("rules", "masks")):
            admin.catalogs.create(catalog, storage_root=f"{made.root}/{catalog}")
            admin.schemas.create(schema, catalog)
        columns = [{"name": name, "type_text": "string", "type_name": "STRING"} for name in ("id", "mail")]
        table = {"name": "staff", "catalog_name": "people", "schema_name": "hr", "table_type": "MANAGED", "columns": columns}
        admin.api_client.do("POST", "/api/2.1/unity-catalog/tables", body=table)
        parameters = {"parameters": [{"name": "x", "type_text": "string", "type_name": "STRING", "position": 0}]}
        function: dict[str, Any] = {"name": "hide", "catalog_name": "rules", "schema_name": "masks", "routine_definition": "'*'"}
        info = {**function, "full_data_type": "string", "input_params": parameters}
        admin.api_client.do("POST", "/api/2.1/unity-catalog/functions", body={"function_info": info})
        rights = [Privilege.USE_CATALOG, Privilege.USE_SCHEMA, Privilege.SELECT, Privilege.APPLY_TAG]
        changes = [PermissionsChange(principal="account users", add=rights)]
        admin.grants.update("catalog", "people", changes=changes)
        yield made


def policy(key: str, *values: str, **given: str) -> TagPolicy:
    return TagPolicy(tag_key=key, values=[Value(name=value) for value in values], **given)


def tag(key: str, value: str | None = None) -> EntityTagAssignment:
    return EntityTagAssignment(entity_type="columns", entity_name=MAIL, tag_key=key, tag_value=value)


def rule_set_of(governed: TagPolicy) -> str:
    return f"accounts/{tenancy.ACCOUNT_ID}/tagPolicies/{governed.id}/ruleSets/default"


def grant(client: WorkspaceClient, name: str, *rules: tuple[str, list[str]]) -> None:
    """Through a workspace's proxy, as `roles/tagPolicy.<role>`."""
    proxy = client.account_access_control_proxy
    given = [GrantRule(role=f"roles/tagPolicy.{role}", principals=principals) for role, principals in rules]
    proxy.update_rule_set(name, RuleSetUpdateRequest(name=name, etag=proxy.get_rule_set(name, "").etag, grant_rules=given))


# One definition for the account


def test_a_key_is_governed_once_for_every_workspace(world: World) -> None:
    here, there = world.admin.tag_policies, world.elsewhere("admin").tag_policies
    made = here.create_tag_policy(policy("level", "low", "high", description="how sensitive"))
    assert there.get_tag_policy("level") == made
    assert "level" in {each.tag_key for each in there.list_tag_policies(page_size=1)}
    with pytest.raises(AlreadyExists, match=f"Tag policy already exists in account {tenancy.ACCOUNT_ID}: level"):
        there.create_tag_policy(policy("level"))
    changed = there.update_tag_policy("level", policy("level", "low", "mid"), update_mask="values")
    assert (changed.id, changed.description) == (made.id, "how sensitive")
    assert [value.name for value in here.get_tag_policy("level").values or ()] == ["low", "mid"]
    assert here.update_tag_policy("level", policy("level", "low"), update_mask="*").description is None
    with pytest.raises(InvalidParameterValue, match="update_mask names tag_key; only description, values can be updated"):
        here.update_tag_policy("level", policy("level"), update_mask="tag_key")
    here.delete_tag_policy("level")
    with pytest.raises(NotFound, match="Tag policy level does not exist"):
        there.get_tag_policy("level")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (policy("a.b"), r"tag_key 'a\.b' must not contain"),
        (policy(" a"), "nor begin or end with white space"),
        (policy("k" * 257), "tag_key needs 1 to 256 characters"),
        (policy("k", "x", "x"), "value x is given more than once"),
        (policy("k", "x=1"), "a value 'x=1' must not contain"),
        (policy("k", *map(str, range(501))), "it has 501 values; 500 is the most"),
        (policy("k", description="d" * 4097), "description is a text of at most 4096 characters"),
    ],
)
def test_keys_and_values_follow_the_documented_limits(world: World, wrong: TagPolicy, words: str) -> None:
    with pytest.raises(InvalidParameterValue, match=words):
        world.admin.tag_policies.create_tag_policy(wrong)


# Values


def test_a_governed_key_takes_an_allowed_value_and_none_other(world: World) -> None:
    policies, tags = world.admin.tag_policies, world.admin.entity_tag_assignments
    tags.create(tag("kind", "free text"))
    policies.create_tag_policy(policy("kind", "mail", "phone"))
    assert tags.get("columns", MAIL, "kind").tag_value == "free text"  # what was assigned before stays
    refusal = r"Tag value {} is not an allowed value for tag policy key kind\. Allowed values: \[mail, phone\]"
    with pytest.raises(InvalidParameterValue, match=refusal.format("other")):
        tags.update("columns", MAIL, "kind", tag("kind", "other"), "tag_value")
    assert tags.update("columns", MAIL, "kind", tag("kind", "phone"), "tag_value").tag_value == "phone"
    tags.delete("columns", MAIL, "kind")
    for value in ("Mail", ""):
        with pytest.raises(InvalidParameterValue, match=refusal.format(value)):
            tags.create(tag("kind", value))
    policies.delete_tag_policy("kind")
    assert tags.create(tag("kind", "free again")).tag_value == "free again"
    tags.delete("columns", MAIL, "kind")


def test_a_key_without_values_stands_alone(world: World) -> None:
    world.admin.tag_policies.create_tag_policy(policy("marker"))
    with pytest.raises(
        InvalidParameterValue, match=r"Tag value yes is not an allowed value for tag policy key marker\. Allowed values: \[\]"
    ):
        world.admin.entity_tag_assignments.create(tag("marker", "yes"))
    assert world.admin.entity_tag_assignments.create(tag("marker")).tag_value == ""
    world.admin.entity_tag_assignments.delete("columns", MAIL, "marker")


# Who may


def test_assigning_needs_apply_tag_and_assign_which_groups_carry_on(world: World) -> None:
    governed = world.admin.tag_policies.create_tag_policy(policy("region", "nsw", "vic"))
    alice, bob = world.client("alice").entity_tag_assignments, world.client("bob").entity_tag_assignments
    refusal = "User does not have ASSIGN on governed tag 'region'"
    with pytest.raises(PermissionDenied, match=refusal):
        alice.create(tag("region", "nsw"))
    engineers = next(iter(world.account.groups.list(filter='displayName eq "engineers"')))
    world.account.groups.create(display_name="stewards", members=[ComplexValue(value=engineers.id)])
    grant(world.admin, rule_set_of(governed), ("assigner", ["groups/stewards"]))
    assert alice.create(tag("region", "nsw")).updated_by == world.name("alice")
    for attempt in (
        lambda: bob.update("columns", MAIL, "region", tag("region", "vic"), "tag_value"),
        lambda: bob.delete("columns", MAIL, "region"),
    ):
        with pytest.raises(PermissionDenied, match=refusal):
            attempt()
    grant(world.admin, rule_set_of(governed), ("manager", [f"servicePrincipals/{world.name('bob')}"]))
    bob.delete("columns", MAIL, "region")  # MANAGE contains it
    with pytest.raises(PermissionDenied, match=refusal):
        alice.create(tag("region", "nsw"))
    world.admin.entity_tag_assignments.create(tag("region", "nsw"))  # an account admin
    world.admin.entity_tag_assignments.delete("columns", MAIL, "region")


def test_who_may_create_a_governed_tag_manages_it(world: World) -> None:
    carol, account_rules = world.client("carol"), f"accounts/{tenancy.ACCOUNT_ID}/ruleSets/default"
    with pytest.raises(PermissionDenied, match="does not have CREATE on governed tags"):
        carol.tag_policies.create_tag_policy(policy("hers"))
    grant(world.admin, account_rules, ("creator", [f"servicePrincipals/{world.name('carol')}"]))
    governed = carol.tag_policies.create_tag_policy(policy("hers"))
    shown = carol.account_access_control_proxy.get_rule_set(rule_set_of(governed), "")
    assert shown.grant_rules == [GrantRule(role="roles/tagPolicy.manager", principals=[f"servicePrincipals/{world.name('carol')}"])]
    grant(carol, rule_set_of(governed), ("assigner", ["groups/analysts"]), ("manager", [f"servicePrincipals/{world.name('carol')}"]))
    with pytest.raises(PermissionDenied, match="does not have MANAGE on the governed tag hers"):
        world.client("bob").tag_policies.delete_tag_policy("hers")
    with pytest.raises(PermissionDenied, match="may not manage the permissions"):
        grant(carol, account_rules)
    carol.tag_policies.delete_tag_policy("hers")
    with pytest.raises(NotFound, match=f"Tag policy with id {governed.id} does not exist"):
        world.admin.account_access_control_proxy.get_rule_set(rule_set_of(governed), "")
    grant(world.admin, account_rules)


def test_a_rule_set_changes_only_under_the_etag_it_was_read_with(world: World) -> None:
    name = rule_set_of(world.admin.tag_policies.create_tag_policy(policy("etags")))
    access = world.account.access_control
    before = access.get_rule_set(name, "")
    rules = [GrantRule(role="roles/tagPolicy.assigner", principals=["groups/Engineers", "groups/analysts"])]
    after = access.update_rule_set(name, RuleSetUpdateRequest(name=name, etag=before.etag, grant_rules=rules))
    assert [rule.principals for rule in after.grant_rules or ()] == [["groups/analysts", "groups/engineers"]]
    assert world.admin.account_access_control_proxy.get_rule_set(name, "") == after
    with pytest.raises(ResourceConflict, match="has changed since it was read; read it again"):
        access.update_rule_set(name, RuleSetUpdateRequest(name=name, etag=before.etag, grant_rules=[]))


@pytest.mark.parametrize(
    ("resource", "role", "principal", "words"),
    [
        ("", "roles/billing.admin", "groups/engineers", "does not support the role roles/billing.admin in the rule set of the account"),
        ("", "roles/tagPolicy.creator", "groups/none", "Group none not found"),
        ("", "roles/tagPolicy.creator", "servicePrincipals/engineers", "ServicePrincipal engineers not found"),
        ("", "roles/tagPolicy.creator", "engineers", "'engineers' is no principal: users/NAME"),
        ("/groups/7", "roles/group.manager", "groups/engineers", "does not support rule sets of groups"),
    ],
)
def test_rules_that_could_not_hold_are_refused(world: World, resource: str, role: str, principal: str, words: str) -> None:
    name = f"accounts/{tenancy.ACCOUNT_ID}{resource}/ruleSets/default"
    access = world.account.access_control
    with pytest.raises(DatabricksError, match=words):
        etag = access.get_rule_set(name, "").etag
        access.update_rule_set(name, RuleSetUpdateRequest(name=name, etag=etag, grant_rules=[GrantRule(role=role, principals=[principal])]))


# Policies


def masking(name: str, condition: str, *excepted: str) -> PolicyInfo:
    return PolicyInfo(
        name=name,
        on_securable_type=SecurableType.CATALOG,
        on_securable_fullname="people",
        for_securable_type=SecurableType.TABLE,
        policy_type=PolicyType.POLICY_TYPE_COLUMN_MASK,
        to_principals=["account users"],
        except_principals=list(excepted),
        match_columns=[MatchColumn(alias="m", condition=condition)],
        column_mask=ColumnMaskOptions(function_name="rules.masks.hide", on_column="m"),
    )


def hidden(world: World, who: str) -> dict[str, Any]:
    """What Spark is told to hide from this principal."""
    shown: Any = world.client(who).api_client.do("GET", "/api/2.1/unity-catalog/tables/people.hr.staff", query={"protection": True})
    return {"masked": sorted(shown["protection"]["column_masks"]), "conflicts": shown["protection"]["conflicts"]}


def test_a_condition_compiles_against_the_governed_tags(world: World) -> None:
    world.admin.tag_policies.create_tag_policy(policy("class", "name"))
    words = r"Invalid condition in policy 'p'\. Compilation error with message '{}'\. Create the governed tag or allow the value first"
    with pytest.raises(BadRequest, match=words.format("Unknown tag policy key `Class`")):
        world.admin.policies.create_policy(masking("p", "has_tag('Class')"))
    with pytest.raises(BadRequest, match=words.format("Invalid tag value `mail` for key `class`")):
        world.admin.policies.create_policy(masking("p", "has_tag('class') AND NOT has_tag_value('class', 'mail')"))
    several = masking("p", "has_tag('class')", *(world.name(who) for who in ("alice", "bob", "carol") * 7))
    with pytest.raises(BadRequest, match="it names 22 principals; 20 is the most"):
        world.admin.policies.create_policy(several)
    made = world.admin.policies.create_policy(masking("p", "has_tag_value('class', 'name') OR has_tag('class')"))
    assert [(each.tag_key, each.tag_value) for each in made.governed_tags or ()] == [("class", "name"), ("class", None)]
    world.admin.policies.delete_policy("CATALOG", "people", "p")


def test_a_catalogs_policy_spares_members_of_excepted_groups_at_any_depth_and_asks_no_right_on_its_function(world: World) -> None:
    """`rules.masks` is closed to everyone but the admin."""
    world.admin.tag_policies.create_tag_policy(policy("secret"))
    engineers = next(iter(world.account.groups.list(filter='displayName eq "engineers"')))
    inner = world.account.groups.create(display_name="inner-readers", members=[ComplexValue(value=engineers.id)])
    world.account.groups.create(display_name="pii-readers", members=[ComplexValue(value=inner.id)])
    world.admin.policies.create_policy(masking("hide_secret", "has_tag('secret')", "pii-readers"))
    assert hidden(world, "bob") == {"masked": [], "conflicts": []}
    world.admin.entity_tag_assignments.create(tag("secret"))
    assert {who: hidden(world, who)["masked"] for who in ("alice", "bob", "carol")} == {"alice": [], "bob": ["mail"], "carol": ["mail"]}
    with pytest.raises(PermissionDenied, match="User does not have USE CATALOG on Catalog 'rules'"):
        world.client("bob").functions.get("rules.masks.hide")
    world.account.groups.delete(inner.id or "")
    assert hidden(world, "alice")["masked"] == ["mail"]
    world.admin.entity_tag_assignments.delete("columns", MAIL, "secret")
    world.admin.policies.delete_policy("CATALOG", "people", "hide_secret")


def test_a_policy_whose_governed_tag_is_deleted_closes_its_tables_until_it_is_back(world: World) -> None:
    tags = world.admin.tag_policies
    tags.create_tag_policy(policy("gone"))
    world.admin.policies.create_policy(masking("hide_gone", "has_tag('gone')", "engineers"))
    tags.delete_tag_policy("gone")  # nothing keeps it, although a policy refers to it
    lost = "policy hide_gone needs governed tag gone, which does not exist (UC_ABAC_UNKNOWN_TAG_POLICY)"
    assert hidden(world, "bob") == {"masked": [], "conflicts": [lost]}
    assert hidden(world, "alice") == {"masked": [], "conflicts": []}
    tags.create_tag_policy(policy("gone"))
    assert hidden(world, "bob") == {"masked": [], "conflicts": []}
    world.admin.policies.delete_policy("CATALOG", "people", "hide_gone")
