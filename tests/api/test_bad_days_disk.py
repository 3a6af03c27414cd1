"""A disk that takes no more bytes: one clear line for whoever wrote, nothing half written, and all goes on once there is room."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service.jobs import RunLifeCycleState, RunResultState
from databricks.sdk.service.workspace import ImportFormat

from local_estate.paths import REPOSITORY
from local_estate.process import EXPLAINED, MODULE
from tests.api.estate_setup import Arm
from tests.api.jobs_world import Jobs, call, jobs_in
from tests.conftest import RunningEstate, start_estate

# Python with no room for a byte in any file.
LIMITED = ["sh", "-c", 'ulimit -f 0; exec "$@"', "-", sys.executable]
NO_ROOM = r"the disk below .* takes no more \(.*\)\. Free some space there and try again\."


@contextmanager
def full_disk(estate: RunningEstate) -> Iterator[None]:
    """Every write of the service to a file fails, as the kernel does it to a process at its limit."""
    service = psutil.Process(int(estate.endpoints["pid"]))
    soft, hard = service.rlimit(psutil.RLIMIT_FSIZE)
    service.rlimit(psutil.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        service.rlimit(psutil.RLIMIT_FSIZE, (soft, hard))


def test_writes_to_a_full_disk_are_refused_in_one_line_and_leave_nothing(estate: RunningEstate) -> None:
    jobs = jobs_in(estate)
    job_id = jobs.create(call("hello"))
    arm, before = Arm(estate=estate), _groups(estate)
    with full_disk(estate):
        status, code, message = arm.refused("PUT", "/resourceGroups/late", {"location": "australiaeast"})
        assert (status, code) == (507, "INSUFFICIENT_STORAGE")
        assert str(estate.paths.home) in message
        with pytest.raises(DatabricksError, match=NO_ROOM):
            jobs.client.workspace.upload("/Shared/late.py", io.BytesIO(b"x = 1"), format=ImportFormat.RAW)
        with pytest.raises(DatabricksError, match=NO_ROOM):
            jobs.start(job_id)
        assert _groups(estate) == before
        assert "/Shared/late.py" not in {each.path for each in jobs.client.workspace.list("/Shared")}
        assert list(jobs.client.jobs.list_runs(job_id=job_id)) == []
    arm.put("/resourceGroups/late", {"location": "australiaeast"})
    jobs.client.workspace.upload("/Shared/late.py", io.BytesIO(b"x = 1"), format=ImportFormat.RAW)
    assert jobs.wait(jobs.start(job_id)).state.result_state is RunResultState.SUCCESS  # type: ignore[union-attr]
    estate.process.stop()
    start_estate(estate.paths.home)
    assert _groups(estate) == before | {"late"}
    with jobs.client.workspace.download("/Shared/late.py") as content:
        assert content.read() == b"x = 1"


def test_a_run_that_ends_on_a_full_disk_is_recorded_once_there_is_room(estate: RunningEstate, tmp_path: Path) -> None:
    jobs = jobs_in(estate)
    run_id = jobs.start(jobs.create(call("block", str(tmp_path / "go"))))
    jobs.poll(lambda: _task_state(jobs, run_id) is RunLifeCycleState.RUNNING)
    (task,) = _tasks(estate)
    with full_disk(estate):
        (tmp_path / "go").touch()
        psutil.wait_procs([task], timeout=30)
        assert not task.is_running()
        assert jobs.client.jobs.get_run(run_id).state.life_cycle_state is RunLifeCycleState.RUNNING  # type: ignore[union-attr]
    assert jobs.wait(run_id).state.result_state is RunResultState.SUCCESS  # type: ignore[union-attr]


def test_an_estate_that_cannot_write_does_not_start_and_says_so_in_one_line(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from local_estate.paths import REPOSITORY, Paths
from local_estate.process import ServiceDidNotStart, ServiceProcess
try:
    ServiceProcess(Paths(repository=REPOSITORY, tools=REPOSITORY / ".tools", home=Path(sys.argv[1]))).start()
except ServiceDidNotStart as problem:
    print(problem)
"""
    said = subprocess.run([*LIMITED, "-c", program, str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert said == (
        f"the local estate cannot write below {tmp_path}: File too large. Free some space there, or name another place in $ESTATE_HOME\n"
    )
    assert list(tmp_path.rglob("*.probe")) == []
    running = start_estate(tmp_path)
    assert running.process.endpoints()
    running.process.stop()


def test_a_disk_that_fills_while_the_service_starts_ends_it_with_one_line(tmp_path: Path) -> None:
    environment = {**os.environ, "ESTATE_HOME": str(tmp_path)}
    ended = subprocess.run([*LIMITED, "-m", MODULE], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (EXPLAINED, 1), ended.stderr
    assert re.fullmatch(NO_ROOM, ended.stderr.strip())


def _groups(estate: RunningEstate) -> set[str]:
    return {each["name"] for each in Arm(estate=estate).request("GET", "/resourceGroups").json()["value"]}


def _task_state(jobs: Jobs, run_id: int) -> RunLifeCycleState | None:
    (task,) = jobs.client.jobs.get_run(run_id).tasks or []
    return task.state.life_cycle_state if task.state else None


def _tasks(estate: RunningEstate) -> list[psutil.Process]:
    """The processes of executing tasks."""
    service = psutil.Process(int(estate.endpoints["pid"]))
    return [each for each in service.children() if "local_estate.spark.task_runner" in each.cmdline()]
