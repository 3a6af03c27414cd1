"""Jobs that start by themselves, by the estate's clock."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from databricks.sdk.service.jobs import BaseRun

from tests.api.jobs_world import Jobs, condition, jobs_in
from tests.conftest import RunningEstate


@pytest.fixture(scope="module")
def jobs(shared_estate: RunningEstate) -> Jobs:
    return jobs_in(shared_estate)


@pytest.fixture
def made(jobs: Jobs) -> Iterator[list[int]]:
    """Jobs that go on starting until they are deleted."""
    job_ids: list[int] = []
    yield job_ids
    for job_id in job_ids:
        jobs.client.jobs.delete(job_id)


def pass_time(estate: RunningEstate, seconds: float) -> None:
    httpx.post(f"{estate.arm}/api/estate/1.0/clock", json={"seconds": seconds}).raise_for_status()


def runs(jobs: Jobs, job_id: int) -> list[BaseRun]:
    """Oldest first."""
    return sorted(jobs.client.jobs.list_runs(job_id=job_id), key=lambda run: run.run_id or 0)


def test_a_schedule_starts_a_run_when_it_is_due_and_none_when_it_is_paused(
    jobs: Jobs, shared_estate: RunningEstate, made: list[int]
) -> None:
    nightly = {"quartz_cron_expression": "0 0 2 * * ?", "timezone_id": "Australia/Sydney"}
    tonight = jobs.create(condition("a", "EQUAL_TO", "1", "1"), schedule=nightly)
    never = jobs.create(condition("a", "EQUAL_TO", "1", "1"), schedule={**nightly, "pause_status": "PAUSED"})
    made += [tonight, never]
    assert runs(jobs, tonight) == []
    pass_time(shared_estate, 24 * 3600)
    jobs.poll(lambda: len(runs(jobs, tonight)) == 1)
    (run,) = runs(jobs, tonight)
    assert run.trigger and run.trigger.value == "PERIODIC"
    jobs.wait(run.run_id or 0)
    pass_time(shared_estate, 24 * 3600)
    jobs.poll(lambda: len(runs(jobs, tonight)) == 2)
    assert runs(jobs, never) == []


def test_a_continuous_job_begins_again_however_its_run_ended_and_waits_longer_each_time_it_fails(
    jobs: Jobs, shared_estate: RunningEstate, made: list[int]
) -> None:
    def rows(value: str) -> list[dict[str, str]]:
        return [{"name": "rows", "default": value}]

    def change(**settings: object) -> None:
        jobs.do("POST", "/api/2.2/jobs/update", {"job_id": job_id, "new_settings": settings})

    def ended(number: int) -> str:
        """How the run of that number ended; no other has begun."""
        jobs.poll(lambda: len(runs(jobs, job_id)) == number)
        run = jobs.wait(runs(jobs, job_id)[-1].run_id or 0)
        assert len(runs(jobs, job_id)) == number
        return str(run.state.result_state.value) if run.state and run.state.result_state else ""

    # It compares numbers, and `none` is no number.
    job_id = jobs.create(
        condition("a", "GREATER_THAN", "{{job.parameters.rows}}", "9"), name="follower", parameters=rows("none"), continuous={}
    )
    made.append(job_id)
    assert ended(1) == "FAILED"
    pass_time(shared_estate, 15)
    assert ended(2) == "FAILED"
    pass_time(shared_estate, 15)
    assert ended(2) == "FAILED", "it waits for 30 seconds the second time"
    change(parameters=rows("10"))
    pass_time(shared_estate, 15)
    jobs.poll(lambda: len(runs(jobs, job_id)) >= 5)
    change(continuous={"pause_status": "PAUSED"})
    found = runs(jobs, job_id)
    assert [str(run.state.result_state) for run in found[2:4] if run.state] == ["RunResultState.SUCCESS"] * 2
    assert {run.trigger.value for run in found if run.trigger} == {"CONTINUOUS"}
    pass_time(shared_estate, 3600)
    assert len(runs(jobs, job_id)) == len(found), "paused, it stays where it is"
