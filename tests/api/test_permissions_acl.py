"""Object ACLs through the real SDK."""

from __future__ import annotations

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, NotFound, PermissionDenied
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel

from tests.api.jobs_world import Jobs, condition, jobs_in
from tests.conftest import RunningEstate

STEP = condition("a", "EQUAL_TO", "1", "1")


@pytest.fixture(scope="module")
def jobs(shared_estate: RunningEstate) -> Jobs:
    return jobs_in(shared_estate)


@pytest.fixture(scope="module")
def stranger(jobs: Jobs) -> WorkspaceClient:
    return jobs.ready.as_service_principal("stranger", "operators")


def me(client: WorkspaceClient) -> str:
    return client.current_user.me().user_name or ""


def entries(jobs: Jobs, kind: str, object_id: str) -> dict[str, list[tuple[str, bool]]]:
    found = jobs.client.permissions.get(kind, object_id)
    return {
        item.user_name or item.group_name or item.service_principal_name or "": [
            (each.permission_level.value if each.permission_level else "", bool(each.inherited)) for each in item.all_permissions or []
        ]
        for item in found.access_control_list or []
    }


def test_the_creator_owns_a_job_and_admins_manage_it(jobs: Jobs) -> None:
    job_id = jobs.create(STEP)
    found = jobs.client.permissions.get("jobs", str(job_id))
    assert (found.object_type, found.object_id) == ("job", f"/jobs/{job_id}")
    assert entries(jobs, "jobs", str(job_id)) == {me(jobs.client): [("IS_OWNER", False)], "admins": [("CAN_MANAGE", True)]}


def test_a_stranger_is_refused_by_name_even_for_what_does_not_exist(jobs: Jobs, stranger: WorkspaceClient) -> None:
    job_id = jobs.create(STEP)
    name = me(stranger)
    with pytest.raises(PermissionDenied, match=f"{name} does not have View, Manage Run, Admin or Owner permissions on job {job_id}"):
        stranger.jobs.get(job_id)
    with pytest.raises(PermissionDenied, match="does not have Manage Run, Admin or Owner permissions"):
        stranger.jobs.run_now(job_id)
    with pytest.raises(PermissionDenied, match="does not have Admin or Owner permissions"):
        stranger.jobs.delete(job_id)
    with pytest.raises(PermissionDenied, match=rf"does not have Manage permissions on ElasticJobId\({job_id}\)"):
        stranger.permissions.get("jobs", str(job_id))
    jobs.client.jobs.delete(job_id)
    with pytest.raises(PermissionDenied):
        stranger.jobs.get(job_id)
    with pytest.raises(PermissionDenied):
        jobs.do("POST", "/api/2.2/jobs/reset", {"job_id": 5, "new_settings": {}}, by=stranger)


def test_levels_of_a_group_count_and_rise(jobs: Jobs, stranger: WorkspaceClient) -> None:
    job_id = jobs.create(STEP)
    jobs.client.permissions.update(
        "jobs", str(job_id), access_control_list=[AccessControlRequest(group_name="operators", permission_level=PermissionLevel.CAN_VIEW)]
    )
    assert stranger.jobs.get(job_id).job_id == job_id
    assert [job.job_id for job in stranger.jobs.list()] == [job_id]
    with pytest.raises(PermissionDenied, match="Manage Run"):
        stranger.jobs.run_now(job_id)
    jobs.client.permissions.update(
        "jobs",
        str(job_id),
        access_control_list=[AccessControlRequest(service_principal_name=me(stranger), permission_level=PermissionLevel.CAN_MANAGE_RUN)],
    )
    run_id = stranger.jobs.run_now(job_id).response.run_id
    assert jobs.wait(run_id or 0).creator_user_name == me(stranger)
    assert me(stranger) in entries(jobs, "jobs", str(job_id))


def test_a_replacing_put_needs_exactly_one_owner(jobs: Jobs) -> None:
    job_id = str(jobs.create(STEP))
    with pytest.raises(InvalidParameterValue, match="The job must have exactly one owner"):
        jobs.client.permissions.set(
            "jobs", job_id, access_control_list=[AccessControlRequest(group_name="users", permission_level=PermissionLevel.CAN_VIEW)]
        )
    owner = AccessControlRequest(service_principal_name=me(jobs.client), permission_level=PermissionLevel.IS_OWNER)
    users = AccessControlRequest(group_name="users", permission_level=PermissionLevel.CAN_VIEW)
    jobs.client.permissions.set("jobs", job_id, access_control_list=[owner, users])
    assert entries(jobs, "jobs", job_id)["users"] == [("CAN_VIEW", False)]
    jobs.client.permissions.set("jobs", job_id, access_control_list=[owner])
    assert "users" not in entries(jobs, "jobs", job_id)


def test_unknown_principals_levels_types_and_objects_are_named(jobs: Jobs) -> None:
    job_id = str(jobs.create(STEP))
    view = PermissionLevel.CAN_VIEW
    for request, message in (
        (AccessControlRequest(group_name="ghosts", permission_level=view), r"Principal: GroupName\(ghosts\) does not exist"),
        (AccessControlRequest(user_name="a@b.c", permission_level=view), r"Principal: UserName\(a@b.c\) does not exist"),
    ):
        with pytest.raises(NotFound, match=message):
            jobs.client.permissions.update("jobs", job_id, access_control_list=[request])
    with pytest.raises(InvalidParameterValue, match="'CAN_USE' is not a permission level of job; its levels are CAN_VIEW"):
        wrong = AccessControlRequest(group_name="users", permission_level=PermissionLevel.CAN_USE)
        jobs.client.permissions.update("jobs", job_id, access_control_list=[wrong])
    with pytest.raises(InvalidParameterValue, match="'cushions' is not a valid object type"):
        jobs.client.permissions.get("cushions", "1")
    with pytest.raises(NotFound, match="job 5 does not exist"):
        jobs.client.permissions.get("jobs", "5")


@pytest.mark.parametrize(
    ("kind", "levels"),
    [
        ("jobs", ["CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"]),
        ("cluster-policies", ["CAN_USE"]),
        ("sql/warehouses", ["CAN_USE", "CAN_MONITOR", "CAN_VIEW", "CAN_MANAGE", "IS_OWNER"]),
        ("directories", ["CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"]),
    ],
)
def test_levels_are_listed(jobs: Jobs, kind: str, levels: list[str]) -> None:
    found = jobs.do("GET", f"/api/2.0/permissions/{kind}/1/permissionLevels")
    assert [each["permission_level"] for each in found["permission_levels"]] == levels


def test_workspace_objects_and_tokens_have_acls_too(jobs: Jobs, stranger: WorkspaceClient) -> None:
    jobs.client.workspace.mkdirs("/Team")
    object_id = str(jobs.client.workspace.get_status("/Team").object_id)
    assert jobs.client.permissions.get("directories", object_id).object_type == "directory"
    with pytest.raises(PermissionDenied):
        stranger.workspace.get_status("/Team")
    read = AccessControlRequest(group_name="operators", permission_level=PermissionLevel.CAN_READ)
    jobs.client.permissions.update("directories", object_id, access_control_list=[read])
    assert stranger.workspace.get_status("/Team").path == "/Team"
    found = jobs.client.permissions.get("authorization", "tokens")
    assert (found.object_type, found.object_id) == ("tokens", "/authorization/tokens")
