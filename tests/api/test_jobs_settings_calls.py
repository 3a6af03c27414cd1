"""create, get, list, reset, update and delete of jobs, as Pulumi's provider and the SDK use them."""

from __future__ import annotations

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError, InvalidParameterValue, PermissionDenied, ResourceDoesNotExist

from tests.api.jobs_world import Jobs, call, condition, jobs_in
from tests.conftest import RunningEstate

STEP = condition("a", "EQUAL_TO", "1", "1")


@pytest.fixture(scope="module")
def jobs(shared_estate: RunningEstate) -> Jobs:
    return jobs_in(shared_estate)


@pytest.fixture(scope="module")
def member(jobs: Jobs) -> WorkspaceClient:
    return jobs.ready.as_service_principal("member")


def test_get_returns_what_was_sent_plus_defaults(jobs: Jobs) -> None:
    sent = {"description": "d", "tags": {"SYSTEM": "cmdm"}, "parameters": [{"name": "p", "default": "1"}], "queue": {"enabled": True}}
    job_id = jobs.create(STEP, call("hello"), **sent)
    found = jobs.do("GET", "/api/2.2/jobs/get", job_id=str(job_id))
    assert found["settings"].items() >= sent.items()
    assert (found["settings"]["format"], found["settings"]["max_concurrent_runs"]) == ("MULTI_TASK", 1)
    assert found["creator_user_name"] == found["run_as_user_name"] == jobs.client.current_user.me().user_name
    assert found["settings"]["tasks"][0] == {**STEP, "run_if": "ALL_SUCCESS", "timeout_seconds": 0, "email_notifications": {}}
    for version in ("2.0", "2.1"):
        assert jobs.do("GET", f"/api/{version}/jobs/get", job_id=job_id) == found


def test_lists_page_at_a_hundred(jobs: Jobs) -> None:
    tasks = [condition(f"t{number:03}", "EQUAL_TO", "1", "1") for number in range(120)]
    job_id = jobs.create(*tasks)
    first = jobs.do("GET", "/api/2.2/jobs/get", job_id=job_id)
    assert (len(first["settings"]["tasks"]), "next_page_token" in first) == (100, True)
    assert len((jobs.client.jobs.get(job_id).settings.tasks if jobs.client.jobs.get(job_id).settings else None) or []) == 120
    run = jobs.wait(jobs.start(job_id))
    assert len(run.tasks or []) == 120
    with pytest.raises(InvalidParameterValue, match="more than 100 need Jobs API 2.2"):
        jobs.do("POST", "/api/2.1/jobs/create", {"tasks": tasks})


def test_jobs_are_listed_newest_first_by_name_and_page(jobs: Jobs) -> None:
    made = [jobs.create(STEP, name="Listed") for _ in range(3)]
    assert [job.job_id for job in jobs.client.jobs.list(name="lISTED", limit=2)] == made[::-1]
    page = jobs.do("GET", "/api/2.2/jobs/list", name="listed", limit="2", page_token="")
    assert (len(page["jobs"]), page["has_more"], "tasks" in page["jobs"][0]["settings"]) == (2, True, False)
    expanded = jobs.do("GET", "/api/2.2/jobs/list", name="listed", expand_tasks="True")
    assert expanded["jobs"][0]["settings"]["tasks"][0]["task_key"] == "a"


def test_reset_replaces_and_update_merges(jobs: Jobs) -> None:
    job_id = jobs.create(STEP, description="d", run_as={"service_principal_name": jobs.client.current_user.me().user_name})
    jobs.do(
        "POST",
        "/api/2.2/jobs/update",
        {"job_id": job_id, "new_settings": {"name": "renamed", "tasks": [condition("b", "EQUAL_TO", "1", "1")]}},
    )
    settings = jobs.do("GET", "/api/2.2/jobs/get", job_id=job_id)["settings"]
    assert (settings["name"], settings["description"], [task["task_key"] for task in settings["tasks"]]) == ("renamed", "d", ["a", "b"])
    jobs.do("POST", "/api/2.2/jobs/reset", {"job_id": str(job_id), "new_settings": {"name": "fresh", "tasks": [STEP]}})
    settings = jobs.do("GET", "/api/2.2/jobs/get", job_id=job_id)["settings"]
    assert (settings["name"], settings.get("description"), len(settings["tasks"])) == ("fresh", None, 1)
    assert settings["run_as"]


def test_a_deleted_job_is_gone_in_the_words_clients_match(jobs: Jobs) -> None:
    job_id = jobs.create(STEP)
    jobs.client.jobs.delete(job_id)
    with pytest.raises(ResourceDoesNotExist, match=f"Job {job_id} does not exist"):
        jobs.client.jobs.get(job_id)
    with pytest.raises(DatabricksError, match=f"Job {job_id} does not exist"):
        jobs.client.jobs.run_now(job_id)


def test_unknown_task_types_are_refused_at_create(jobs: Jobs) -> None:
    with pytest.raises(DatabricksError, match=r"the local estate does not support notebook_task \(task 'n'\)"):
        jobs.create({"task_key": "n", "notebook_task": {"notebook_path": "/x"}})
    assert [job for job in jobs.client.jobs.list(name="test") if job.settings and job.settings.description == "n"] == []


def test_run_as_takes_an_existing_principal_and_an_admin(jobs: Jobs, member: WorkspaceClient) -> None:
    name = member.current_user.me().user_name or ""
    with pytest.raises(InvalidParameterValue, match="The service principal 'ghost' of run_as does not exist"):
        jobs.create(STEP, run_as={"service_principal_name": "ghost"})
    job_id = jobs.create(call("hello"), run_as={"service_principal_name": name})
    assert jobs.client.jobs.get(job_id).run_as_user_name == name
    admin = jobs.client.current_user.me().user_name
    body = {"name": "m", "tasks": [STEP], "run_as": {"service_principal_name": admin}}
    with pytest.raises(PermissionDenied, match=f"{name} is not allowed to set run_as to '{admin}'"):
        jobs.do("POST", "/api/2.2/jobs/create", body, by=member)
    own = jobs.do("POST", "/api/2.2/jobs/create", {**body, "run_as": {"service_principal_name": name}}, by=member)
    assert own["job_id"]


def test_the_run_as_principals_rights_decide_over_libraries(jobs: Jobs, member: WorkspaceClient) -> None:
    import io

    from databricks.sdk.service.workspace import ImportFormat

    from tests.api.jobs_world import wheel

    home = f"/Workspace/Users/{jobs.client.current_user.me().user_name}/sample-1.0-py3-none-any.whl"
    jobs.client.workspace.upload(home, io.BytesIO(wheel()), format=ImportFormat.RAW, overwrite=True)
    as_admin = jobs.run(call("hello", library=home))
    serverless = {"task_key": "main", "python_wheel_task": call("hello")["python_wheel_task"], "environment_key": "e"}
    environments = [{"environment_key": "e", "spec": {"environment_version": "4", "dependencies": [home]}}]
    as_member = jobs.run(serverless, environments=environments, run_as={"service_principal_name": member.current_user.me().user_name})
    assert jobs.results(as_admin) == {"main": "SUCCESS"}
    assert jobs.results(as_member) == {"main": "FAILED"}
    assert "does not have View permissions" in (jobs.output(as_member).error or "")


def test_a_cluster_without_a_policy_takes_an_entitlement(jobs: Jobs, member: WorkspaceClient) -> None:
    run = jobs.run(call("hello"), run_as={"service_principal_name": member.current_user.me().user_name})
    assert run.state and "it lacks the entitlement allow-cluster-create" in (run.state.state_message or "")


def test_a_library_that_is_not_in_the_environment_fails_at_install(jobs: Jobs) -> None:
    good = call("hello", libraries=[{"whl": "/Workspace/Shared/sample-1.0-py3-none-any.whl"}, {"pypi": {"package": "requests>=2"}}])
    assert jobs.results(jobs.run(good)) == {"main": "SUCCESS"}
    for library, named in (({"pypi": {"package": "no-such-thing==1"}}, "no-such-thing==1"), ({"maven": {"coordinates": "a:b:1"}}, "maven")):
        run = jobs.run(call("hello", libraries=[library]))
        error = jobs.output(run).error or ""
        assert "Library installation failed" in error and named in error
