"""A new run of a job, or of tasks submitted once: whose it is, with which parameters, and whether it waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document, Transaction
from local_estate.api.services.jobs import models, parameters, references
from local_estate.api.services.jobs.models import Attempt, Ending, JobRun
from local_estate.api.services.jobs.references import Facts
from local_estate.api.services.jobs.settings import invalid

if TYPE_CHECKING:
    from local_estate.api.services.jobs.scheduler import Scheduler


def new_job_run(
    estate: Estate,
    scheduler: Scheduler,
    transaction: Transaction,
    *,
    workspace_id: int,
    job_id: int,
    caller_id: str,
    request: Mapping[str, Any],
    trigger: str = "ONE_TIME",
    asked: bool = True,
) -> JobRun:
    """Raises ApiError: PERMISSION_DENIED without CAN_MANAGE_RUN, INVALID_PARAMETER_VALUE for parameters or tasks the job lacks.

    `asked` is False for a run that nobody asked for: the job's own schedule did.
    """
    if asked:
        estate.ask(
            "permissions.require",
            principal_id=caller_id,
            workspace_id=workspace_id,
            object_type="jobs",
            object_id=str(job_id),
            level="CAN_MANAGE_RUN",
        )
    job = models.load_job(transaction, workspace_id, job_id)
    settings = job["settings"]
    only = [str(key) for key in request.get("only") or []]
    _check_tasks(settings, only)
    number = transaction.next(f"jobs.number|{workspace_id}|{job_id}")
    run = JobRun(
        run_id=models.new_run_id(transaction),
        job_id=job_id,
        workspace_id=workspace_id,
        name=settings["name"],
        run_type="JOB_RUN",
        trigger=trigger,
        number_in_job=number,
        creator_id=caller_id,
        creator_name=_name(estate, caller_id),
        run_as_id=job["run_as_id"],
        run_as_name=job["run_as_name"],
        settings=settings,
        parameters=parameters.job_parameters(settings, request.get("job_parameters") or {}),
        overriding={name: request[name] for name in parameters.LEGACY if request.get(name)},
        only=only,
        phase="PENDING",
        created_ms=estate.clock.now_ms(),
    )
    _resolve_parameters(run)
    _admit(scheduler, run, request)
    return run


def _check_tasks(settings: Document, only: list[str]) -> None:
    keys = [task["task_key"] for task in settings["tasks"]]
    if not keys:
        raise invalid("The job has no tasks to run.")
    unknown = sorted(set(only) - set(keys))
    if unknown:
        raise invalid(f"Tasks {', '.join(unknown)} of 'only' do not exist in the job.")


def _name(estate: Estate, principal_id: str) -> str:
    found = estate.ask("identity.principal", id=principal_id)
    return str(found["name"]) if found else principal_id


def _resolve_parameters(run: JobRun) -> None:
    """Defaults such as `{{job.start_time.iso_date}}` become values."""
    facts = Facts(
        job_id=run.job_id,
        job_name=run.name,
        run_id=run.run_id,
        start_ms=run.created_ms,
        parameters=run.parameters,
        workspace_id=run.workspace_id,
        workspace_url="",
        trigger_type=run.trigger.lower(),
    )
    try:
        run.parameters = {name: references.resolve(value, facts) for name, value in run.parameters.items()}
    except references.BadReference as bad:
        raise invalid(str(bad)) from None


def _admit(scheduler: Scheduler, run: JobRun, request: Mapping[str, Any]) -> None:
    """Over the limit of concurrent runs a run waits in the queue, or is skipped where queueing is off."""
    limit = run.settings["max_concurrent_runs"]
    queued = bool((request.get("queue") or run.settings.get("queue") or {}).get("enabled"))
    if scheduler.others_active(run) < limit and not scheduler.queued_before(run):
        return
    if queued and limit > 0:
        run.phase = "QUEUED"
        return
    message = f"Skipping this run because the limit of {limit} maximum concurrent runs has been reached."
    run.phase, run.end_ms = "ENDED", run.created_ms
    run.ending = Ending(result="MAXIMUM_CONCURRENT_RUNS_REACHED", code="MAX_CONCURRENT_RUNS_EXCEEDED", message=message)
    run.history = [Attempt(id=0, start_ms=run.created_ms, end_ms=run.created_ms, ending=run.ending)]


def new_submit_run(
    estate: Estate, transaction: Transaction, *, workspace_id: int, caller_id: str, settings: Document, run_as: Mapping[str, str], name: str
) -> JobRun:
    """A one-time run. Its job id names no job."""
    return JobRun(
        run_id=models.new_run_id(transaction),
        job_id=models.new_job_id(transaction),
        workspace_id=workspace_id,
        name=name,
        run_type="SUBMIT_RUN",
        trigger="ONE_TIME",
        number_in_job=0,
        creator_id=caller_id,
        creator_name=_name(estate, caller_id),
        run_as_id=run_as["id"],
        run_as_name=run_as["name"],
        settings=settings,
        parameters={},
        overriding={},
        only=[],
        phase="PENDING",
        created_ms=estate.clock.now_ms(),
    )


def run_as(estate: Estate, *, workspace_id: int, caller_id: str, wanted: Mapping[str, Any] | None) -> dict[str, str]:
    """`{"id", "name"}` of the principal a job acts as; the caller without `wanted`.

    Raises ApiError: INVALID_PARAMETER_VALUE for an unknown principal, PERMISSION_DENIED when neither itself nor chosen by an admin.
    """
    if not wanted:
        return {"id": caller_id, "name": _name(estate, caller_id)}
    given = {field: wanted[field] for field in ("user_name", "service_principal_name", "group_name") if wanted.get(field)}
    if len(given) != 1:
        raise invalid("run_as must name exactly one of user_name, service_principal_name.")
    field, name = next(iter(given.items()))
    if field == "group_name":
        raise ApiError("NOT_IMPLEMENTED", "the local estate does not support jobs that run as a group", 501)
    kind = "user" if field == "user_name" else "service_principal"
    found = estate.ask("identity.principal", name=name)
    if found is None or found["kind"] != kind:
        raise invalid(f"The {kind.replace('_', ' ')} '{name}' of run_as does not exist.")
    if found["id"] != caller_id and not estate.ask("identity.is_workspace_admin", principal_id=caller_id, workspace_id=workspace_id):
        raise ApiError(
            "PERMISSION_DENIED", f"{_name(estate, caller_id)} is not allowed to set run_as to '{name}'; only itself or an admin is."
        )
    return {"id": str(found["id"]), "name": str(found["name"])}
