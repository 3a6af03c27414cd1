"""Cluster policies, pools and node types through the real SDK, and policies at work on job clusters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError, InvalidParameterValue, NotFound, PermissionDenied
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel

from tests.api.jobs_world import Jobs, call, jobs_in
from tests.conftest import RunningEstate

RULES = {
    "num_workers": {"type": "range", "maxValue": 2},
    "spark_env_vars.GREETING": {"type": "fixed", "value": "good day"},
    "node_type_id": {"type": "allowlist", "values": ["Standard_D4ds_v5"]},
}


@pytest.fixture(scope="module")
def jobs(shared_estate: RunningEstate) -> Jobs:
    return jobs_in(shared_estate)


@pytest.fixture(scope="module")
def policy_id(jobs: Jobs) -> str:
    return jobs.client.cluster_policies.create(name="etl", definition=json.dumps(RULES)).policy_id or ""


@pytest.fixture(scope="module")
def stranger(jobs: Jobs) -> WorkspaceClient:
    return jobs.ready.as_service_principal("stranger")


def on_cluster(entry_point: str, **spec: Any) -> dict[str, Any]:
    base = {"spark_version": "17.3.x-scala2.13", "node_type_id": "Standard_D4ds_v5", "num_workers": 1}
    return call(entry_point, new_cluster={**base, **spec})


def test_a_definition_is_stored_as_it_was_sent(jobs: Jobs) -> None:
    definition = '{ "num_workers":\n{"type": "unlimited"} }'
    policy_id = jobs.client.cluster_policies.create(name="spaced", definition=definition, description="d").policy_id or ""
    found = jobs.client.cluster_policies.get(policy_id)
    assert (found.definition, found.description, len(policy_id), policy_id.upper()) == (definition, "d", 16, policy_id)
    jobs.client.cluster_policies.edit(policy_id, name="spaced", definition="{}")
    assert (jobs.client.cluster_policies.get(policy_id).definition, jobs.client.cluster_policies.get(policy_id).description) == ("{}", None)
    assert policy_id in {each.policy_id for each in jobs.client.cluster_policies.list()}
    jobs.client.cluster_policies.delete(policy_id)
    with pytest.raises(NotFound, match=f"Can't find a cluster policy with id: {policy_id}"):
        jobs.client.cluster_policies.get(policy_id)


def test_names_of_policies_are_taken_once(jobs: Jobs, policy_id: str) -> None:
    with pytest.raises(InvalidParameterValue, match="Cluster policy with name 'etl' already exists"):
        jobs.client.cluster_policies.create(name="etl", definition="{}")


def test_only_admins_make_policies(stranger: WorkspaceClient) -> None:
    with pytest.raises(PermissionDenied, match="not authorized to create cluster policies"):
        stranger.cluster_policies.create(name="mine", definition="{}")


def test_a_fixed_value_reaches_the_task(jobs: Jobs, policy_id: str) -> None:
    run = jobs.run(on_cluster("environment", policy_id=policy_id))
    assert jobs.output(run).logs == "good day\n"


def test_a_violating_cluster_is_stored_and_its_run_fails_with_the_reason(jobs: Jobs, policy_id: str) -> None:
    run = jobs.run(on_cluster("hello", policy_id=policy_id, num_workers=3))
    assert run.state and 'Validation failed for num_workers, the value must be at most 2 (is "3")' in (run.state.state_message or "")
    task = (run.tasks or [])[0]
    assert task.status and task.status.termination_details and task.status.termination_details.code
    assert task.status.termination_details.code.value == "INVALID_CLUSTER_REQUEST"


def test_a_run_needs_can_use_on_the_policy(jobs: Jobs, policy_id: str, stranger: WorkspaceClient) -> None:
    name = stranger.current_user.me().user_name
    run_as = {"service_principal_name": name}
    run = jobs.run(on_cluster("hello", policy_id=policy_id), run_as=run_as)
    assert run.state and f"{name} does not have Use permissions on cluster policy {policy_id}" in (run.state.state_message or "")
    use = AccessControlRequest(service_principal_name=name, permission_level=PermissionLevel.CAN_USE)
    jobs.client.permissions.update("cluster-policies", policy_id, access_control_list=[use])
    run = jobs.run(on_cluster("hello", policy_id=policy_id), run_as=run_as)
    assert run.state and run.state.result_state and run.state.result_state.value == "SUCCESS"


def test_an_unknown_or_malformed_policy_fails_the_run(jobs: Jobs) -> None:
    run = jobs.run(on_cluster("hello", policy_id="ABCD"))
    assert run.state and "Can't find a cluster policy with id: ABCD" in (run.state.state_message or "")
    bad = jobs.client.cluster_policies.create(name="bad", definition='{"a": {"type": "x"}}').policy_id
    run = jobs.run(on_cluster("hello", policy_id=bad))
    assert run.state and "definition is malformed" in (run.state.state_message or "")


def test_pools_have_defaults_and_fixed_parts(jobs: Jobs) -> None:
    pool_id = jobs.client.instance_pools.create("pool", "Standard_D4ds_v5", max_capacity=3).instance_pool_id or ""
    found = jobs.client.instance_pools.get(pool_id)
    assert (found.idle_instance_autotermination_minutes, found.enable_elastic_disk, found.max_capacity) == (60, True, 3)
    jobs.client.instance_pools.edit(pool_id, "pool2", "Standard_D4ds_v5", min_idle_instances=1)
    assert [each.instance_pool_name for each in jobs.client.instance_pools.list()] == ["pool2"]
    with pytest.raises(InvalidParameterValue, match="node_type_id of an instance pool cannot be changed"):
        jobs.client.instance_pools.edit(pool_id, "pool2", "Standard_D8ds_v5")
    jobs.client.instance_pools.delete(pool_id)
    with pytest.raises(NotFound, match="Can't find an instance pool"):
        jobs.client.instance_pools.get(pool_id)


def test_node_types_and_versions_are_listed_and_clusters_refused_by_name(jobs: Jobs) -> None:
    assert "Standard_D4ds_v5" in {each.node_type_id for each in jobs.client.clusters.list_node_types().node_types or []}
    assert jobs.client.clusters.select_spark_version(long_term_support=True, scala="2.13").startswith("17.3")
    assert list(jobs.client.clusters.list()) == []
    with pytest.raises(NotFound, match="Cluster 0101-000000-abcdefgh does not exist"):
        jobs.client.clusters.get("0101-000000-abcdefgh")
    with pytest.raises(DatabricksError, match="does not support all-purpose clusters"):
        jobs.client.clusters.create("17.3.x-scala2.13", num_workers=1)
