"""Runs the steps of a stack's `daily_run` output by their job ids; steps of one stage run side by side."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local_estate.day.progress import Progress

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.jobs import Run


@dataclass(frozen=True, kw_only=True)
class Step:
    stage: int
    job: str
    job_id: int
    parameters: Mapping[str, str]

    @classmethod
    def of(cls, output: Mapping[str, Any]) -> Step:
        return cls(stage=int(output["stage"]), job=output["job"], job_id=int(output["job_id"]), parameters=dict(output["parameters"]))

    @property
    def label(self) -> str:
        return " ".join([self.job, *self.parameters.values()])


@dataclass(frozen=True, kw_only=True)
class StepResult:
    step: Step
    run_id: int
    result: str
    seconds: float
    error: str = ""


class StepFailed(Exception):
    """A step of the day did not succeed; the steps after its stage were not started."""

    def __init__(self, failed: Iterable[StepResult]) -> None:
        self.failed = list(failed)
        super().__init__(
            "\n".join(f"{result.step.label} (run {result.run_id}) ended {result.result}: {result.error}" for result in self.failed)
        )


def run_day(
    workspace: WorkspaceClient,
    outputs: Iterable[Mapping[str, Any]],
    report: Callable[[StepResult], None] = lambda _: None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[StepResult]:
    """`progress` gets a line now and then of a step that runs. Raises StepFailed after the stage in which a step failed."""
    steps = [Step.of(output) for output in outputs]
    results: list[StepResult] = []
    for stage in sorted({step.stage for step in steps}):
        current = [step for step in steps if step.stage == stage]
        with ThreadPoolExecutor(len(current)) as pool:
            done = list(pool.map(lambda step: _run(workspace, step, report, progress), current))
        results += done
        if failed := [result for result in done if result.result != "SUCCESS"]:
            raise StepFailed(failed)
    return results


def _run(workspace: WorkspaceClient, step: Step, report: Callable[[StepResult], None], progress: Callable[[str], None]) -> StepResult:
    started = time.monotonic()
    watch = Progress(workspace, step.job_id, step.label, step.parameters, progress)
    token = uuid.uuid4().hex
    run_id = workspace.jobs.run_now(step.job_id, job_parameters=dict(step.parameters), idempotency_token=token).run_id
    run = wait_for(workspace, run_id, watch)
    result = result_of(run)
    error = "" if result == "SUCCESS" else error_of(workspace, run)
    answer = StepResult(step=step, run_id=run_id, result=result, seconds=time.monotonic() - started, error=error)
    report(answer)
    return answer


_ENDED = {"TERMINATED", "SKIPPED", "INTERNAL_ERROR"}  # life cycle states


def wait_for(workspace: WorkspaceClient, run_id: int, watch: Callable[[Run], None] = lambda _: None) -> Run:
    """`watch` sees the run at each look while it goes on.

    The SDK's own waiter sleeps up to ten seconds between polls and raises on failure; a run of seconds wants a closer look.
    """
    pause = 0.1
    while True:
        run = workspace.jobs.get_run(run_id)
        if run.state and run.state.life_cycle_state and run.state.life_cycle_state.value in _ENDED:
            return run
        watch(run)
        time.sleep(pause)
        pause = min(pause * 1.3, 1.0)


def result_of(run: Run) -> str:
    """`SUCCESS`, `FAILED`, …; `UNKNOWN` for a run that has not ended."""
    return run.state.result_state.value if run.state and run.state.result_state else "UNKNOWN"


def error_of(workspace: WorkspaceClient, run: Run) -> str:
    """What the first task that failed says, or the run itself."""
    for task in run.tasks or []:
        if task.run_id and task.state and task.state.result_state and task.state.result_state.value != "SUCCESS":
            output = workspace.jobs.get_run_output(task.run_id)
            return output.error or (task.state.state_message or "")
    return (run.state.state_message if run.state else None) or ""
