"""Each predicate on plain values, without an engine."""

from __future__ import annotations

from typing import Any

import pytest

from guardrails.controls import BY_NAME, CONTROLS, Level
from guardrails.values import Undecided, Unknown

GOOD_PARAMETERS = {
    "enableNoPublicIp": {"value": True},
    "customVirtualNetworkId": {"value": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v"},
    "customPublicSubnetName": {"value": "snet-public"},
    "customPrivateSubnetName": {"value": "snet-private"},
}
GOOD_STORAGE = {"enableHttpsTrafficOnly": True, "minimumTlsVersion": "TLS1_2"}
GROUPS = {"allowedGroups": ["data_engineering", "MT-platform-owners"], "ownerGroup": "MT-platform-owners"}
LATER = Unknown("somewhere")


def findings(name: str, properties: dict[str, Any], configuration: dict[str, Any] | None = None) -> list[str]:
    found = BY_NAME[name].check(properties, configuration or {})
    return [f"{each.where} {each.what}" for each in found]


def parameters(**changes: Any) -> dict[str, Any]:
    return {"parameters": {**GOOD_PARAMETERS, **changes}}


@pytest.mark.parametrize("name", ["net-02-no-public-ip", "net-03-virtual-network", "net-03-public-subnet", "net-03-private-subnet"])
def test_an_injected_workspace_without_public_addresses_passes(name: str) -> None:
    assert findings(name, parameters()) == []


@pytest.mark.parametrize("value", [{"value": False}, {"value": None}, {"value": "true"}, {"value": 1}, {}, None])
def test_public_addresses_are_denied_unless_switched_off_explicitly(value: Any) -> None:
    [finding] = findings("net-02-no-public-ip", parameters(enableNoPublicIp=value))
    assert finding.startswith("parameters.enableNoPublicIp.value is ")


@pytest.mark.parametrize("properties", [{}, {"parameters": None}, {"parameters": {}}, {"parameters": []}])
def test_a_workspace_without_parameters_breaks_every_network_control(properties: dict[str, Any]) -> None:
    for control in CONTROLS:
        if control.control in ("NET-02", "NET-03"):
            assert findings(control.name, properties), control.name


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("net-03-virtual-network", "customVirtualNetworkId"),
        ("net-03-public-subnet", "customPublicSubnetName"),
        ("net-03-private-subnet", "customPrivateSubnetName"),
    ],
)
def test_each_missing_part_of_the_network_is_its_own_policy(name: str, parameter: str) -> None:
    for missing in ({"value": ""}, {"value": "  "}, {"value": None}, {}):
        assert findings(name, parameters(**{parameter: missing})) == [f"parameters.{parameter}.value is missing"]
    others = {each.name for each in CONTROLS if each.control == "NET-03"} - {name}
    assert all(findings(other, parameters(**{parameter: {}})) == [] for other in others)


def test_a_network_known_only_after_the_update_counts_as_set() -> None:
    assert findings("net-03-virtual-network", parameters(customVirtualNetworkId={"value": LATER})) == []
    assert findings("net-03-virtual-network", parameters(customVirtualNetworkId=LATER)) == []


def test_a_flag_known_only_after_the_update_is_undecided_not_passed() -> None:
    with pytest.raises(Undecided, match="somewhere"):
        findings("net-02-no-public-ip", parameters(enableNoPublicIp={"value": LATER}))


@pytest.mark.parametrize(("value", "passes"), [(True, True), (False, False), (None, False), ("true", False)])
def test_storage_answers_https_only(value: Any, passes: bool) -> None:
    assert (findings("st-01-https-only", {**GOOD_STORAGE, "enableHttpsTrafficOnly": value}) == []) is passes


@pytest.mark.parametrize(
    ("value", "passes"), [("TLS1_2", True), ("TLS1_3", True), ("TLS1_1", False), ("TLS1_0", False), (None, False), ("tls1_2", False)]
)
def test_storage_refuses_old_tls(value: Any, passes: bool) -> None:
    assert (findings("st-01-minimum-tls", {**GOOD_STORAGE, "minimumTlsVersion": value}) == []) is passes


def test_the_two_storage_properties_are_judged_apart() -> None:
    weak_tls = {**GOOD_STORAGE, "minimumTlsVersion": "TLS1_0"}
    assert findings("st-01-https-only", weak_tls) == []
    assert findings("st-01-minimum-tls", weak_tls) == ["minimumTlsVersion is 'TLS1_0', must be TLS1_2 or TLS1_3"]


def grants(*rows: tuple[Any, list[Any]]) -> dict[str, Any]:
    return {"catalog": "dev_ep_raw", "grants": [{"principal": who, "privileges": what} for who, what in rows]}


def test_a_grant_to_an_allow_listed_group_passes() -> None:
    assert findings("uc-04-allow-listed-principals", grants(("data_engineering", ["SELECT"])), GROUPS) == []


@pytest.mark.parametrize(
    ("principal", "said"),
    [
        ("jane@example.org", "is the user jane@example.org; people get access through a group"),
        ("account users", "is 'account users', which is everybody"),
        ("Account Users", "is 'Account Users', which is everybody"),
        ("users", "is 'users', which is everybody"),
        ("marketing", "is 'marketing', which is not in the allow-list"),
        ("9e8d7c6b-5a4f-4e3d-8c2b-1a0f9e8d7c6b", "is '9e8d7c6b-5a4f-4e3d-8c2b-1a0f9e8d7c6b', which is not in the allow-list"),
        ("DATA_ENGINEERING", "is 'DATA_ENGINEERING', which is not in the allow-list"),
        (None, "is missing, which is not in the allow-list"),
    ],
)
def test_a_grant_to_anybody_else_is_denied(principal: Any, said: str) -> None:
    found = findings("uc-04-allow-listed-principals", grants(("data_engineering", []), (principal, ["SELECT"])), GROUPS)
    assert found == [f"grants[1].principal {said}"]


def test_a_service_principal_may_be_listed_by_its_application_id() -> None:
    configuration = {**GROUPS, "allowedServicePrincipals": ["9e8d7c6b-5a4f-4e3d-8c2b-1a0f9e8d7c6b"]}
    assert findings("uc-04-allow-listed-principals", grants(("9e8d7c6b-5a4f-4e3d-8c2b-1a0f9e8d7c6b", [])), configuration) == []


def test_a_single_grant_resource_is_judged_as_well() -> None:
    single = {"catalog": "c", "principal": "jane@example.org", "privileges": ["MANAGE"]}
    [who] = findings("uc-04-allow-listed-principals", single, GROUPS)
    [what] = findings("uc-04-owner-privileges", single, GROUPS)
    assert who.startswith("principal is the user")
    assert what == "privileges gives MANAGE to 'jane@example.org', not the owner group"


@pytest.mark.parametrize("privilege", ["ALL_PRIVILEGES", "ALL PRIVILEGES", "all privileges", "MANAGE", "manage"])
def test_owner_privileges_outside_the_owner_group_are_denied_however_they_are_spelt(privilege: str) -> None:
    assert findings("uc-04-owner-privileges", grants(("data_engineering", ["SELECT", privilege])), GROUPS)
    assert findings("uc-04-owner-privileges", grants(("MT-platform-owners", [privilege])), GROUPS) == []


def test_ordinary_privileges_are_no_owner_privileges() -> None:
    assert findings("uc-04-owner-privileges", grants(("data_engineering", ["SELECT", "MODIFY", "MANAGE_ALLOWLIST"])), GROUPS) == []


def test_an_unknown_principal_is_undecided() -> None:
    with pytest.raises(Undecided):
        findings("uc-04-allow-listed-principals", grants((LATER, ["SELECT"])), GROUPS)
    with pytest.raises(Undecided):
        findings("uc-04-owner-privileges", grants((LATER, ["MANAGE"])), GROUPS)
    with pytest.raises(Undecided):
        findings("uc-04-allow-listed-principals", {"grants": LATER}, GROUPS)


def test_a_job_cluster_without_a_policy_is_denied() -> None:
    job = {"jobClusters": [{"newCluster": {"policyId": "p"}}, {"newCluster": {"numWorkers": 1}}]}
    assert findings("cmp-02-job-clusters", job) == ["jobClusters[1].newCluster.policyId is missing"]


def test_a_tasks_own_cluster_without_a_policy_is_denied_and_a_shared_one_is_not_its_business() -> None:
    job = {"tasks": [{"jobClusterKey": "main"}, {"newCluster": {"policyId": ""}}, {"newCluster": {"policyId": LATER}}]}
    assert findings("cmp-02-job-tasks", job) == ["tasks[1].newCluster.policyId is missing"]


def test_the_cluster_of_a_for_each_task_is_found() -> None:
    inner = [{"notebookTask": {}}, {"newCluster": {"policyId": "p"}}, {"newCluster": {"numWorkers": 2}}]
    job = {"tasks": [{"forEachTask": {"task": task}} for task in inner]}
    assert findings("cmp-02-job-for-each-tasks", job) == ["tasks[2].forEachTask.task.newCluster.policyId is missing"]


@pytest.mark.parametrize("properties", [{}, {"policyId": None}, {"policyId": ""}])
def test_an_all_purpose_cluster_without_a_policy_is_denied(properties: dict[str, Any]) -> None:
    assert findings("cmp-02-cluster", properties) == ["policyId is missing"]


def test_a_pipeline_is_judged_by_its_clusters_and_a_serverless_one_has_none() -> None:
    assert findings("cmp-02-pipeline-clusters", {"serverless": True}) == []
    assert findings("cmp-02-pipeline-clusters", {"clusters": [{"label": "default"}]}) == ["clusters[0].policyId is missing"]


@pytest.mark.parametrize("name", sorted(BY_NAME))
@pytest.mark.parametrize(
    "garbage",
    [{}, {"parameters": 7}, {"grants": "x", "tasks": 5, "clusters": [None, 3], "jobClusters": [[]]}, {"newCluster": "y", "tasks": [None]}],
)
def test_no_predicate_falls_over_a_value_of_the_wrong_type(name: str, garbage: dict[str, Any]) -> None:
    findings(name, garbage, GROUPS)


@pytest.mark.parametrize(
    ("name", "resource_type", "applies"),
    [
        ("net-02-no-public-ip", "azure-native:databricks:Workspace", True),
        ("net-02-no-public-ip", "azure-native:databricks/v20240501:Workspace", True),
        ("net-02-no-public-ip", "azure-native_databricks_v20240501:databricks:Workspace", True),
        ("net-02-no-public-ip", "azure-native:operationalinsights:Workspace", False),
        ("st-01-https-only", "azure-native:storage:StorageAccount", True),
        ("st-01-https-only", "azure-native:storage:BlobContainer", False),
        ("uc-04-owner-privileges", "databricks:index/grants:Grants", True),
        ("uc-04-owner-privileges", "databricks:index/grant:Grant", True),
        ("cmp-02-cluster", "databricks:index/clusterPolicy:ClusterPolicy", False),
        ("cmp-02-job-tasks", "databricks:index/job:Job", True),
    ],
)
def test_a_control_applies_to_its_types_in_every_version(name: str, resource_type: str, applies: bool) -> None:
    assert BY_NAME[name].applies_to(resource_type) is applies


def test_every_control_is_mandatory_named_after_its_id_and_says_its_fix() -> None:
    assert len(BY_NAME) == len(CONTROLS)
    assert {control.control for control in CONTROLS} == {"NET-02", "NET-03", "ST-01", "UC-04", "UC-07", "CMP-02"}
    for control in CONTROLS:
        assert control.name.startswith(control.control.lower())
        assert control.level is Level.MANDATORY
        assert control.fix


MASK = {"toPrincipals": ["account users"], "exceptPrincipals": ["pii_readers"], "columnMask": {"onColumn": "c"}}
FILTER = {"toPrincipals": ["account users"], "exceptPrincipals": ["pii_readers", "data_engineering"], "rowFilter": {"functionName": "f"}}


def test_a_policy_that_names_whom_it_is_for_forgets_the_others() -> None:
    name = "uc-07-policies-for-everybody"
    assert findings(name, MASK) == []
    assert findings(name, {**MASK, "toPrincipals": ["analysts"]}) == ["toPrincipals is analysts, must be account users alone"]
    assert findings(name, {"columnMask": {}}) == ["toPrincipals is missing, must be account users alone"]
    assert findings(name, {**MASK, "toPrincipals": ["account users", "analysts"]})


def test_who_sees_personal_data_in_the_clear_is_another_list_than_who_sees_all_rows() -> None:
    groups = {"uc-07-mask-exceptions": ["pii_readers"], "uc-07-filter-exceptions": ["pii_readers", "data_engineering"]}
    for name, allowed in groups.items():
        for policy in (MASK, FILTER):
            assert findings(name, policy, {"allowedGroups": allowed}) == []
    engineers = {**MASK, "exceptPrincipals": ["pii_readers", "data_engineering"]}
    assert findings("uc-07-mask-exceptions", engineers, {"allowedGroups": ["pii_readers"]}) == [
        "exceptPrincipals[1] excepts 'data_engineering', which is not in the allow-list"
    ]
    with pytest.raises(Undecided):
        findings("uc-07-filter-exceptions", {**FILTER, "exceptPrincipals": [LATER]}, {"allowedGroups": ["pii_readers"]})
