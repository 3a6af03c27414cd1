"""Governed tags, their rule sets and assignments, and attribute-based policies, as the engine meets their types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.tags import TagPolicy, Value

from local_estate import tenancy
from local_estate.providers.wire import UNKNOWN
from tests.api.providers_engine import CheckFailed, Engine
from tests.api.providers_world import World, databricks, deploy, deploy_attributes, engines, mask, rule_set
from tests.conftest import RunningEstate

TAG, ASSIGNED, POLICY, RULES = (databricks(kind) for kind in ("TagPolicy", "EntityTagAssignment", "PolicyInfo", "AccessControlRuleSet"))


@pytest.fixture(scope="module")
def world(shared_estate: RunningEstate) -> Iterator[World]:
    with engines(shared_estate) as made:
        deploy(made)
        deploy_attributes(made)
        yield made


@pytest.fixture
def engine(world: World) -> Engine:
    return world.workspace


@pytest.fixture
def client(world: World) -> WorkspaceClient:
    return world.client()


def tag(key: str, *values: str, **given: Any) -> dict[str, Any]:
    return {"tagKey": key, "values": [{"name": value} for value in values], **given}


def schema_tag(**given: Any) -> dict[str, Any]:
    return {"entityType": "schemas", "entityName": "dev_ep_raw.cmdm", **given}


def up_to_date(engine: Engine, token: str, name: str, inputs: dict[str, Any]) -> bool:
    """A preview and a refresh right after an up, which find nothing."""
    return engine.up(token, name, **inputs) == "same" and engine.refresh(name) == []


def test_a_governed_tag_from_preview_to_destroy(engine: Engine, client: WorkspaceClient) -> None:
    assert engine.preview(TAG, "level", tagKey=UNKNOWN, values=[{"name": UNKNOWN}])["tagKey"] is UNKNOWN
    inputs = tag("level", "low", "high", description="how sensitive")
    assert engine.up(TAG, "level", **inputs) == "create"
    assert engine.id("level") == client.tag_policies.get_tag_policy("level").id
    assert engine["level"]["createTime"] == engine["level"]["updateTime"]
    assert up_to_date(engine, TAG, "level", tag("level", "high", "low", description="how sensitive"))  # values are a set
    assert engine.up(TAG, "level", **tag("level", "low")) == "update"
    assert client.tag_policies.get_tag_policy("level").description is None
    assert up_to_date(engine, TAG, "level", tag("level", "low"))
    client.tag_policies.update_tag_policy("level", TagPolicy("level", values=[Value("low"), Value("mine")]), "values")
    assert engine.refresh("level") == ["values[1]"]
    assert engine.up(TAG, "level", **tag("level", "low")) == "update"
    assert engine.up(TAG, "level", **tag("rank", "low")) == "replace"
    with pytest.raises(NotFound, match="Tag policy level does not exist"):
        client.tag_policies.get_tag_policy("level")
    client.tag_policies.delete_tag_policy("rank")
    assert engine.refresh("level") == ["(gone)"]
    assert engine.up(TAG, "level", **tag("rank")) == "create"
    engine.destroy("level")


def test_a_governed_tag_made_anew_by_somebody_is_followed_to_its_new_id(engine: Engine, client: WorkspaceClient) -> None:
    engine.up(TAG, "anew", **tag("anew"))
    client.tag_policies.delete_tag_policy("anew")
    theirs = client.tag_policies.create_tag_policy(TagPolicy("anew"))
    assert engine.refresh("anew") == []
    assert engine.id("anew") == theirs.id
    engine.destroy("anew")


def test_another_ones_governed_tag_is_refused_and_imported_by_its_key(engine: Engine, client: WorkspaceClient) -> None:
    theirs = client.tag_policies.create_tag_policy(TagPolicy("theirs", values=[Value("x")]))
    with pytest.raises(grpc.RpcError) as refused:
        engine.up(TAG, "theirs", **tag("theirs", "x"))
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert f"Tag policy already exists in account {tenancy.ACCOUNT_ID}: theirs" in refused.value.details()
    imported = engine.import_(TAG, "theirs", "theirs")
    assert imported is not None and imported.id == theirs.id
    assert imported.inputs == {"tagKey": "theirs", "values": [{"name": "x"}]}
    assert engine.import_(TAG, "nothing", "no-such-key") is None
    engine.destroy("theirs")


def test_an_assignment_from_create_to_destroy(engine: Engine, client: WorkspaceClient) -> None:
    inputs = schema_tag(tagKey="owner", tagValue="us")
    assert engine.up(ASSIGNED, "owner", **inputs) == "create"
    assert engine.id("owner") == "schemas,dev_ep_raw.cmdm,owner"
    assert engine["owner"]["updatedBy"] == tenancy.DEPLOYER_CLIENT_ID
    assert up_to_date(engine, ASSIGNED, "owner", inputs)
    assert engine.up(ASSIGNED, "owner", **schema_tag(tagKey="owner")) == "update"
    assert up_to_date(engine, ASSIGNED, "owner", schema_tag(tagKey="owner"))
    assert engine.up(ASSIGNED, "owner", **schema_tag(tagKey="steward")) == "replace"
    assert [each.tag_key for each in client.entity_tag_assignments.list("schemas", "dev_ep_raw.cmdm")] == ["pii", "steward"]
    engine.destroy("owner")
    with pytest.raises(grpc.RpcError) as refused:
        engine.up(ASSIGNED, "wrong", **schema_tag(tagKey="pii", tagValue="fax", entityName="dev_ep_raw", entityType="catalogs"))
    assert "Tag value fax is not an allowed value for tag policy key pii. Allowed values: [mail, phone]" in refused.value.details()
    with pytest.raises(grpc.RpcError) as refused:
        engine.import_(ASSIGNED, "wrong", "schemas")
    assert refused.value.details() == "'schemas' is no id of a tag assignment; expected ENTITY_TYPE,ENTITY_NAME,TAG_KEY"


def test_a_policy_from_preview_to_destroy(engine: Engine, client: WorkspaceClient) -> None:
    inputs = mask("hide_phone")
    foreseen = engine.preview(POLICY, "phone", **{**inputs, "onSecurableFullname": UNKNOWN, "exceptPrincipals": [UNKNOWN]})
    assert (foreseen["onSecurableFullname"], foreseen["exceptPrincipals"]) == (UNKNOWN, [UNKNOWN])
    assert engine.up(POLICY, "phone", **inputs) == "create"
    assert engine.id("phone") == client.policies.get_policy("CATALOG", "dev_ep_raw", "hide_phone").id
    assert engine["phone"]["governedTags"] == [{"tagKey": "pii", "tagValue": "mail"}]
    assert up_to_date(engine, POLICY, "phone", {**inputs, "onSecurableFullname": "DEV_EP_RAW"})
    changed = {
        **inputs,
        "comment": "no phone",
        "whenCondition": "has_tag('pii')",
        "matchColumns": [{"alias": "secret", "condition": "TRUE"}],
    }
    assert engine.up(POLICY, "phone", **changed) == "update"
    assert up_to_date(engine, POLICY, "phone", changed)
    del changed["exceptPrincipals"], changed["whenCondition"], changed["comment"]
    assert engine.up(POLICY, "phone", **changed) == "update"
    shown = client.policies.get_policy("CATALOG", "dev_ep_raw", "hide_phone")
    assert (shown.except_principals, shown.when_condition, shown.comment) == (None, None, None)
    assert up_to_date(engine, POLICY, "phone", changed)
    client.policies.delete_policy("CATALOG", "dev_ep_raw", "hide_phone")
    assert engine.refresh("phone") == ["(gone)"]
    assert engine.up(POLICY, "phone", **inputs) == "create"
    engine.destroy("phone")
    with pytest.raises(NotFound, match="ABAC Policy 'hide_phone' does not exist on catalog 'dev_ep_raw'"):
        client.policies.get_policy("CATALOG", "dev_ep_raw", "hide_phone")


def test_arguments_of_the_function_keep_their_published_name(world: World, engine: Engine, client: WorkspaceClient) -> None:
    parameters = [
        {"name": name, "type_text": "string", "type_name": "STRING", "position": place} for place, name in enumerate(("x", "rest"))
    ]
    function = {
        "name": "cut",
        "catalog_name": "dev_ep_raw",
        "schema_name": "cmdm",
        "full_data_type": "string",
        "routine_definition": "rest",
    }
    body = {"function_info": {**function, "input_params": {"parameters": parameters}}}
    client.api_client.do("POST", "/api/2.1/unity-catalog/functions", body=body)
    using = {"functionName": "dev_ep_raw.cmdm.cut", "onColumn": "secret", "usings": [{"constant": "..."}]}
    inputs = {**mask("cut_pii"), "columnMask": using}
    engine.up(POLICY, "cut", **inputs)
    assert engine["cut"]["columnMask"] == using
    assert up_to_date(engine, POLICY, "cut", inputs)
    engine.destroy("cut")


def test_a_policy_cannot_be_moved_or_renamed_as_in_the_published_provider(engine: Engine) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        engine.up(POLICY, "abac", **mask("renamed"))
    assert "ABAC Policy 'renamed' does not exist on catalog 'dev_ep_raw'" in refused.value.details()
    assert up_to_date(engine, POLICY, "abac", mask("hide_pii"))


def test_a_policy_on_an_ungoverned_tag_fails_by_name_and_its_import_needs_its_address(engine: Engine) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        engine.up(POLICY, "wrong", **{**mask("wrong"), "matchColumns": [{"alias": "secret", "condition": "has_tag('colour')"}]})
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "Compilation error with message 'Unknown tag policy key `colour`'" in refused.value.details()
    with pytest.raises(grpc.RpcError) as refused:
        engine.import_(POLICY, "wrong", "hide_pii")
    assert refused.value.details() == "'hide_pii' is no address of a policy; expected ON_SECURABLE_TYPE,ON_SECURABLE_FULLNAME,NAME"


def test_a_rule_set_is_authoritative_by_account_or_workspace(world: World, engine: Engine, client: WorkspaceClient) -> None:
    name = rule_set(engine.id("governed"))
    runner = f"servicePrincipals/{world.account['runner']['applicationId']}"
    rules = [{"role": "roles/tagPolicy.manager", "principals": [runner]}, {"role": "roles/tagPolicy.assigner", "principals": [runner]}]
    assert world.account.up(RULES, "by-account", name=name, grantRules=rules) == "create"
    assert up_to_date(world.account, RULES, "by-account", {"name": name, "grantRules": rules[::-1]})
    assert engine.refresh("assigners") != []  # the world's own, overwritten
    assert (
        engine.up(RULES, "assigners", name=name, grantRules=[{"role": rules[1]["role"], "principals": ["groups/data_engineering"]}])
        == "update"
    )
    shown = client.account_access_control_proxy.get_rule_set(name, "")
    assert [(rule.role, rule.principals) for rule in shown.grant_rules or ()] == [("roles/tagPolicy.assigner", ["groups/data_engineering"])]
    world.account.destroy("by-account")
    assert not client.account_access_control_proxy.get_rule_set(name, "").grant_rules
    assert engine.refresh("assigners") == ["grantRules"]
    with pytest.raises(CheckFailed) as failed:
        engine.check(RULES, "nameless", {"grantRules": rules})
    assert failed.value.failures == {"name": "Missing required property 'name'"}
    with pytest.raises(grpc.RpcError) as refused:
        engine.up(RULES, "other", name=f"accounts/{tenancy.ACCOUNT_ID}/groups/1/ruleSets/default", grantRules=rules)
    assert "the local estate does not support rule sets of groups" in refused.value.details()


def test_an_accounts_provider_reaches_them_through_the_workspace_it_is_told(world: World) -> None:
    account, through = world.account, {"providerConfig": {"workspaceId": world.workspace_number}}
    with pytest.raises(grpc.RpcError) as refused:
        account.up(TAG, "of-account", **tag("of-account"))
    assert "an account-level provider needs provider_config.workspace_id" in refused.value.details()
    for token, inputs in ((TAG, tag("of-account")), (ASSIGNED, schema_tag(tagKey="of-account")), (POLICY, mask("of_account"))):
        assert account.up(token, "of-account", **inputs, **through) == "create"
        assert up_to_date(account, token, "of-account", {**inputs, **through})
        account.destroy("of-account")


LOST: dict[str, tuple[str, dict[str, Any]]] = {
    TAG: ("/tag-policies", tag("lost", "x")),
    ASSIGNED: ("/entity-tag-assignments", schema_tag(tagKey="lost", tagValue="x")),
    POLICY: ("/unity-catalog/policies", mask("lost")),
}


@pytest.mark.parametrize("token", LOST)
def test_a_dropped_reply_and_a_dead_engine_leave_exactly_one_object(world: World, engine: Engine, token: str) -> None:
    path, inputs = LOST[token]
    world.estate.fault(method="POST", path=path, effect="drop_reply")
    engine.up(token, "lost", **inputs)
    first = engine.state.pop("lost")  # the engine dies before it writes its state
    assert engine.up(token, "lost", **inputs) == "create"
    assert engine.id("lost") == first.id
    assert up_to_date(engine, token, "lost", inputs)
    engine.destroy("lost")
    assert engine.up(token, "lost", **inputs) == "create"
    engine.destroy("lost")
