"""A workspace with a wheel in it, and short ways to run its functions as jobs through the real SDK."""

from __future__ import annotations

import base64
import hashlib
import io
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.jobs import Run, RunLifeCycleState
from databricks.sdk.service.workspace import ImportFormat

from tests.api.estate_setup import Ready, ready_workspace
from tests.conftest import RunningEstate

WHEEL = "/Workspace/Shared/sample-1.0-py3-none-any.whl"
SOURCE = '''
import json, os, pathlib, sys, time

def hello():
    print("hello", *sys.argv)

def boom():
    print("before the end")
    raise ValueError("bad row 42")

def leave():
    sys.exit(3)

def set_value():
    directory = pathlib.Path.cwd()
    (directory / "task_values.json").write_text(json.dumps({"rows": 7, "names": ["a", "b"]}))

def wait_for_file():
    """Fails until the file named by the first argument exists."""
    if not pathlib.Path(sys.argv[1]).exists():
        raise RuntimeError("not there yet")

def block():
    """Runs until the file named by the first argument exists."""
    while not pathlib.Path(sys.argv[1]).exists():
        time.sleep(0.02)

def run_source():
    """Executes the first argument as Python, with the rest as its arguments."""
    source, sys.argv[1:] = sys.argv[1], sys.argv[2:]
    exec(source)

def environment():
    print(os.environ.get("GREETING"))
'''


def wheel(name: str = "sample", source: str = SOURCE) -> bytes:
    """An installable wheel with one module."""
    entries = [line.split("def ")[1].split("(")[0] for line in source.splitlines() if line.startswith("def ")]
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}/__init__.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\n" + "".join(f"{entry} = {name}:{entry}\n" for entry in entries),
    }
    record = ""
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(content.encode())}\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in {**files, f"{info}/RECORD": record + f"{info}/RECORD,,\n"}.items():
            archive.writestr(path, content)
    return buffer.getvalue()


def call(entry_point: str, *parameters: str, key: str = "main", library: str = WHEEL, **fields: Any) -> dict[str, Any]:
    """A task that runs one function of the wheel on an environment-free job cluster."""
    return {
        "task_key": key,
        "python_wheel_task": {"package_name": "sample", "entry_point": entry_point, "parameters": list(parameters)},
        "new_cluster": {"spark_version": "17.3.x-scala2.13", "node_type_id": "Standard_D4ds_v5", "num_workers": 1},
        "libraries": [{"whl": library}],
        **fields,
    }


def after(*keys: str) -> list[dict[str, str]]:
    return [{"task_key": key} for key in keys]


def condition(key: str, op: str, left: str, right: str, **fields: Any) -> dict[str, Any]:
    return {"task_key": key, "condition_task": {"op": op, "left": left, "right": right}, **fields}


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """Jobs of one workspace over the wire; `client` is the deployer's."""

    client: WorkspaceClient
    ready_: Ready | None = None

    @property
    def ready(self) -> Ready:
        assert self.ready_ is not None
        return self.ready_

    def do(self, method: str, path: str, body: dict[str, Any] | None = None, *, by: WorkspaceClient | None = None, **query: Any) -> Any:
        return (by or self.client).api_client.do(method, path, body=body, query=query)

    def create(self, *tasks: dict[str, Any], **settings: Any) -> int:
        body = {"name": "test", "tasks": list(tasks), **settings}
        return int(self.do("POST", "/api/2.2/jobs/create", body)["job_id"])

    def start(self, job_id: int, **request: Any) -> int:
        return int(self.do("POST", "/api/2.2/jobs/run-now", {"job_id": job_id, **request})["run_id"])

    def wait(self, run_id: int, *, seconds: float = 60) -> Run:
        """The run once it has ended."""
        return self.until(
            run_id, RunLifeCycleState.TERMINATED, RunLifeCycleState.INTERNAL_ERROR, RunLifeCycleState.SKIPPED, seconds=seconds
        )

    def until(self, run_id: int, *states: RunLifeCycleState, seconds: float = 60) -> Run:
        found: list[Run] = []

        def reached() -> bool:
            run = self.client.jobs.get_run(run_id, include_history=True)
            found[:] = [run]
            return run.state is not None and run.state.life_cycle_state in states

        self.poll(reached, seconds=seconds)
        return found[0]

    def poll(self, reached: Callable[[], bool], *, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < deadline, f"not reached within {seconds} s"
            time.sleep(0.05)  # a client of this API can only poll

    def run(self, *tasks: dict[str, Any], request: dict[str, Any] | None = None, **settings: Any) -> Run:
        return self.wait(self.start(self.create(*tasks, **settings), **(request or {})))

    def results(self, run: Run) -> dict[str, str]:
        """result_state of the latest attempt by task key."""
        found: dict[str, tuple[int, str]] = {}
        for task in run.tasks or []:
            shown = task.state.result_state.value if task.state and task.state.result_state else ""
            if (task.attempt_number or 0) >= found.get(task.task_key, (-1, ""))[0]:
                found[task.task_key] = (task.attempt_number or 0, shown)
        return {key: shown for key, (_, shown) in found.items()}

    def output(self, run: Run, key: str = "main") -> Any:
        task = [task for task in run.tasks or [] if task.task_key == key][-1]
        assert task.run_id
        return self.client.jobs.get_run_output(task.run_id)


def jobs_in(estate: RunningEstate) -> Jobs:
    ready = ready_workspace(estate)
    client = ready.client
    client.workspace.upload(WHEEL, io.BytesIO(wheel()), format=ImportFormat.RAW, overwrite=True)
    return Jobs(ready_=ready, client=client)
