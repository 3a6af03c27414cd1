"""How far a run is that has not ended: its seconds, those of its last success with the same parameters, its tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.jobs import BaseRun, Run

EVERY_SECONDS = 15.0
_LOOKED_AT = 25  # earlier runs


@dataclass
class Progress:
    """Call it whenever the run was looked at: it says a line every `every` seconds, and nothing of a run that ends before."""

    workspace: WorkspaceClient
    job_id: int
    label: str
    parameters: Mapping[str, str]
    say: Callable[[str], None]
    every: float = EVERY_SECONDS
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._next = self.started + self.every
        self._last: float | None = None

    def __call__(self, run: Run) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        if self._last is None:
            self._last = last_success(self.workspace, self.job_id, self.parameters) or 0.0
        self._next = now + self.every
        self.say(line(self.label, run, seconds=now - self.started, last=self._last))


def line(label: str, run: Run, *, seconds: float, last: float) -> str:
    """`last` is 0 where it never succeeded."""
    parts = [f"{seconds:.0f} s so far", f"last time {last:.0f} s" if last else "the first time"]
    tasks = run.tasks or []
    if len(tasks) > 1:
        done = sum(bool(task.state and task.state.result_state) for task in tasks)
        parts.append(f"{done} of {len(tasks)} tasks done")
    return f"{label}: {', '.join(parts)}"


def last_success(workspace: WorkspaceClient, job_id: int, parameters: Mapping[str, str]) -> float | None:
    """Seconds of the latest run of the job that succeeded with these parameters, the job's defaults where none are given."""
    for run in islice(workspace.jobs.list_runs(job_id=job_id, completed_only=True), _LOOKED_AT):
        if run.state and run.state.result_state and run.state.result_state.value == "SUCCESS" and _had(run, parameters):
            return ((run.end_time or 0) - (run.start_time or 0)) / 1000
    return None


def _had(run: BaseRun, parameters: Mapping[str, str]) -> bool:
    had = {each.name or "": (each.value, each.default) for each in run.job_parameters or []}
    # What is not given is the default; one with a reference in it has another value in every run.
    return all(
        value == parameters[name] if name in parameters else value == default or "{{" in (default or "")
        for name, (value, default) in had.items()
    )
