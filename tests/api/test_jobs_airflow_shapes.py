"""What Airflow's Databricks provider sends and reads: ids as strings, GET parameters in the body, `True`, empty page tokens."""

from __future__ import annotations

import httpx
import pytest

from tests.api.jobs_world import Jobs, after, call, condition, jobs_in
from tests.conftest import RunningEstate


@pytest.fixture(scope="module")
def jobs(shared_estate: RunningEstate) -> Jobs:
    return jobs_in(shared_estate)


class Hook:
    """The requests of the hook, by the deployer's token."""

    def __init__(self, jobs: Jobs) -> None:
        self._http = httpx.Client(base_url=jobs.ready.url, headers={"authorization": f"Bearer {jobs.ready.token}"})

    def get(self, path: str, **body: object) -> dict[str, object]:
        reply = self._http.request("GET", f"/api/2.2/jobs/{path}", json=body)
        assert reply.status_code == 200, reply.text
        found: dict[str, object] = reply.json()
        return found

    def post(self, path: str, **body: object) -> httpx.Response:
        return self._http.post(f"/api/2.2/jobs/{path}", json=body)


def test_a_job_is_found_by_its_name(jobs: Jobs) -> None:
    job_id = jobs.create(condition("a", "EQUAL_TO", "1", "1"), name="bronze_autoloader")
    reply = httpx.get(
        f"{jobs.ready.url}/api/2.2/jobs/list?limit=25&page_token=&expand_tasks=False&name=bronze_autoloader",
        headers={"authorization": f"Bearer {jobs.ready.token}"},
    ).json()
    assert ([job["job_id"] for job in reply["jobs"]], reply["has_more"]) == ([job_id], False)


def test_run_now_poll_and_the_errors_of_failed_tasks(jobs: Jobs) -> None:
    hook = Hook(jobs)
    job_id = jobs.create(call("boom"), call("hello", key="next", depends_on=after("main")))
    run_id = hook.post("run-now", job_id=str(job_id), job_parameters={}, idempotency_token="t").json()["run_id"]
    assert hook.get("runs/get", run_id=run_id)["run_page_url"]
    jobs.wait(run_id)
    state = hook.get("runs/get", run_id=run_id)
    assert state["state"]["result_state"] == "FAILED"  # type: ignore[index]
    failed = [task for task in state["tasks"] if task["state"].get("result_state") == "FAILED"]  # type: ignore[attr-defined]
    assert [hook.get("runs/get-output", run_id=task["run_id"])["error"] for task in failed] == ["ValueError: bad row 42"]


def test_a_repair_finds_the_latest_one_in_the_history(jobs: Jobs) -> None:
    hook = Hook(jobs)
    run_id = jobs.run(call("boom")).run_id or 0
    history = hook.get("runs/get", run_id=run_id, include_history="true")["repair_history"]
    assert [(item["type"], "id" in item) for item in history] == [("ORIGINAL", False)]  # type: ignore[attr-defined, index]
    reply = hook.post("runs/repair", run_id=run_id, rerun_all_failed_tasks=True)
    jobs.wait(run_id)
    history = hook.get("runs/get", run_id=run_id, include_history=True)["repair_history"]
    assert history[-1]["id"] == reply.json()["repair_id"]  # type: ignore[index]


def test_cancelling_answers_with_an_empty_object(jobs: Jobs) -> None:
    hook = Hook(jobs)
    job_id = jobs.create(call("block", "/nowhere"))
    run_id = jobs.start(job_id)
    assert hook.post("runs/cancel", run_id=run_id).json() == {}
    jobs.wait(run_id)
    assert hook.post("runs/cancel-all", job_id=str(job_id)).json() == {}


def test_the_connection_test_lists_spark_versions(jobs: Jobs) -> None:
    versions = jobs.do("GET", "/api/2.1/clusters/spark-versions")["versions"]
    assert all(set(version) == {"key", "name"} for version in versions)
