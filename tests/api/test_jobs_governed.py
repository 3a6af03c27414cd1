"""A job acts as its run_as principal: wheels in volumes, tokens, and what a grant does not allow."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from databricks.sdk.service.catalog import PermissionsChange, Privilege, VolumeType

from tests.api.jobs_world import Jobs, wheel
from tests.api.workspace_world import World, make_world

VOLUME = "/Volumes/c/s/artifacts"
WHEEL = f"{VOLUME}/sample-1.0-py3-none-any.whl"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with make_world() as made:
        made.admin.volumes.create("c", "s", "artifacts", VolumeType.MANAGED)
        made.admin.files.upload(WHEEL, io.BytesIO(wheel()))
        yield made


@pytest.fixture
def jobs(world: World) -> Jobs:
    return Jobs(client=world.admin)


def serverless(entry_point: str, *parameters: str, library: str = WHEEL) -> dict[str, object]:
    return {
        "tasks": [
            {
                "task_key": "main",
                "python_wheel_task": {"package_name": "sample", "entry_point": entry_point, "parameters": list(parameters)},
                "environment_key": "e",
            }
        ],
        "environments": [{"environment_key": "e", "spec": {"environment_version": "4", "dependencies": [library]}}],
    }


def run(jobs: Jobs, settings: dict[str, object], **more: object) -> tuple[str, str, str]:
    """Result of the task, its logs and its error."""
    job_id = int(jobs.do("POST", "/api/2.2/jobs/create", {"name": "governed", **settings, **more})["job_id"])
    ended = jobs.wait(jobs.start(job_id))
    output = jobs.output(ended)
    return jobs.results(ended)["main"], output.logs, output.error or ""


def test_a_wheel_in_a_volume_is_installed_with_the_run_as_principals_rights(world: World, jobs: Jobs) -> None:
    run_as = {"service_principal_name": world.name("alice")}
    assert run(jobs, serverless("hello", "x")) == ("SUCCESS", "hello sample x\n", "")
    result, _, error = run(jobs, serverless("hello"), run_as=run_as)
    assert result == "FAILED"
    assert error.startswith(f"Library installation failed: {WHEEL}: ") and "USE CATALOG" in error.replace("_", " ")
    for kind, name, privilege in (
        ("catalog", "c", Privilege.USE_CATALOG),
        ("schema", "c.s", Privilege.USE_SCHEMA),
        ("volume", "c.s.artifacts", Privilege.READ_VOLUME),
    ):
        world.admin.grants.update(kind, name, changes=[PermissionsChange(principal="engineers", add=[privilege])])
    assert run(jobs, serverless("hello", "y"), run_as=run_as) == ("SUCCESS", "hello sample y\n", "")


def test_a_missing_wheel_is_named_by_its_path(jobs: Jobs) -> None:
    missing = f"{VOLUME}/none-1.0-py3-none-any.whl"
    result, _, error = run(jobs, serverless("hello", library=missing))
    assert (result, error) == ("FAILED", f"Library installation failed: {missing}: The file {missing} does not exist.")


def test_a_broken_wheel_fails_at_install(world: World, jobs: Jobs) -> None:
    broken = f"{VOLUME}/broken-1.0-py3-none-any.whl"
    world.admin.files.upload(broken, io.BytesIO(b"no wheel"), overwrite=True)
    result, _, error = run(jobs, serverless("hello", library=broken))
    assert result == "FAILED"
    assert error.startswith("Library installation failed: broken-1.0-py3-none-any.whl is not a readable wheel")


def test_a_python_file_in_a_volume_runs(world: World, jobs: Jobs) -> None:
    path = f"{VOLUME}/job.py"
    world.admin.files.upload(path, io.BytesIO(b"import sys\nprint(sys.argv[1:])\n"), overwrite=True)
    task = {"task_key": "main", "spark_python_task": {"python_file": path, "parameters": ["a"]}, "environment_key": "e"}
    environments = [{"environment_key": "e", "spec": {"environment_version": "4"}}]
    assert run(jobs, {"tasks": [task], "environments": environments}) == ("SUCCESS", "['a']\n", "")


def test_a_secret_reaches_the_tasks_environment_and_no_stored_run(world: World, jobs: Jobs) -> None:
    world.admin.secrets.create_scope("jobs")
    world.admin.secrets.put_secret("jobs", "greeting", string_value="very-secret-greeting")
    task = {**serverless("environment")["tasks"][0], "libraries": [{"whl": WHEEL}]}  # type: ignore[index]
    del task["environment_key"]
    spec = {"spark_version": "17.3.x-scala2.13", "node_type_id": "Standard_D4ds_v5", "num_workers": 1}
    task["new_cluster"] = {**spec, "spark_env_vars": {"GREETING": "{{secrets/jobs/greeting}}"}}
    assert run(jobs, {"tasks": [task]}) == ("SUCCESS", "very-secret-greeting\n", "")
    assert b"very-secret-greeting" not in (world.home / "store.db").read_bytes() + (world.home / "store.db-wal").read_bytes()
    assert not [path for path in (world.home / "runs").rglob("spec.json") if "very-secret" in path.read_text()]
