"""`/api/{2.0,2.1,2.2}/jobs/*`: the settings calls. Those about runs are in `run_calls`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from local_estate.api.kernel.call import Call, Estate
from local_estate.api.kernel.routing import Handler, Route, Service
from local_estate.api.kernel.store import Document
from local_estate.api.services.jobs import models, new_runs, run_calls, settings, wire
from local_estate.api.services.jobs.access import integer, require, workspace
from local_estate.api.services.jobs.executor import Executor
from local_estate.api.services.jobs.models import JOB
from local_estate.api.services.jobs.scheduler import Scheduler
from local_estate.api.services.jobs.settings import invalid

_VERSIONS = ("2.0", "2.1", "2.2")


def _create(call: Call) -> Document:
    _check_version(call, call.json)
    wanted = settings.normalised(call.json)
    _check_clusters(call, wanted)
    acl = call.json.get("access_control_list") or []
    call.estate.ask("permissions.check", object_type="jobs", access_control_list=acl)
    run_as = new_runs.run_as(call.estate, workspace_id=workspace(call), caller_id=call.caller.id, wanted=wanted.get("run_as"))
    with call.store.transaction() as transaction:
        job_id = models.new_job_id(transaction)
        document = {
            "job_id": job_id,
            "creator_user_name": call.caller.name,
            "run_as_id": run_as["id"],
            "run_as_name": run_as["name"],
            "created_time": call.estate.clock.now_ms(),
            "settings": wanted,
        }
        transaction.put(JOB, models.job_key(workspace(call), job_id), document)
        named = {"workspace_id": workspace(call), "object_type": "jobs", "object_id": str(job_id)}
        call.estate.ask("permissions.created", owner_id=call.caller.id, **named)
        if acl:
            call.estate.ask("permissions.assign", access_control_list=acl, **named)
    _look_at_jobs(call)
    return {"job_id": job_id}


def _look_at_jobs(call: Call) -> None:
    scheduler: Scheduler = call.estate.ask("jobs.scheduler")
    scheduler.look_at_jobs()


def _check_version(call: Call, given: Document) -> None:
    if not call.path.startswith("/api/2.2/") and len(given.get("tasks") or []) > wire.PAGE:
        raise invalid(f"The job has {len(given['tasks'])} tasks; more than {wire.PAGE} need Jobs API 2.2.")


def _check_clusters(call: Call, wanted: settings.Settings) -> None:
    """A named policy must exist; whether the cluster keeps to it is looked at when a run needs the cluster."""
    for child in settings.tasks_of(wanted):
        if "run_job_task" in child:
            models.load_job(call.store.read, workspace(call), child["run_job_task"]["job_id"])


def _loaded(call: Call, level: str) -> Document:
    """Permission precedes existence: a stranger learns nothing, not even of a deleted job."""
    job_id = integer(call, "job_id")
    require(call, job_id, level)
    return models.load_job(call.store.read, workspace(call), job_id)


def _get(call: Call) -> Document:
    document = wire.job(_loaded(call, "CAN_VIEW"))
    if not call.path.startswith("/api/2.2/"):
        return document
    offset = wire.offset_of(call.data.get("page_token"))
    lists = {name: document["settings"].get(name, []) for name in ("tasks", "job_clusters", "parameters", "environments")}
    rest = {name: value for name, value in document["settings"].items() if name not in lists}
    page = wire.paged(rest, lists, offset)
    token = page.pop("next_page_token", None)
    return {**document, "settings": page, **({"next_page_token": token} if token else {})}


def _list(call: Call) -> Document:
    limit = call.number("limit", 20)
    if not 1 <= limit <= 100:
        raise invalid(f"limit must be between 1 and 100, not {limit}.")
    offset = wire.offset_of(call.data.get("page_token")) or call.number("offset", 0)
    wanted = str(call.data.get("name") or "").lower()
    found = [document for _, document in call.store.read.find(JOB, prefix=f"{workspace(call)}|")]
    found = [document for document in found if not wanted or document["settings"]["name"].lower() == wanted]
    visible = [document for document in reversed(found) if _visible(call, document["job_id"])]
    page = visible[offset : offset + limit]
    reply: Document = {"has_more": len(visible) > offset + limit}
    if page:
        reply["jobs"] = [_in_list(call, document) for document in page]
    if reply["has_more"]:
        reply["next_page_token"] = str(offset + limit)
    if offset:
        reply["prev_page_token"] = str(max(0, offset - limit))
    return reply


def _visible(call: Call, job_id: int) -> bool:
    named = {"object_type": "jobs", "object_id": str(job_id)}
    return call.estate.ask("permissions.level", principal_id=call.caller.id, workspace_id=workspace(call), **named) is not None


def _in_list(call: Call, document: Document) -> Document:
    shown = wire.job(document)
    if call.flag("expand_tasks"):
        tasks = shown["settings"]["tasks"]
        more = {"has_more": True} if len(tasks) > wire.PAGE else {}
        return {**shown, **more, "settings": {**shown["settings"], "tasks": tasks[: wire.PAGE]}}
    return {**shown, "settings": {name: value for name, value in shown["settings"].items() if name not in ("tasks", "job_clusters")}}


def _reset(call: Call) -> Document:
    before = _loaded(call, "CAN_MANAGE")
    given = call.required("new_settings")
    _check_version(call, given)
    if not given.get("run_as") and before["settings"].get("run_as"):
        given = {**given, "run_as": before["settings"]["run_as"]}
    return _store(call, before, settings.normalised(given))


def _update(call: Call) -> Document:
    before = _loaded(call, "CAN_MANAGE")
    removals = [str(field) for field in call.json.get("fields_to_remove") or []]
    return _store(call, before, settings.merged(before["settings"], call.json.get("new_settings") or {}, removals))


def _store(call: Call, before: Document, wanted: settings.Settings) -> Document:
    _check_clusters(call, wanted)
    run_as = {"id": before["run_as_id"], "name": before["run_as_name"]}
    if wanted.get("run_as") and wanted["run_as"] != before["settings"].get("run_as"):
        run_as = new_runs.run_as(call.estate, workspace_id=workspace(call), caller_id=call.caller.id, wanted=wanted["run_as"])
    with call.store.transaction() as transaction:
        document = {**before, "settings": wanted, "run_as_id": run_as["id"], "run_as_name": run_as["name"]}
        transaction.put(JOB, models.job_key(workspace(call), before["job_id"]), document)
    _look_at_jobs(call)
    return {}


def _delete(call: Call) -> Document:
    document = _loaded(call, "CAN_MANAGE")
    with call.store.transaction() as transaction:
        # The ACL stays: a stranger gets 403 for a deleted job too.
        transaction.delete(JOB, models.job_key(workspace(call), document["job_id"]))
    _look_at_jobs(call)
    run_calls.cancel_runs_of(call, document["job_id"], "The job was deleted.")
    return {}


def _recent_runs(estate: Estate, *, limit: int) -> list[dict[str, Any]]:
    """The question `jobs.recent_runs`, see Scheduler.recent."""
    scheduler: Scheduler = estate.ask("jobs.scheduler")
    return scheduler.recent(limit)


def _start(estate: Estate) -> Callable[[], None]:
    """`$ESTATE_TASK_SLOTS`: how many tasks execute side by side."""
    scheduler = Scheduler(estate, Executor(estate), slots=int(os.environ.get("ESTATE_TASK_SLOTS", "4")))
    estate.answers["jobs.scheduler"] = lambda _: scheduler
    scheduler.start()
    return scheduler.stop


_HANDLERS: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "create", _create),
    ("GET", "get", _get),
    ("GET", "list", _list),
    ("POST", "reset", _reset),
    ("POST", "update", _update),
    ("POST", "delete", _delete),
    *run_calls.HANDLERS,
)

SERVICE = Service(
    name="jobs",
    routes=tuple(
        Route(method=method, path=f"/api/{version}/jobs/{verb}", handler=handler, level="executed")
        for version in _VERSIONS
        for method, verb, handler in _HANDLERS
    ),
    provides={"jobs.recent_runs": _recent_runs},
    start=_start,
)
