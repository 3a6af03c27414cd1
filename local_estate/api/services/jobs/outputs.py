"""runs/get-output and runs/export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document
from local_estate.api.services.jobs.models import JobRun, TaskRun

LIMIT = 5 * 1024 * 1024


def tail(path: Path, limit: int = LIMIT) -> tuple[str, bool]:
    """The end of a file, and whether there was more."""
    if not path.exists():
        return "", False
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - limit))
        return file.read(limit).decode("utf-8", "replace"), size > limit


def output(estate: Estate, task_run: TaskRun, metadata: Document) -> Document:
    """Of one task run; `metadata` is the run itself."""
    logs, truncated = tail(estate.paths.runs / str(task_run.run_id) / "stdout")
    found: dict[str, Any] = {"metadata": metadata}
    if "python_wheel_task" in task_run.task or "spark_python_task" in task_run.task:
        found |= {"logs": logs, "logs_truncated": truncated}
    if task_run.error:
        found["error"] = task_run.error
    if task_run.error_trace:
        found["error_trace"] = task_run.error_trace[-LIMIT:]
    if task_run.child_run_id:
        found["run_job_output"] = {"run_id": task_run.child_run_id}
    return found


def only_task(run: JobRun, attempts: list[TaskRun]) -> TaskRun:
    """The latest attempt of a run's one task. Raises ApiError for a run of several."""
    if len(run.tasks) != 1 or not attempts:
        raise ApiError(
            "INVALID_PARAMETER_VALUE",
            "Retrieving the output of runs with multiple tasks is not supported. "
            "Please retrieve the output of each individual task run instead.",
        )
    return attempts[-1]
