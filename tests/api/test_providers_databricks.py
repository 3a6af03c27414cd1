"""databricks on the local account and workspace faces: what the engine relies on, for every type of the platform."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from databricks.sdk import WorkspaceClient
from google.rpc import status_pb2
from pulumi.runtime.proto import provider_pb2

from local_estate import tenancy
from local_estate.providers import wire
from local_estate.providers.databricks.provider import KINDS, Databricks
from local_estate.providers.wire import UNKNOWN, Secret
from tests.api.providers_engine import CheckFailed, Engine, Recorded, engine_for
from tests.api.providers_world import LANDING, SCOPE, World, databricks, deploy, deploy_attributes, engines, environment
from tests.conftest import RunningEstate


@pytest.fixture(scope="module")
def world(shared_estate: RunningEstate) -> Iterator[World]:
    with engines(shared_estate) as made:
        deploy(made)
        yield made


@pytest.fixture
def engine(world: World) -> Engine:
    return world.workspace


@pytest.fixture
def client(world: World) -> WorkspaceClient:
    return world.client()


def task(key: str, **more: Any) -> dict[str, Any]:
    return {"taskKey": key, "jobClusterKey": "main", "pythonWheelTask": {"packageName": "lakehouse", "entryPoint": key}, **more}


def job(*tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    cluster = {"sparkVersion": "16.4.x-scala2.12", "nodeTypeId": "Standard_DS3_v2", "numWorkers": 1, "sparkConf": {"spark.a.b": "c"}}
    return {"tasks": list(tasks), "jobClusters": [{"jobClusterKey": "main", "newCluster": cluster}], **more}


def everything(world: World, folder: Path) -> None:
    """The types the world does not have yet."""
    engine, account = world.workspace, world.account
    account.up(databricks("GroupMember"), "member", groupId=account.id("engineers"), memberId=account.id("runner"))
    engineers: dict[str, Any] = {"groupName": "data_engineering"}
    grants = [{"principal": "data_engineering", "privileges": ["USE SCHEMA", "USE_CATALOG"]}]
    engine.up(databricks("Grants"), "grants", catalog="dev_ep_raw", grants=grants)
    number = world.workspace_number
    deploy_attributes(world)
    engine.up(databricks("WorkspaceBinding"), "binding", workspaceId=number, securableName="dev_ep_raw", securableType="catalog")
    definition = json.dumps({"spark_version": {"type": "fixed", "value": "16.4.x-scala2.12"}}, indent=2)
    engine.up(databricks("ClusterPolicy"), "policy", name="etl_restricted", definition=definition)
    allowed = [{**engineers, "permissionLevel": "CAN_USE"}]
    engine.up(databricks("Permissions"), "policy-acl", clusterPolicyId=engine.id("policy"), accessControls=allowed)
    pool = {"idleInstanceAutoterminationMinutes": 15, "nodeTypeId": "Standard_DS3_v2", "customTags": {"SYSTEM": "lakehouse"}}
    engine.up(databricks("InstancePool"), "pool", instancePoolName="pool", **pool)
    tags = {"customTags": [{"key": "SYSTEM", "value": "lakehouse"}]}
    engine.up(databricks("SqlEndpoint"), "warehouse", name="bi", clusterSize="2X-Small", autoStopMins=10, warehouseType="PRO", tags=tags)
    engine.up(databricks("SecretScope"), "scope", name="jobs")
    engine.up(databricks("SecretAcl"), "scope-acl", scope="jobs", principal="data_engineering", permission="READ")
    engine.up(databricks("Directory"), "directory", path="/Shared/lakehouse")
    query, notebook = folder / "query.sql", folder / "notebook.py"
    query.write_text("select 1")
    notebook.write_text("# Databricks notebook source\nprint(1)\n")
    engine.up(databricks("WorkspaceFile"), "query", path="/Shared/lakehouse/query.sql", source=str(query))
    engine.up(databricks("Notebook"), "notebook", path="/Shared/lakehouse/notebook", source=str(notebook))
    engine.up(databricks("File"), "file", path="/Volumes/dev_ep_raw/cmdm/files/query.sql", source=str(query))
    settings = job(
        task("silver", dependsOns=[{"taskKey": "bronze"}], runIf="ALL_DONE", maxRetries=1),
        task("bronze", libraries=[{"whl": "/Volumes/dev_ep_raw/cmdm/files/l.whl"}]),
        parameters=[{"name": "env", "default": "dev"}],
        emailNotifications={"onFailures": ["ops@example.com"]},
        schedule={"quartzCronExpression": "0 0 5 * * ?", "timezoneId": "UTC", "pauseStatus": "PAUSED"},
        runAs={"servicePrincipalName": account["runner"]["applicationId"]},
        queue={"enabled": True},
    )
    engine.up(databricks("Job"), "job", name="bronze_autoloader", **settings)
    runs = [{**engineers, "permissionLevel": "CAN_MANAGE_RUN"}]
    engine.up(databricks("Permissions"), "job-acl", jobId=engine.id("job"), accessControls=runs)
    engine.up(
        databricks("Pipeline"),
        "pipeline",
        name="telecom",
        catalog="dev_ep_raw",
        schema="cmdm",
        libraries=[{"file": {"path": "/Workspace/Shared/a.py"}}, {"glob": {"include": "/Workspace/Shared/more/**"}}],
        configuration={"telecom.raw_catalog": "dev_ep_raw"},
        clusters=[
            {"label": "default", "nodeTypeId": "Standard_D4ds_v5", "autoscale": {"minWorkers": 1, "maxWorkers": 2, "mode": "ENHANCED"}}
        ],
        environment={"dependencies": ["/Volumes/dev_ep_raw/cmdm/files/l.whl"]},
        continuous=False,
        edition="advanced",
        runAs={"servicePrincipalName": account["runner"]["applicationId"]},
        tags={"ENVM": "dev"},
    )


def address(name: str, recorded: Recorded) -> str:
    """What `pulumi import` takes: the id, but for two types whose id says nothing of where they are."""
    return {"governed": "pii", "abac": "CATALOG,dev_ep_raw,hide_pii"}.get(name, recorded.id)


def test_every_type_of_the_platform_is_made_refreshes_empty_and_is_imported_by_its_address_alone(world: World, tmp_path: Path) -> None:
    everything(world, tmp_path)
    engine, account = world.workspace, world.account
    assert {each.token for each in (*engine.state.values(), *account.state.values())} == set(KINDS)
    for side in (engine, account):
        for name, recorded in list(side.state.items()):
            assert side.refresh(name) == [], name
            assert side.up(recorded.token, name, **recorded.inputs) == "same", name
            imported = side.import_(recorded.token, f"{name}-imported", address(name, recorded))
            assert imported is not None and imported.id == recorded.id, name
            changed = set(side.diff(f"{name}-imported", recorded.inputs).diffs)
            assert changed <= {"forceDestroy"}, name
            del side.state[f"{name}-imported"]


def test_ids_are_those_of_the_published_provider(world: World) -> None:
    number, account, engine = world.workspace_number, world.account, world.workspace
    assert account.id("assignment") == f"{number}|{account.id('metastore')}"
    assert account.id("runner-user") == f"{number}|{account.id('runner')}"
    assert engine.id("schema") == "dev_ep_raw.cmdm"
    assert engine.id("volume") == "dev_ep_raw.cmdm.files"
    assert engine["volume"]["volumePath"] == "/Volumes/dev_ep_raw/cmdm/files"


def test_a_catalog_has_the_schemas_of_the_program_and_no_default(client: WorkspaceClient) -> None:
    assert {each.name for each in client.schemas.list("dev_ep_raw")} - {"information_schema"} <= {"cmdm", "renamed", "lost_schema"}


# A workspace that does not exist yet


def test_a_provider_of_a_workspace_to_be_previews_and_fails_by_name_at_apply(world: World) -> None:
    with environment(world.estate), engine_for(Databricks()) as early:
        early.configure(azureWorkspaceResourceId=f"{SCOPE}/providers/Microsoft.Databricks/workspaces/later")
        outputs = early.preview(databricks("Schema"), "schema", catalogName=UNKNOWN, name="cmdm", properties={"a": UNKNOWN})
        assert outputs["properties"] == {"a": UNKNOWN}
        with pytest.raises(CheckFailed):
            early.preview(databricks("Schema"), "schema", name="cmdm")
        with pytest.raises(grpc.RpcError) as refused:
            early.up(databricks("Directory"), "directory", path="/Shared/x")
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "workspaces/later does not exist" in refused.value.details()


def test_an_unknown_workspace_and_unknown_ids_pass_check(engine: Engine) -> None:
    config = wire.encode({"azureWorkspaceResourceId": UNKNOWN})  # the engine Configures only once it is known
    assert not engine.stub.CheckConfig(provider_pb2.CheckRequest(news=config)).failures
    binding = {"workspaceId": UNKNOWN, "securableName": "dev_ep_raw", "securableType": "catalog"}
    assert engine.preview(databricks("WorkspaceBinding"), "b", **binding)["workspaceId"] is UNKNOWN
    acl = [{"groupName": UNKNOWN, "permissionLevel": "CAN_USE"}]
    assert (
        engine.preview(databricks("Permissions"), "p", clusterPolicyId=UNKNOWN, accessControls=acl)["accessControls"][0]["groupName"]
        is UNKNOWN
    )
    unknown = [task("b"), {**task("a"), "taskKey": UNKNOWN}]
    assert engine.preview(databricks("Job"), "j", **job(*unknown))["tasks"][1]["taskKey"] is UNKNOWN


# One object, whatever happens


LOST = {
    "Pipeline": ("/pipelines", {"name": "lost-pipeline", "catalog": "c", "schema": "s"}),
    "Job": ("/jobs/create", job(task("a"), name="lost-job")),
    "ClusterPolicy": ("/policies/clusters/create", {"name": "lost-policy", "definition": "{}"}),
    "InstancePool": (
        "/instance-pools/create",
        {"instancePoolName": "lost-pool", "idleInstanceAutoterminationMinutes": 10, "nodeTypeId": "Standard_DS3_v2"},
    ),
    "SqlEndpoint": ("/sql/warehouses", {"name": "lost-warehouse", "clusterSize": "2X-Small"}),
    "Schema": ("/unity-catalog/schemas", {"catalogName": "dev_ep_raw", "name": "lost_schema"}),
    "SecretScope": ("/secrets/scopes/create", {"name": "lost-scope"}),
    "Group": ("/scim/v2/Groups", {"displayName": "lost-group"}),
    "ServicePrincipal": ("/scim/v2/ServicePrincipals", {"displayName": "lost-principal"}),
}


@pytest.mark.parametrize("kind", LOST)
def test_a_dropped_reply_and_a_dead_engine_leave_exactly_one_object(world: World, kind: str) -> None:
    path, inputs = LOST[kind]
    side = world.account if kind in ("Group", "ServicePrincipal") else world.workspace
    world.estate.fault(method="POST", path=path, effect="drop_reply")
    side.up(databricks(kind), f"lost-{kind}", **inputs)
    first = side.state.pop(f"lost-{kind}")  # the engine dies before it writes its state
    assert side.up(databricks(kind), f"lost-{kind}", **inputs) == "create"
    assert side.id(f"lost-{kind}") == first.id
    assert side.up(databricks(kind), f"lost-{kind}", **inputs) == "same"
    side.destroy(f"lost-{kind}")
    assert side.up(databricks(kind), f"lost-{kind}", **inputs) == "create"
    side.destroy(f"lost-{kind}")


def test_a_provider_killed_between_post_and_reply_leaves_one_job(world: World, client: WorkspaceClient) -> None:
    """The lookup after the lost reply fails too, so that only the record of the creation is left."""
    inputs = job(task("a"), name="killed-job")
    estate = world.estate
    world.workspace.up(databricks("Directory"), "warm", path="/Shared/warm")
    estate.fault(method="GET", path="/jobs/list", effect="delay", seconds=0.0)  # the lookup before the POST passes
    estate.fault(method="POST", path="/jobs/create", effect="drop_reply")
    estate.fault(method="GET", path="/jobs/list", effect="status", status=400)
    with pytest.raises(grpc.RpcError):
        world.workspace.up(databricks("Job"), "killed", **inputs)
    assert "killed" not in world.workspace.state
    with engines(estate) as again:
        assert again.workspace.up(databricks("Job"), "killed", **inputs) == "create"
        made = [each.job_id for each in client.jobs.list(name="killed-job")]
        assert made == [int(again.workspace.id("killed"))]


def test_a_name_alone_is_no_proof_and_a_strangers_job_stays_his(engine: Engine, client: WorkspaceClient) -> None:
    theirs = client.jobs.create(name="same-name").job_id
    engine.up(databricks("Job"), "mine", name="same-name")
    assert engine.id("mine") != str(theirs)
    engine.destroy("mine")
    assert client.jobs.get(theirs or 0).settings is not None


def test_an_owner_that_is_refused_leaves_an_object_the_engine_knows(engine: Engine) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        engine.up(databricks("Schema"), "owned", catalogName="dev_ep_raw", name="renamed", owner="nobody-such")
    assert refused.value.code() is grpc.StatusCode.UNKNOWN
    trailer = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status_pb2.Status.FromString(trailer).details[0].Unpack(detail)
    assert detail.id == "dev_ep_raw.renamed"
    assert "PRINCIPAL_DOES_NOT_EXIST" in detail.reasons[0]
    assert engine.up(databricks("Schema"), "owned", catalogName="dev_ep_raw", name="renamed") == "create"
    engine.destroy("owned")


# Changes


def test_a_schema_is_replaced_by_a_new_name_and_changed_by_a_comment(engine: Engine) -> None:
    token = databricks("Schema")
    engine.up(token, "changing", catalogName="dev_ep_raw", name="one", comment="a")
    assert engine.up(token, "changing", catalogName="dev_ep_raw", name="one", comment="b") == "update"
    assert engine["changing"]["comment"] == "b"
    assert engine.up(token, "changing", catalogName="dev_ep_raw", name="ONE", comment="b") == "same"
    assert engine.up(token, "changing", catalogName="dev_ep_raw", name="one") == "update"
    assert not engine["changing"].get("comment")
    assert engine.up(token, "changing", catalogName="dev_ep_raw", name="two") == "replace"
    assert engine.id("changing") == "dev_ep_raw.two"
    engine.destroy("changing")


def test_a_volume_is_renamed_in_place(engine: Engine) -> None:
    inputs = {"catalogName": "dev_ep_raw", "schemaName": "cmdm", "volumeType": "MANAGED"}
    engine.up(databricks("Volume"), "moving", name="before", **inputs)
    assert engine.up(databricks("Volume"), "moving", name="after", **inputs) == "update"
    assert engine["moving"]["volumePath"] == "/Volumes/dev_ep_raw/cmdm/after"
    assert engine.refresh("moving") == []
    engine.destroy("moving")


def test_grants_are_authoritative_and_their_order_and_spelling_say_nothing(engine: Engine, client: WorkspaceClient) -> None:
    token, schema = databricks("Grants"), "dev_ep_raw.cmdm"
    given = [{"principal": "data_engineering", "privileges": ["SELECT", "USE_SCHEMA"]}]
    engine.up(token, "schema-grants", schema=schema, grants=given)
    again = [{"principal": "data_engineering", "privileges": ["use schema", "select"]}]
    assert engine.up(token, "schema-grants", schema=schema, grants=again) == "same"
    client.api_client.do(
        "PATCH",
        f"/api/2.1/unity-catalog/permissions/schema/{schema}",
        body={"changes": [{"principal": tenancy.DEPLOYER_CLIENT_ID, "add": ["MODIFY"]}]},
    )
    assert engine.refresh("schema-grants") != []
    assert engine.up(token, "schema-grants", schema=schema, grants=given) == "update"
    assert [each["principal"] for each in engine["schema-grants"]["grants"]] == ["data_engineering"]
    engine.destroy("schema-grants")


def test_permissions_keep_the_owner_and_drop_what_is_not_listed(engine: Engine) -> None:
    engine.up(databricks("Job"), "acl-job", name="acl-job")
    token, identifier = databricks("Permissions"), engine.id("acl-job")
    manage = [{"groupName": "data_engineering", "permissionLevel": "CAN_MANAGE"}]
    engine.up(token, "acl", jobId=identifier, accessControls=manage)
    assert engine.id("acl") == f"/jobs/{identifier}"
    view = [{"groupName": "data_engineering", "permissionLevel": "CAN_VIEW"}]
    assert engine.up(token, "acl", jobId=identifier, accessControls=view) == "update"
    assert engine["acl"]["accessControls"] == view
    engine.destroy("acl")
    engine.destroy("acl-job")


def test_tasks_in_another_order_are_the_same_job_and_a_retry_more_is_an_update(engine: Engine) -> None:
    token = databricks("Job")
    engine.up(token, "order", **job(task("a"), task("b"), name="order"))
    assert engine.up(token, "order", **job(task("b", runIf="ALL_SUCCESS"), task("a"), name="order", maxConcurrentRuns=1)) == "same"
    identifier = engine.id("order")
    assert engine.up(token, "order", **job(task("a", maxRetries=2), task("b"), name="order")) == "update"
    assert engine.id("order") == identifier
    engine.destroy("order")


def test_a_job_of_more_than_a_hundred_tasks_reads_back_whole(engine: Engine) -> None:
    tasks = [task(f"t{index:03}") for index in range(120)]
    engine.up(databricks("Job"), "large", **job(*tasks, name="large"))
    assert len(engine["large"]["tasks"]) == 120
    assert engine.refresh("large") == []
    engine.destroy("large")


def test_drift_of_a_job_shows_on_refresh_and_is_repaired(engine: Engine, client: WorkspaceClient) -> None:
    token, inputs = databricks("Job"), job(task("a"), name="drifting", tags={"ENVM": "dev"})
    engine.up(token, "drifting", **inputs)
    client.api_client.do(
        "POST",
        "/api/2.2/jobs/update",
        body={"job_id": int(engine.id("drifting")), "new_settings": {"tags": {"ENVM": "x"}, "timeout_seconds": 60}},
    )
    assert engine.refresh("drifting") == ["tags.ENVM", "timeoutSeconds"]
    assert engine.up(token, "drifting", **inputs) == "update"
    assert engine.refresh("drifting") == []
    engine.destroy("drifting")


def test_a_file_of_other_bytes_is_an_update_and_a_build_directory_that_moved_is_not(engine: Engine, tmp_path: Path) -> None:
    token, path = databricks("File"), "/Volumes/dev_ep_raw/cmdm/files/lakehouse.whl"
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"wheel \x00 1")
    two.write_bytes(b"wheel \x00 1")
    engine.up(token, "wheel", path=path, source=str(one))
    assert engine["wheel"]["fileSize"] == 9
    assert engine.up(token, "wheel", path=path, source=str(two)) == "same"
    two.write_bytes(b"wheel \x00 2")
    assert engine.up(token, "wheel", path=path, source=str(two)) == "update"
    encoded = base64.b64encode(b"wheel \x00 2").decode()
    assert engine.up(token, "wheel", path=path, contentBase64=encoded) == "same"
    with pytest.raises(CheckFailed, match="cannot be read"):
        engine.check(token, "wheel", {"path": path, "source": str(tmp_path / "none")})
    engine.destroy("wheel")


def test_bytes_changed_behind_our_back_show_on_refresh(engine: Engine, client: WorkspaceClient) -> None:
    path = "/Volumes/dev_ep_raw/cmdm/files/drift.txt"
    content = base64.b64encode(b"ours").decode()
    engine.up(databricks("File"), "drift-file", path=path, contentBase64=content)
    client.api_client.do("PUT", f"/api/2.0/fs/files{path}", query={"overwrite": "true"}, data=b"theirs")
    assert engine.refresh("drift-file") == ["md5"]
    assert engine.up(databricks("File"), "drift-file", path=path, contentBase64=content) == "update"
    engine.destroy("drift-file")


def test_secret_content_stays_sealed_in_state(engine: Engine) -> None:
    content = Secret(base64.b64encode(b"hunter2").decode())
    engine.up(databricks("WorkspaceFile"), "sealed", path="/Shared/sealed.txt", contentBase64=content)
    assert content.value not in engine.stored()
    assert engine.refresh("sealed") == []
    engine.destroy("sealed")


def test_account_objects_change_in_place_and_members_stay(world: World) -> None:
    account = world.account
    account.up(databricks("Group"), "team", displayName="team")
    account.up(databricks("GroupMember"), "team-member", groupId=account.id("team"), memberId=account.id("runner"))
    assert account.up(databricks("Group"), "team", displayName="team-renamed", workspaceAccess=True) == "update"
    assert account.refresh("team-member") == []
    account.destroy("team-member")
    account.destroy("team")


def test_members_added_at_once_all_stay(world: World) -> None:
    account = world.account
    account.up(databricks("Group"), "crowd", displayName="crowd")
    for index in range(12):
        account.up(databricks("ServicePrincipal"), f"one-{index}", displayName=f"one-{index}")
    with ThreadPoolExecutor(12) as threads:
        adding = [
            threads.submit(
                account.up, databricks("GroupMember"), f"in-{index}", groupId=account.id("crowd"), memberId=account.id(f"one-{index}")
            )
            for index in range(12)
        ]
    assert [each.result() for each in adding] == ["create"] * 12
    assert [account.refresh(f"in-{index}") for index in range(12)] == [[]] * 12


def test_an_external_location_within_another_is_refused_with_the_services_words(engine: Engine) -> None:
    inputs = {"name": "spare", "credentialName": "lake", "forceDestroy": True}
    with pytest.raises(grpc.RpcError) as refused:
        engine.up(databricks("ExternalLocation"), "spare", url=f"{LANDING}/cmdm", **inputs)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "overlap" in refused.value.details().lower()


# Mistakes


def test_mistakes_are_named_by_property_at_any_depth(engine: Engine) -> None:
    with pytest.raises(CheckFailed) as failed:
        engine.check(
            databricks("Job"), "bad", {"tasks": [{"taskkey": "a", "pythonWheelTask": {"entrypoint": "x"}}], "maxConcurrentRuns": "many"}
        )
    assert failed.value.failures == {
        "tasks[0].taskkey": "Unknown property 'taskkey'; did you mean 'taskKey'?",
        "tasks[0].taskKey": "Missing required property 'taskKey'",
        "tasks[0].pythonWheelTask.entrypoint": "Unknown property 'entrypoint'; did you mean 'entryPoint'?",
        "maxConcurrentRuns": "Expected an integer, got string",
    }


def test_privileges_and_levels_are_those_of_databricks(engine: Engine) -> None:
    with pytest.raises(CheckFailed) as failed:
        engine.check(databricks("Grants"), "g", {"catalog": "c", "grants": [{"principal": "p", "privileges": ["SELEKT"]}]})
    assert failed.value.failures == {"grants[0].privileges[0]": "'SELEKT' is no privilege; did you mean SELECT?"}
    with pytest.raises(CheckFailed, match="exactly one securable"):
        engine.check(databricks("Grants"), "g", {"grants": []})
    with pytest.raises(CheckFailed, match="is no permission level"):
        engine.check(databricks("Permissions"), "p", {"jobId": "1", "accessControls": [{"groupName": "g", "permissionLevel": "CAN"}]})


def test_types_and_functions_the_estate_lacks_are_refused_by_name(engine: Engine) -> None:
    with pytest.raises(CheckFailed, match="does not support the resource type databricks:index/cluster:Cluster"):
        engine.check(databricks("Cluster"), "c", {"sparkVersion": "17.3.x-scala2.13"})
    with pytest.raises(grpc.RpcError, match="databricks:index/noSuch:NoSuch"):
        engine.check(databricks("NoSuch"), "n", {})
    with pytest.raises(grpc.RpcError, match="getSpaceships"):
        engine.invoke("databricks:index/getSpaceships:getSpaceships")


def test_a_workspace_resource_of_an_account_provider_says_what_is_missing(world: World) -> None:
    with pytest.raises(grpc.RpcError, match="provider_config.workspace_id"):
        world.account.up(databricks("Directory"), "d", path="/Shared/x")
    config = {"workspaceId": world.workspace_number}
    assert world.account.up(databricks("Directory"), "d", path="/Shared/by-account", providerConfig=config) == "create"
    world.account.destroy("d")


# Functions


def test_functions_answer_from_the_service(world: World) -> None:
    def ask(side: Engine, name: str, **arguments: Any) -> dict[str, Any]:
        return side.invoke(f"databricks:index/{name}:{name}", **arguments)

    found = ask(world.account, "getServicePrincipal", applicationId=tenancy.DEPLOYER_CLIENT_ID)
    assert found["displayName"] == tenancy.DEPLOYER_NAME
    assert ask(world.account, "getGroup", displayName="data_engineering")["id"] == world.account.id("engineers")
    assert ask(world.workspace, "getCurrentUser")["userName"] == tenancy.DEPLOYER_CLIENT_ID
    assert ask(world.workspace, "getCurrentMetastore")["id"] == world.account.id("metastore")
    assert ask(world.workspace, "getCurrentConfig")["isAccount"] is False
    assert ask(world.workspace, "getSparkVersion", longTermSupport=True)["id"].endswith(("scala2.12", "scala2.13"))
    assert ask(world.workspace, "getNodeType", minCores=4)["id"].startswith("Standard_")
    with pytest.raises(grpc.RpcError, match="no Group has displayName 'ghosts'"):
        ask(world.account, "getGroup", displayName="ghosts")
