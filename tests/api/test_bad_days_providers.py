"""Storms of refusals, lost replies and refused tokens between the providers and the service: one object in the end, and no token told."""

from __future__ import annotations

import re
from collections.abc import Iterator

import grpc
import pytest
from databricks.sdk import WorkspaceClient

from local_estate import tenancy
from tests.api.estate_setup import Arm
from tests.api.providers_world import World, azure, databricks, deploy, engines
from tests.conftest import RunningEstate


@pytest.fixture(scope="module")
def world(shared_estate: RunningEstate) -> Iterator[World]:
    with engines(shared_estate) as made:
        deploy(made)
        yield made


def _jobs(world: World, name: str) -> list[str]:
    (entry,) = world.estate.endpoints["workspaces"].values()
    client = WorkspaceClient(
        host=entry["url"], client_id=tenancy.DEPLOYER_CLIENT_ID, client_secret=world.estate.deployer_secret, auth_type="oauth-m2m"
    )
    return [str(each.job_id) for each in client.jobs.list(name=name)]


def test_a_job_posted_through_a_storm_and_a_lost_reply_exists_once(world: World) -> None:
    for status in (429, 503, 429, 503):
        world.estate.fault(method="POST", path="/jobs/create", effect="status", status=status)
    world.estate.fault(method="POST", path="/jobs/create", effect="drop_reply")
    assert world.workspace.up(databricks("Job"), "stormy", name="stormy") == "create"
    assert _jobs(world, "stormy") == [world.workspace.id("stormy")]


def test_a_storm_that_does_not_end_fails_by_name_and_leaves_nothing(world: World) -> None:
    world.estate.fault(method="POST", path="/jobs/create", effect="status", status=429, times=6)
    with pytest.raises(grpc.RpcError) as refused:
        world.workspace.up(databricks("Job"), "drowned", name="drowned")
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.value.details().startswith("REQUEST_LIMIT_EXCEEDED: injected fault")
    assert _jobs(world, "drowned") == []
    assert world.workspace.up(databricks("Job"), "drowned", name="drowned") == "create"
    assert _jobs(world, "drowned") == [world.workspace.id("drowned")]


def test_an_expired_token_is_replaced_by_a_new_one(world: World) -> None:
    world.estate.fault(method="PUT", path="rg-renewed", effect="status", status=401)
    assert world.azure.up(azure("resources:ResourceGroup"), "renewed", resourceGroupName="rg-renewed") == "create"


def test_a_token_refused_twice_is_an_authentication_error_that_does_not_tell_it(world: World) -> None:
    inputs = {"resourceGroupName": "rg-refused"}
    world.estate.fault(method="PUT", path="rg-refused", effect="status", status=401, times=2)
    with pytest.raises(grpc.RpcError) as refused:
        world.azure.up(azure("resources:ResourceGroup"), "refused", **inputs)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert refused.value.details().startswith("UNAUTHENTICATED: injected fault")
    assert Arm(estate=world.estate).request("HEAD", "/resourceGroups/rg-refused").status_code == 404
    assert world.azure.up(azure("resources:ResourceGroup"), "refused", **inputs) == "create"
    for told in (refused.value.details(), world.azure.stored(), world.estate.process.log.read_text()):
        assert not re.search(r"eyJ[\w-]{10,}\.eyJ", told)
