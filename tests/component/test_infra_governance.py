"""Functions, governed tags and policies of each environment: what hides which tag from whom, and what waits for what."""

from __future__ import annotations

import re

import pytest

from infra.databricks.groups import DATA_GROUPS, PIPELINES, REGION_GROUPS
from lakehouse.contracts import load_contracts
from lakehouse.contracts.masks import column_tags
from tests.component.conftest import Plan, record

PREFIX = {"dev": "dev_", "test": "test_", "prod": ""}


def test_every_file_is_a_function_in_the_environments_own_catalog(environment_plan: Plan) -> None:
    prefix = PREFIX[environment_plan.stack]
    made = {each.name: each.inputs for each in environment_plan.all("SqlFunction")}
    assert made["governance-mask_email"]["fullName"] == f"{prefix}ep_raw.governance.mask_email"
    for inputs in made.values():
        assert inputs["statement"].startswith("CREATE OR REPLACE FUNCTION " + "`{}`.{}.{}(".format(*inputs["fullName"].split(".")))
        assert not re.search(r"^--|\{|;\s*$", inputs["statement"], re.MULTILINE)


def test_functions_are_made_on_the_warehouse_of_the_workspace_by_a_provider_of_their_own(environment_plan: Plan) -> None:
    (provider,) = environment_plan.all("sqlobjects")
    assert provider.inputs == {
        "host": "adb-42.2.azuredatabricks.net",
        "azureWorkspaceResourceId": environment_plan.one("databricks", "workspace").inputs["azureWorkspaceResourceId"],
        "warehouseId": "id-serving",
    }
    assert {each.provider for each in environment_plan.all("SqlFunction")} == {f"{provider.urn}::id-sql"}
    assert "Schema raw-governance" in provider.after or "Grants raw" in provider.after


def test_the_keys_of_tags_carry_the_environment_and_take_the_words_of_the_contracts(environment_plan: Plan) -> None:
    prefix = PREFIX[environment_plan.stack]
    allowed = {each.inputs["tagKey"]: {value["name"] for value in each.inputs["values"]} for each in environment_plan.all("TagPolicy")}
    said: dict[str, set[str]] = {}
    for tag in column_tags(load_contracts()):
        said.setdefault(f"{prefix}{tag.key}", set()).add(tag.value)
    assert allowed == said


def test_only_the_principal_of_the_jobs_assigns_them_and_the_owners_keep_managing_them(environment_plan: Plan) -> None:
    rules = environment_plan.all("AccessControlRuleSet")
    assert {each.inputs["name"] for each in rules} == {
        f"accounts/c4d5e6f7-1a2b-4c3d-8e9f-0a1b2c3d4e5f/tagPolicies/id-{key}/ruleSets/default"
        for key in ("classification", "pii", "row_filter")
    }
    for each in rules:
        assert {rule["role"]: rule["principals"] for rule in each.inputs["grantRules"]} == {
            "roles/tagPolicy.assigner": [f"servicePrincipals/app-etl-{environment_plan.stack}"],
            "roles/tagPolicy.manager": ["groups/MT-platform-owners"],
        }


def test_every_tag_that_hides_has_its_policy_on_every_catalog_that_has_it(environment_plan: Plan) -> None:
    prefix = PREFIX[environment_plan.stack]
    bound = {
        (each.inputs["onSecurableFullname"], match["condition"])
        for each in environment_plan.all("PolicyInfo")
        for match in each.inputs["matchColumns"]
    }
    assert bound == {
        (f"{prefix}ep_{tag.layer}", f"has_tag_value('{prefix}{tag.key}', '{tag.value}')")
        for tag in column_tags(load_contracts())
        if tag.key in ("pii", "row_filter")
    }


def test_a_policy_is_for_everybody_but_those_who_see_in_the_clear_and_the_pipelines(environment_plan: Plan) -> None:
    for each in environment_plan.all("PolicyInfo"):
        assert each.inputs["toPrincipals"] == ["account users"]
        clear = ["pii_readers", "MT-pipelines"]
        assert each.inputs["exceptPrincipals"] == (clear if "columnMask" in each.inputs else [*clear, "data_engineering"])
        assert ("columnMask" in each.inputs) != ("rowFilter" in each.inputs)


def test_an_address_in_a_mart_is_masked_and_a_state_decides_on_the_row(dev: Plan) -> None:
    mask = dev.one("PolicyInfo", "marts-mask_address").inputs
    assert mask["columnMask"] == {"functionName": "dev_ep_raw.governance.mask_address", "onColumn": "tagged"}
    rows = dev.one("PolicyInfo", "marts-in_region").inputs
    assert rows["rowFilter"] == {"functionName": "dev_ep_raw.governance.in_region", "usings": [{"alias": "tagged"}]}
    assert rows["matchColumns"] == [{"alias": "tagged", "condition": "has_tag_value('dev_row_filter', 'region')"}]


def test_policies_wait_for_their_function_and_for_the_tags_they_ask_for(environment_plan: Plan) -> None:
    for each in environment_plan.all("PolicyInfo"):
        called = (each.inputs.get("columnMask") or each.inputs["rowFilter"])["functionName"].rpartition(".")[2]
        assert {f"SqlFunction governance-{called}", "TagPolicy pii", "AccessControlRuleSet pii"} <= each.after


def test_policies_stay_within_the_quotas_of_databricks(environment_plan: Plan) -> None:
    catalogs = [each.inputs["onSecurableFullname"] for each in environment_plan.all("PolicyInfo")]
    assert max(catalogs.count(name) for name in catalogs) <= 100
    for each in environment_plan.all("PolicyInfo"):
        assert len(each.inputs["toPrincipals"]) + len(each.inputs["exceptPrincipals"]) <= 20
        assert len(each.inputs["matchColumns"]) <= 3


def test_the_groups_that_open_and_hide_data_let_nobody_into_a_workspace(environment_plan: Plan, shared: Plan) -> None:
    assert set(DATA_GROUPS) <= {each.inputs["displayName"] for each in shared.all("Group")}
    assert not set(DATA_GROUPS) & {each.name for each in environment_plan.all("MwsPermissionAssignment")}
    granted = {grant["principal"] for each in environment_plan.all("Grants") for grant in each.inputs["grants"]}
    assert not set(REGION_GROUPS) & granted


def test_what_the_declarative_pipeline_leaves_unmasked_is_for_who_sees_persons_in_the_clear(environment_plan: Plan) -> None:
    for layer in ("raw", "curated"):
        grants = environment_plan.one("Grants", f"{layer}-telecom").inputs["grants"]
        assert [grant["principal"] for grant in grants] == [PIPELINES, "pii_readers"]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_nothing_of_it_needs_a_table(stack: str) -> None:
    preview = record(stack, preview=True)
    assert {"SqlFunction", "TagPolicy", "PolicyInfo", "AccessControlRuleSet"} <= {each.kind for each in preview.resources}
    assert not {each.kind for each in preview.resources} & {"SqlTable", "EntityTagAssignment"}
