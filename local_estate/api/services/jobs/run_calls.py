"""`jobs/run-now` and `jobs/runs/*`."""

from __future__ import annotations

from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.routing import Face, Handler
from local_estate.api.kernel.store import Document, Transaction
from local_estate.api.services.jobs import models, new_runs, outputs, repair, settings, wire
from local_estate.api.services.jobs.access import integer, require, workspace
from local_estate.api.services.jobs.models import PARENT, TOKEN, Ending, JobRun, TaskRun
from local_estate.api.services.jobs.scheduler import Scheduler
from local_estate.api.services.jobs.settings import invalid

_MAX_TOKEN = 64
_MAX_LIST = 25


def _scheduler(call: Call) -> Scheduler:
    scheduler: Scheduler = call.estate.ask("jobs.scheduler")
    scheduler.look_at_clock()
    return scheduler


def _base(call: Call) -> str:
    return str(call.estate.base_url(Face.WORKSPACE, call.workspace_id))


# --- starting


def _known_by_token(call: Call, transaction: Transaction, scope: str) -> tuple[str, JobRun | None]:
    """The key of the request's idempotency token ("" without one) and the run it already stands for."""
    token = str(call.data.get("idempotency_token") or "")
    if not token:
        return "", None
    if len(token) > _MAX_TOKEN:
        raise invalid(f"idempotency_token must have at most {_MAX_TOKEN} characters, not {len(token)}.")
    key = f"{workspace(call)}|{scope}|{token}"
    known = transaction.get(TOKEN, key)
    if known is None:
        return key, None
    run = models.load_run(transaction, workspace(call), known["run_id"])
    if run is None:
        raise invalid(f"The run {known['run_id']} of idempotency_token '{token}' has been deleted.")
    return key, run


def _run_now(call: Call) -> Document:
    job_id = integer(call, "job_id")
    scheduler = _scheduler(call)

    def create(transaction: Transaction) -> JobRun:
        require(call, job_id, "CAN_MANAGE_RUN")
        key, known = _known_by_token(call, transaction, str(job_id))
        if known is not None:
            return known
        run = new_runs.new_job_run(
            call.estate,
            scheduler,
            transaction,
            workspace_id=workspace(call),
            job_id=job_id,
            caller_id=call.caller.id,
            request=call.json,
        )
        if key:
            transaction.put(TOKEN, key, {"run_id": run.run_id})
        return run

    run = scheduler.submit(create)
    return {"run_id": run.run_id, "number_in_job": run.number_in_job}


def _submit(call: Call) -> Document:
    given = {**call.json, "name": call.json.get("run_name") or "Untitled"}
    if not given.get("tasks"):
        raise invalid("Missing required field: tasks")
    wanted = settings.normalised(given)
    acl = call.json.get("access_control_list") or []
    call.estate.ask("permissions.check", object_type="jobs", access_control_list=acl)
    run_as = new_runs.run_as(call.estate, workspace_id=workspace(call), caller_id=call.caller.id, wanted=wanted.get("run_as"))

    def create(transaction: Transaction) -> JobRun:
        key, known = _known_by_token(call, transaction, "submit")
        if known is not None:
            return known
        run = new_runs.new_submit_run(
            call.estate,
            transaction,
            workspace_id=workspace(call),
            caller_id=call.caller.id,
            settings=wanted,
            run_as=run_as,
            name=wanted["name"],
        )
        named = {"workspace_id": workspace(call), "object_type": "jobs", "object_id": str(run.job_id)}
        call.estate.ask("permissions.created", owner_id=call.caller.id, **named)
        if acl:
            call.estate.ask("permissions.assign", access_control_list=acl, **named)
        if key:
            transaction.put(TOKEN, key, {"run_id": run.run_id})
        return run

    return {"run_id": _scheduler(call).submit(create).run_id}


# --- reading


def _found(call: Call, level: str) -> tuple[JobRun, TaskRun | None]:
    """The run, and the task run when the id is one's. Raises ApiError for an unknown id or without the level on the job."""
    run_id = integer(call, "run_id")
    reader = call.store.read
    run = models.load_run(reader, workspace(call), run_id)
    task_run = None
    if run is None and (parent := reader.get(PARENT, models.run_key(run_id))):
        run = models.load_run(reader, workspace(call), parent["run_id"])
        stored = reader.get(models.TASK_RUN, models.task_run_key(parent["run_id"], run_id))
        task_run = models.task_run_of(stored) if stored else None
    if run is None:
        raise models.no_run(run_id)
    require(call, run.job_id, level)
    return run, task_run


def _get(call: Call) -> Document:
    scheduler = _scheduler(call)
    run, task_run = _found(call, "CAN_VIEW")
    attempts = models.task_runs(call.store.read, run.run_id)
    if task_run is not None:
        return _task_document(call, run, task_run, attempts)
    first_read = run.run_id in scheduler.unseen
    scheduler.unseen.discard(run.run_id)
    resolved = call.flag("include_resolved_values")
    lists: dict[str, list[Any]] = {
        "tasks": [wire.task(each, run, _base(call), attempts, resolved=resolved) for each in repair.tasks_in(attempts)],
        "job_clusters": run.settings.get("job_clusters", []),
    }
    if call.flag("include_history"):
        lists["repair_history"] = wire.history(run)
    head = wire.run_head(run, _base(call), first_read=first_read)
    lists["job_parameters"] = head.pop("job_parameters", [])
    if not call.path.startswith("/api/2.2/"):
        return {**head, **{name: items for name, items in lists.items() if items}}
    return wire.paged(head, lists, wire.offset_of(call.data.get("page_token")))


def _task_document(call: Call, run: JobRun, task_run: TaskRun, attempts: list[TaskRun]) -> Document:
    """runs/get of a task run: the run's head with the task's own state; the iterations of a for-each task."""
    task = wire.task(task_run, run, _base(call), attempts, resolved=call.flag("include_resolved_values"))
    head = wire.run_head(run, _base(call))
    own = ("run_id", "attempt_number", "start_time", "end_time", "run_page_url", "state", "status", "run_duration")
    for name in (*own, "setup_duration", "execution_duration", "cleanup_duration"):
        head.pop(name, None)
    head |= {name: task[name] for name in (*own, "setup_duration", "execution_duration", "cleanup_duration") if name in task}
    head["run_name"] = task_run.task_key
    iterations = [wire.task(each, run, _base(call), attempts) for each in attempts if each.group == task_run.run_id]
    if "for_each_task" in task_run.task:
        lists = {"iterations": iterations}
        return wire.paged({**head, "tasks": [task]}, lists, wire.offset_of(call.data.get("page_token")))
    return {**head, "tasks": [task]}


def _list(call: Call) -> Document:
    _scheduler(call)
    limit = call.number("limit", 20)
    if not 1 <= limit <= _MAX_LIST:
        raise invalid(f"limit must be between 1 and {_MAX_LIST}, not {limit}.")
    if call.flag("active_only") and call.flag("completed_only"):
        raise invalid("Only one of active_only and completed_only may be true.")
    offset = wire.offset_of(call.data.get("page_token")) or call.number("offset", 0)
    where: dict[str, str | int] = {"workspace_id": workspace(call)}
    if "job_id" in call.data:
        where["job_id"] = integer(call, "job_id")
    kept = [run for run in models.runs(call.store.read, where) if _wanted(call, run)]
    kept.sort(key=lambda run: (-run.created_ms, -run.run_id))
    page = kept[offset : offset + limit]
    reply: Document = {"has_more": len(kept) > offset + limit}
    if page:
        reply["runs"] = [_in_list(call, run) for run in page]
    if reply["has_more"]:
        reply["next_page_token"] = str(offset + limit)
    if offset:
        reply["prev_page_token"] = str(max(0, offset - limit))
    return reply


def _wanted(call: Call, run: JobRun) -> bool:
    ended = run.phase == "ENDED"
    if (call.flag("active_only") and ended) or (call.flag("completed_only") and not ended):
        return False
    if (kind := call.data.get("run_type")) and kind != ("WORKFLOW_RUN" if run.parent_run_id else run.run_type):
        return False
    if not call.number("start_time_from", 0) <= run.created_ms <= call.number("start_time_to", 2**62):
        return False
    named = {"object_type": "jobs", "object_id": str(run.job_id)}
    return call.estate.ask("permissions.level", principal_id=call.caller.id, workspace_id=workspace(call), **named) is not None


def _in_list(call: Call, run: JobRun) -> Document:
    found = wire.run_head(run, _base(call))
    if call.flag("expand_tasks"):
        attempts = models.task_runs(call.store.read, run.run_id)
        tasks = [wire.task(each, run, _base(call), attempts) for each in repair.tasks_in(attempts)]
        found["tasks"] = tasks[: wire.PAGE]
        if len(tasks) > wire.PAGE:
            found["has_more"] = True
    return found


def _get_output(call: Call) -> Document:
    run, task_run = _found(call, "CAN_VIEW")
    attempts = models.task_runs(call.store.read, run.run_id)
    if task_run is None:
        task_run = outputs.only_task(run, repair.tasks_in(attempts))
    return outputs.output(call.estate, task_run, _task_document(call, run, task_run, attempts))


def _export(call: Call) -> Document:
    _found(call, "CAN_VIEW")
    raise invalid("Only notebook runs can be exported; the local estate runs no notebook tasks.")


# --- changing


def _cancel(call: Call) -> Document:
    run, task_run = _found(call, "CAN_MANAGE_RUN")
    why = Ending(result="CANCELED", code="USER_CANCELED", message=f"Run cancelled by {call.caller.name}.")
    _scheduler(call).cancel(task_run.run_id if task_run else run.run_id, why)
    return {}


def _cancel_all(call: Call) -> Document:
    queued_only = call.flag("all_queued_runs")
    message = f"Run cancelled by {call.caller.name}."
    if "job_id" in call.data:
        job_id = integer(call, "job_id")
        require(call, job_id, "CAN_MANAGE_RUN")
        cancel_runs_of(call, job_id, message, queued_only=queued_only)
    elif queued_only:
        for run in models.runs(call.store.read, {"workspace_id": workspace(call), "phase": "QUEUED"}):
            require(call, run.job_id, "CAN_MANAGE_RUN")
            cancel_runs_of(call, run.job_id, message, queued_only=True)
    else:
        raise invalid("Specify job_id, or all_queued_runs.")
    return {}


def cancel_runs_of(call: Call, job_id: int, message: str, *, queued_only: bool = False) -> None:
    scheduler = _scheduler(call)
    # Queued ones first: an ending run must not let them begin.
    active = [run for run in models.runs(call.store.read, {"workspace_id": workspace(call), "job_id": job_id}) if run.phase != "ENDED"]
    for run in sorted(active, key=lambda each: each.phase != "QUEUED"):
        if run.phase == "QUEUED" or not queued_only:
            scheduler.cancel(run.run_id, Ending(result="CANCELED", code="USER_CANCELED", message=message))


def _delete(call: Call) -> Document:
    run, _ = _found(call, "CAN_MANAGE")
    with _scheduler(call).lock, call.store.transaction() as transaction:
        current = models.load_run(transaction, workspace(call), run.run_id)
        if current is None:
            raise models.no_run(run.run_id)
        if current.phase != "ENDED":
            raise ApiError("INVALID_STATE", f"Run {run.run_id} is active; cancel it before deleting it.")
        current.deleted = True
        models.save(transaction, current)
    return {}


def _repair(call: Call) -> Document:
    scheduler = _scheduler(call)
    run, task_run = _found(call, "CAN_MANAGE_RUN")
    if task_run is not None:
        raise invalid(f"Run {task_run.run_id} is a task run; repair the job run {run.run_id}.")
    job = models.load_job(call.store.read, workspace(call), run.job_id) if run.run_type == "JOB_RUN" else None
    with scheduler.lock:
        current = models.load_run(call.store.read, workspace(call), run.run_id)
        if current is None:
            raise models.no_run(run.run_id)
        return {"repair_id": repair.repair(scheduler, current, call.json, job)}


HANDLERS: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "run-now", _run_now),
    ("POST", "runs/submit", _submit),
    ("GET", "runs/get", _get),
    ("GET", "runs/list", _list),
    ("GET", "runs/get-output", _get_output),
    ("GET", "runs/export", _export),
    ("POST", "runs/cancel", _cancel),
    ("POST", "runs/cancel-all", _cancel_all),
    ("POST", "runs/delete", _delete),
    ("POST", "runs/repair", _repair),
)
