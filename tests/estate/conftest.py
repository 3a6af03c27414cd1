"""One estate for the whole-estate tests: `shared` and `dev` deployed by the real engine, day 1 run. Small days; the seams are the same."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient

from local_estate import bring_up, facts
from local_estate.day.run import StepResult
from local_estate.paths import REPOSITORY, Paths
from local_estate.process import ServiceProcess

ROWS = 2_000


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

    def counts(self) -> dict[str, int | None]:
        return {table["name"]: table["rows"] for table in facts.collect(self.paths)["tables"]}


@pytest.fixture(scope="session")
def deployed() -> Iterator[Deployed]:
    tools = Path(os.environ.get("ESTATE_TOOLS") or REPOSITORY / ".tools").absolute()
    with tempfile.TemporaryDirectory(prefix="estate-") as home:
        paths = Paths(repository=REPOSITORY, tools=tools, home=Path(home))
        ServiceProcess(paths).start(environment={"ESTATE_FAULTS": "1"})
        try:
            bring_up.deploy(paths, "dev", say=print)
            yield Deployed(paths)
        finally:
            ServiceProcess(paths).stop()


@pytest.fixture(scope="session")
def day_one(deployed: Deployed) -> list[StepResult]:
    return deployed.run_day(1)
