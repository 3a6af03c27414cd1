"""Repair: new attempts at some tasks of a run that has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document, Transaction
from local_estate.api.services.jobs import graph, models
from local_estate.api.services.jobs.active import Active
from local_estate.api.services.jobs.models import Attempt, Ending, JobRun, TaskRun
from local_estate.api.services.jobs.settings import invalid

if TYPE_CHECKING:
    from local_estate.api.services.jobs.scheduler import Scheduler

_GOOD = ("SUCCESS", "SUCCESS_WITH_FAILURES", "EXCLUDED", "DISABLED")


def selected(request: Mapping[str, Any], dependencies: Mapping[str, list[graph.Dependency]], results: Mapping[str, str]) -> set[str]:
    """The keys of the tasks to run again. `results`: result_state by task key. Raises ApiError INVALID_PARAMETER_VALUE."""
    named = [str(key) for key in request.get("rerun_tasks") or []]
    all_failed = _flag(request, "rerun_all_failed_tasks")
    if bool(named) == all_failed:
        raise invalid("Specify exactly one of rerun_tasks and rerun_all_failed_tasks.")
    unknown = sorted(set(named) - set(dependencies))
    if unknown:
        raise invalid(f"Tasks {', '.join(unknown)} of rerun_tasks do not exist in the run.")
    chosen = set(named) or {key for key in dependencies if results.get(key, "") not in _GOOD}
    if not chosen:
        raise invalid("The run has no failed tasks to repair.")
    if _flag(request, "rerun_dependent_tasks"):
        chosen |= graph.dependents(dependencies, chosen)
    return chosen | (set(dependencies) - set(results))


def _flag(request: Mapping[str, Any], name: str) -> bool:
    return str(request.get(name, False)).lower() == "true"


def check_latest(run: JobRun, given: Any) -> None:
    """Whoever repairs must know the latest repair. Raises ApiError INVALID_PARAMETER_VALUE."""
    latest = run.history[-1].id
    if latest and not given:
        raise invalid(f"The run was repaired before; latest_repair_id must be given. It is {latest}.")
    if given and int(given) != latest:
        raise invalid(f"latest_repair_id {given} is not the latest repair of the run{f', which is {latest}' if latest else ''}.")


def repair(scheduler: Scheduler, run: JobRun, request: Mapping[str, Any], job: Document | None) -> int:
    """The repair's id. `job` has the current settings, with which a job's run goes on. Raises ApiError."""
    with scheduler.lock:
        if scheduler.is_active(run.run_id) or run.phase != "ENDED":
            raise ApiError("INVALID_STATE", f"Run {run.run_id} is active; only a run that has ended can be repaired.")
        if run.ending.result == "MAXIMUM_CONCURRENT_RUNS_REACHED":
            raise ApiError("INVALID_STATE", f"Run {run.run_id} was skipped; there is nothing to repair.")
        check_latest(run, request.get("latest_repair_id"))
        attempts = models.task_runs(scheduler.estate.store.read, run.run_id)
        if job is not None:
            run.settings = job["settings"]
        _override(run, request)
        active = Active(run, {each.run_id: each for each in attempts})
        before = active.latest()
        chosen = selected(request, active.dependencies, {key: each.ending.result for key, each in before.items()})
        now = scheduler.now()
        repair_ids: list[int] = []

        def rerun(resumed: Active, transaction: Transaction) -> None:
            item = Attempt(id=models.new_run_id(transaction), start_ms=now)
            repair_ids.append(item.id)
            for task in run.tasks:
                if task["task_key"] in chosen:
                    made = scheduler.progress.attempt(resumed, task, transaction, after=before.get(task["task_key"]))
                    item.task_run_ids.append(made.run_id)
            run.history.append(item)
            run.phase, run.ending, run.stopping, run.end_ms = "PENDING", Ending(), Ending(), 0

        scheduler.resume(run, attempts, rerun)
        return repair_ids[0]


def _override(run: JobRun, request: Mapping[str, Any]) -> None:
    declared = {str(each["name"]) for each in run.settings.get("parameters", [])}
    given = {str(name): str(value) for name, value in (request.get("job_parameters") or {}).items()}
    unknown = sorted(set(given) - declared)
    if unknown:
        raise invalid(f"Job parameters {', '.join(unknown)} are not declared by the job.")
    defaults = {str(each["name"]): str(each.get("default", "")) for each in run.settings.get("parameters", [])}
    run.parameters = {name: given.get(name, run.parameters.get(name, default)) for name, default in defaults.items()}


def tasks_in(attempts: list[TaskRun]) -> list[TaskRun]:
    """Attempts at the tasks of a run, iterations left out, in the order they were made."""
    return [each for each in sorted(attempts, key=lambda attempt: attempt.run_id) if not each.group]
