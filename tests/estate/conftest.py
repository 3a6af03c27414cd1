"""One estate for the whole-estate tests: a copy of the image (`image.py`). Small days; the seams are the same."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.sql import StatementResponse, StatementState
from databricks.sdk.service.workspace import ImportFormat

from local_estate import ask, bring_up, facts, personas
from local_estate.day.run import StepResult
from local_estate.paths import REPOSITORY, Paths
from tests.estate import image as images
from tests.estate.image import ROWS, Image


@dataclass(frozen=True)
class Deployed:
    """The estate with `dev`; `workspace` is its deployer's client."""

    paths: Paths

    @property
    def workspace(self) -> WorkspaceClient:
        return facts.workspace_client(self.paths, "dev")

    @property
    def outputs(self) -> dict[str, Any]:
        return facts.outputs(self.paths, "dev")

    def run_day(self, day: int) -> list[StepResult]:
        return bring_up.run_day(self.paths, "dev", day=day, rows=ROWS, say=print, always=True)

    def member(self, display_name: str, *groups: str) -> WorkspaceClient:
        return personas.client(self.paths, "dev", display_name, *groups)

    def sql(self, client: WorkspaceClient, statement: str) -> StatementResponse:
        """Waits for the end; a refused statement comes back as FAILED, as Databricks does it."""
        answer = client.statement_execution.execute_statement(statement, self.outputs["warehouse_id"], wait_timeout="50s")
        while answer.status and answer.status.state in (StatementState.PENDING, StatementState.RUNNING):
            time.sleep(0.2)
            answer = client.statement_execution.get_statement(answer.statement_id or "")
        return answer

    def rows(self, client: WorkspaceClient, statement: str) -> list[list[str]]:
        answer = self.sql(client, statement)
        assert answer.status and answer.status.state is StatementState.SUCCEEDED, answer.status
        return (answer.result.data_array if answer.result else None) or []

    def run(self, job: str, **parameters: str) -> ask.JobRun:
        """A run of the exported job; a parameter whose name is a Python keyword has an underscore after it."""
        return ask.run_job(self.paths, "dev", job, {name.rstrip("_"): value for name, value in parameters.items()})

    def good(self, job: str, **parameters: str) -> str:
        """What a run that succeeded printed."""
        done = self.run(job, **parameters)
        assert done.result == "SUCCESS", done.error
        return "\n".join(done.said)

    def submit(self, client: WorkspaceClient, source: str, *parameters: str, wheel: bool = False) -> int:
        """Starts a one-time run of a Python file as `client`, with the deployed wheel where it is wanted; the run's id."""
        path = f"/Shared/{uuid.uuid4().hex}.py"
        self.workspace.workspace.mkdirs("/Shared")
        self.workspace.workspace.import_(path, content=base64.b64encode(source.encode()).decode(), format=ImportFormat.RAW)
        spec = {"environment_version": "4", **({"dependencies": [self.outputs["wheel"]]} if wheel else {})}
        task = {"task_key": "probe", "spark_python_task": {"python_file": path, "parameters": list(parameters)}, "environment_key": "e"}
        body = {"run_name": "probe", "tasks": [task], "environments": [{"environment_key": "e", "spec": spec}]}
        submitted: Any = client.api_client.do("POST", "/api/2.2/jobs/runs/submit", body=body)
        return int(submitted["run_id"])

    def told(self, client: WorkspaceClient, run_id: int) -> Any:
        """What the run printed as JSON after `TOLD `, once it has ended."""
        run = client.jobs.get_run(run_id)
        # The SDK's own waiter raises where a run fails, without what the task said.
        while not (run.state and run.state.result_state):
            time.sleep(0.2)
            run = client.jobs.get_run(run_id)
        output = client.jobs.get_run_output((run.tasks or [])[0].run_id or 0)
        line = next((line for line in (output.logs or "").splitlines() if line.startswith("TOLD ")), None)
        assert line, output.error or output.logs
        return json.loads(line.removeprefix("TOLD "))

    def counts(self) -> dict[str, int | None]:
        return {table["name"]: table["rows"] for table in facts.collect(self.paths)["tables"]}


@pytest.fixture(scope="session")
def image() -> Image:
    tools = Path(os.environ.get("ESTATE_TOOLS") or REPOSITORY / ".tools").absolute()
    return images.ensure(Paths(repository=REPOSITORY, tools=tools, home=REPOSITORY / ".estate"), say=print)


@pytest.fixture(scope="session")
def freshly_made(image: Image) -> Image:
    """An image that was deployed and filled in this very run, so that no suite passes on what a former one has made."""
    return image if image.made_now else images.ensure(image.made_by, say=print, again=True)


@pytest.fixture(scope="session")
def deployed(image: Image) -> Iterator[Deployed]:
    with tempfile.TemporaryDirectory(prefix="estate-") as home, image.served(Path(home)) as paths:
        yield Deployed(paths)


@pytest.fixture(scope="session")
def day_one(image: Image) -> list[StepResult]:
    """What each step of day 1 came to when the image was made."""
    return list(image.steps)
