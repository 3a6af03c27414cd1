"""What the program asks of the engine besides inputs: protection, order, and that a first preview can be made."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pulumi.output import Unknown

from infra.errors import Refused, SharedIncomplete
from lakehouse.contracts import ContractError
from tests.component.conftest import SHARED_OUTPUTS, Plan, Recorded, configuration, record

STATEFUL = {
    "azure-native:storage:StorageAccount",
    "azure-native:storage:BlobContainer",
    "azure-native:keyvault:Vault",
    "azure-native:databricks:Workspace",
    "azure-native:operationalinsights:Workspace",
    "databricks:index/metastore:Metastore",
    "databricks:index/group:Group",
    "databricks:index/servicePrincipal:ServicePrincipal",
    "databricks:index/catalog:Catalog",
    "databricks:index/schema:Schema",
    "databricks:index/volume:Volume",
}


def test_what_holds_state_is_protected_outside_dev(plan: Plan) -> None:
    protected = {each.type for each in plan.resources if each.protected}
    stateful = {each.type for each in plan.resources} & STATEFUL
    assert stateful
    assert protected == (set() if plan.stack == "dev" else stateful)
    assert all(each.protected for each in plan.resources if each.type in protected)


def test_nothing_outside_dev_is_deleted_with_its_contents(plan: Plan) -> None:
    forced = {each.type for each in plan.resources if each.inputs.get("forceDestroy")}
    assert bool(forced) == (plan.stack == "dev")


def test_a_wheel_stays_for_the_runs_that_may_still_use_it(environment_plan: Plan) -> None:
    (wheel,) = environment_plan.all("File")
    assert wheel.kept
    assert {each.kind for each in environment_plan.resources if each.kept} == {"File"}


def _among_themselves(resources: list[Recorded]) -> dict[str, set[str]]:
    """Which of its own kind each waits for, by name."""
    own = {f"{each.kind} {each.name}" for each in resources}
    return {each.name: {one.split(" ", 1)[1] for one in own & each.after} for each in resources}


def test_subnets_of_one_network_are_written_one_after_the_other(environment_plan: Plan) -> None:
    assert _among_themselves(environment_plan.all("Subnet")) == {"public": set(), "private": {"public"}, "endpoints": {"private"}}


def test_private_endpoints_are_made_one_after_the_other(environment_plan: Plan) -> None:
    assert _among_themselves(environment_plan.all("PrivateEndpoint")) == {
        "workspace": set(),
        "lake-dfs": {"workspace"},
        "lake-blob": {"lake-dfs"},
        "vault": {"lake-blob"},
    }


def test_nothing_enters_the_workspace_before_it_exists_and_lets_the_deployer_in(environment_plan: Plan) -> None:
    (provider,) = [each for each in environment_plan.all("databricks") if "azureWorkspaceResourceId" in each.inputs]
    assert "Workspace engineering" in provider.after
    assert "MetastoreAssignment metastore" in provider.after
    assert {f"MwsPermissionAssignment {who}" for who in ("MT-platform-owners", "sp-etl", "sp-airflow")} <= provider.after


def test_external_locations_wait_for_the_role_on_the_lake(environment_plan: Plan) -> None:
    role = environment_plan.one("RoleAssignment", "lake")
    assert role.inputs["principalType"] == "ServicePrincipal"
    for each in [*environment_plan.all("ExternalLocation"), *environment_plan.all("StorageCredential")]:
        assert "RoleAssignment lake" in each.after


def test_the_metastore_is_handed_to_its_owners_once_the_deployer_is_one_of_them(shared: Plan) -> None:
    (metastore,) = shared.all("Metastore")
    assert "GroupMember deployer-owns" in metastore.after
    assert metastore.inputs["owner"] == "MT-platform-owners"
    assert "storageRoot" not in metastore.inputs


def test_the_deployer_owns_and_the_jobs_principals_engineer(shared: Plan) -> None:
    members = {(each.inputs["groupId"], each.inputs["memberId"]) for each in shared.all("GroupMember")}
    groups = ("data_engineering", "MT-pipelines")
    engineers = {(f"id-{group}", f"id-etl-{environment}") for group in groups for environment in ("dev", "test", "prod")}
    assert members == {("id-MT-platform-owners", "deployer-id"), *engineers}


def test_a_first_preview_registers_what_the_first_up_does(plan: Plan) -> None:
    preview = record(plan.stack, preview=True)
    assert _urns(preview.resources) == _urns(plan.resources)
    assert preview.outputs == {}, "ids were taken for known"


def _urns(resources: tuple[Recorded, ...]) -> set[str]:
    return {each.urn for each in resources}


def test_urns_are_unique(plan: Plan) -> None:
    assert len(_urns(plan.resources)) == len(plan.resources)


@pytest.mark.parametrize(
    ("shared", "said"),
    [
        ({}, r"stack shared has no output \w+ yet\. Fix: pulumi up -s shared"),
        (
            {**SHARED_OUTPUTS, "service_principals": {}, "service_principal_ids": {}},
            r"stack shared has no \w+ for dev\. Fix: list it under lakehouse:environments in Pulumi\.shared\.yaml, then pulumi up",
        ),
    ],
)
def test_what_shared_lacks_is_named_with_its_fix(shared: dict[str, Any], said: str) -> None:
    with pytest.raises(SharedIncomplete, match=said):
        record("dev", shared=shared)


def without_group(name: str) -> dict[str, Any]:
    outputs: dict[str, Any] = dict(SHARED_OUTPUTS)
    return {**outputs, "group_ids": {group: known for group, known in outputs["group_ids"].items() if group != name}}


def test_a_group_that_shared_does_not_have_yet_can_be_previewed_and_the_others_stay_known() -> None:
    plan = record("dev", shared=without_group("pii_readers"), preview=True)
    assert plan.one("MwsPermissionAssignment", "analyst_readers").inputs["principalId"] == "id-analyst_readers"
    assert isinstance(plan.one("MwsPermissionAssignment", "pii_readers").inputs["principalId"], Unknown)


def test_a_group_that_shared_does_not_have_is_refused_by_up_with_its_fix() -> None:
    said = r"^stack shared has no pii_readers in its output group_ids yet\. Fix: pulumi up -s shared$"
    with pytest.raises(SharedIncomplete, match=said):
        record("dev", shared=without_group("pii_readers"))


def test_a_contracts_mistake_refuses_before_anything_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ContractError("cmdm/customer.yaml: no such type")

    monkeypatch.setattr("infra.stack.schema_grants", broken)
    seen: list[Recorded] = []
    with pytest.raises(Refused, match=r"^cmdm/customer\.yaml: no such type$"):
        record("dev", seen=seen)
    assert seen == []


def test_a_stack_of_released_wheels_refuses_before_anything_is_registered() -> None:
    seen: list[Recorded] = []
    config = {**configuration("prod"), "lakehouse:artifact": json.dumps({"required": True})}
    with pytest.raises(Refused, match=r"^Pulumi\.prod\.yaml: lakehouse:artifact: this stack deploys released wheels only\. Fix: "):
        record("prod", config, seen=seen)
    assert seen == []


def standing_catalog(name: str) -> dict[str, Any]:
    urn = "urn:pulumi:dev::lakehouse::lakehouse:databricks:Catalogs$databricks:index/catalog:Catalog::raw"
    return {urn: {"type": "databricks:index/catalog:Catalog", "outputs": {"name": name}}}


def test_another_prefix_for_catalogs_that_exist_is_refused_before_anything_is_registered() -> None:
    seen: list[Recorded] = []
    said = r"^Pulumi\.dev\.yaml: lakehouse:catalog_prefix would rename catalogs that exist \(dev_ep_raw to ep_raw\).* Fix: put the prefix"
    with pytest.raises(Refused, match=said):
        record("dev", {**configuration("dev"), "lakehouse:catalog_prefix": ""}, seen=seen, standing=standing_catalog("dev_ep_raw"))
    assert seen == []


def test_catalogs_that_keep_their_names_stand_in_nobodys_way() -> None:
    assert record("dev", standing=standing_catalog("dev_ep_raw")).one("Catalog", "raw").inputs["name"] == "dev_ep_raw"


def test_a_wrong_setting_refuses_before_anything_is_registered() -> None:
    seen: list[Recorded] = []
    with pytest.raises(Refused, match=r"^Pulumi\.dev\.yaml: lakehouse:catalog_prefix: "):
        record("dev", {**configuration("dev"), "lakehouse:catalog_prefix": "Dev-"}, seen=seen)
    assert seen == []
