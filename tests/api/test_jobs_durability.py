"""Runs across `kill -9` and a clean stop of the service."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
from databricks.sdk.service.jobs import RunLifeCycleState, RunResultState

from tests.api.jobs_world import Jobs, after, call, jobs_in
from tests.conftest import RunningEstate, start_estate

BLOCKING = """
import os, pathlib, subprocess, sys, time
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[2]).write_text(str(child.pid))
time.sleep(600)
"""


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def kill_service(estate: RunningEstate) -> None:
    pid = int(estate.endpoints["pid"])
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def blocked(jobs: Jobs, tmp_path: Path) -> tuple[int, list[int]]:
    """A job with a run that blocks and one that is queued behind it; the pids of the first one's processes."""
    job_id = jobs.create(
        call("run_source", BLOCKING, str(tmp_path / "task"), str(tmp_path / "child")),
        call("hello", key="next", depends_on=after("main")),
        queue={"enabled": True},
    )
    first = jobs.start(job_id)
    jobs.until(first, RunLifeCycleState.RUNNING)
    jobs.poll(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text() != "")
    return first, [int((tmp_path / name).read_text()) for name in ("task", "child")]


def test_a_killed_service_ends_what_ran_reaps_its_processes_and_goes_on_with_the_queue(estate: RunningEstate, tmp_path: Path) -> None:
    jobs = jobs_in(estate)
    first, pids = blocked(jobs, tmp_path)
    run = jobs.client.jobs.get_run(first)
    queued = jobs.start(run.job_id or 0, only=["next"], idempotency_token="t")
    assert all(map(alive, pids))
    kill_service(estate)
    again = start_estate(estate.paths.home)
    after_kill = jobs.client.jobs.get_run(first)
    assert after_kill.state
    assert (after_kill.state.life_cycle_state, after_kill.state.result_state) == (RunLifeCycleState.INTERNAL_ERROR, RunResultState.FAILED)
    assert "The local estate ended while this run was active" in (after_kill.state.state_message or "")
    assert jobs.results(after_kill) == {"main": "FAILED", "next": "CANCELED"}
    assert not any(map(alive, pids))
    assert jobs.start(run.job_id or 0, idempotency_token="t") == queued
    assert jobs.wait(queued).state.result_state is RunResultState.SUCCESS  # type: ignore[union-attr]
    jobs.do("POST", "/api/2.2/jobs/update", {"job_id": run.job_id, "new_settings": {"tasks": [call("hello")]}})
    jobs.client.jobs.repair_run(first, rerun_all_failed_tasks=True)
    assert jobs.results(jobs.wait(first)) == {"main": "SUCCESS", "next": "SUCCESS"}
    again.process.stop()


def test_a_stopped_service_ends_its_tasks(estate: RunningEstate, tmp_path: Path) -> None:
    jobs = jobs_in(estate)
    first, pids = blocked(jobs, tmp_path)
    estate.process.stop()
    deadline = time.monotonic() + 10
    while any(map(alive, pids)):
        assert time.monotonic() < deadline
    start_estate(estate.paths.home)
    run = jobs.client.jobs.get_run(first)
    assert run.state and "The local estate ended while this run was active" in (run.state.state_message or "")


def test_an_acknowledged_run_is_never_lost(estate: RunningEstate) -> None:
    jobs = jobs_in(estate)
    job_id = jobs.create(call("hello"), max_concurrent_runs=100)
    acknowledged = [jobs.start(job_id) for _ in range(6)]
    kill_service(estate)
    start_estate(estate.paths.home)
    assert [run.run_id for run in jobs.client.jobs.list_runs(job_id=job_id)] == acknowledged[::-1]
    for run_id in acknowledged:
        run = jobs.wait(run_id)
        assert run.state and (run.state.result_state is RunResultState.SUCCESS or "local estate ended" in (run.state.state_message or ""))
