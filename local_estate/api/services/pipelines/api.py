"""`/api/2.0/pipelines/*`: settings, updates and the event log. Permissions are the permissions service's."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

import httpx

from local_estate.api.kernel.call import Call, Estate
from local_estate.api.kernel.errors import ApiError, not_supported
from local_estate.api.kernel.routing import Face, Handler, Route, Service
from local_estate.api.kernel.store import Document
from local_estate.api.services.pipelines import events, models, spec
from local_estate.api.services.pipelines.models import EVENT, PIPELINE, TABLE, UPDATE
from local_estate.api.services.pipelines.spec import invalid
from local_estate.api.services.pipelines.storage import discard, storage
from local_estate.api.services.pipelines.task import run_task
from local_estate.api.services.pipelines.updates import Updates

_UPDATE_FIELDS = ("full_refresh", "full_refresh_selection", "refresh_selection", "validate_only", "cause", "pipeline_id")
_LIKE = re.compile(r"\s*name\s+(?:LIKE|like)\s+'([^']*)'\s*")


def _workspace(call: Call) -> int:
    return call.workspace_id or 0


def _updates(call: Call) -> Updates:
    found: Updates = call.estate.ask("pipelines.updates")
    return found


def _loaded(call: Call, level: str) -> Document:
    """Permission precedes existence: a stranger learns nothing, not even of a deleted pipeline."""
    pipeline_id = call.path_parameters["pipeline_id"]
    named = {"object_type": "pipelines", "object_id": pipeline_id, "level": level}
    call.estate.ask("permissions.require", principal_id=call.caller.id, workspace_id=_workspace(call), **named)
    return models.load(call.store.read, _workspace(call), pipeline_id)


def _refuse_duplicate(call: Call, name: str, own_id: str) -> None:
    if call.flag("allow_duplicate_names"):
        return
    for _, other in call.store.read.find(PIPELINE, prefix=f"{_workspace(call)}|"):
        if other["spec"]["name"] == name and other["pipeline_id"] != own_id:
            raise ApiError(
                "RESOURCE_CONFLICT",
                f"The pipeline name '{name}' is already used by another pipeline. This check can be skipped by setting "
                "`allow_duplicate_names = true` in the request.",
            )


def _create(call: Call) -> Document:
    pipeline_id = str(uuid.uuid4())
    specification = spec.normalised(call.json, pipeline_id)
    run_as = models.run_as(call.estate, workspace_id=_workspace(call), caller_id=call.caller.id, wanted=call.json.get("run_as"))
    with call.store.transaction() as transaction:
        _refuse_duplicate(call, specification["name"], pipeline_id)
        document = {
            "pipeline_id": pipeline_id,
            "workspace_id": _workspace(call),
            "creator_user_name": call.caller.name,
            "run_as_id": run_as["id"],
            "run_as_name": run_as["name"],
            "run_as": call.json.get("run_as"),
            "last_modified": call.estate.clock.now_ms(),
            "spec": specification,
        }
        transaction.put(PIPELINE, models.key(_workspace(call), pipeline_id), document)
        named = {"object_type": "pipelines", "object_id": pipeline_id}
        call.estate.ask("permissions.created", workspace_id=_workspace(call), owner_id=call.caller.id, **named)
    return {"pipeline_id": pipeline_id}


def _get(call: Call) -> Document:
    return models.wire(call.store.read, _loaded(call, "CAN_VIEW"))


def _edit(call: Call) -> Document:
    before = _loaded(call, "CAN_MANAGE")
    pipeline_id = before["pipeline_id"]
    if str(call.json.get("id") or pipeline_id) != pipeline_id:
        raise invalid(f"id is {call.json['id']}, but the request is for pipeline {pipeline_id}.")
    seen = call.json.get("expected_last_modified")
    if seen is not None and int(seen) != before["last_modified"]:
        raise ApiError(
            "RESOURCE_CONFLICT", f"Pipeline {pipeline_id} was modified at {before['last_modified']}, not at {seen}; read it again."
        )
    specification = spec.normalised(call.json, pipeline_id)
    changed: Document = {"spec": specification, "last_modified": call.estate.clock.now_ms()}
    if (wanted := call.json.get("run_as")) and wanted != before.get("run_as"):
        run_as = models.run_as(call.estate, workspace_id=_workspace(call), caller_id=call.caller.id, wanted=wanted)
        changed |= {"run_as_id": run_as["id"], "run_as_name": run_as["name"], "run_as": wanted}
    with call.store.transaction() as transaction:
        _refuse_duplicate(call, specification["name"], pipeline_id)
        if specification != before["spec"] or "run_as" in changed:
            transaction.put(PIPELINE, models.key(_workspace(call), pipeline_id), {**before, **changed})
    return {}


def _delete(call: Call) -> Document:
    """With its tables, unless `cascade` is false. The ACL stays: a stranger gets 403 for a deleted pipeline too."""
    pipeline = _loaded(call, "CAN_MANAGE")
    updates = _updates(call)
    updates.stop(pipeline["pipeline_id"])
    if active := models.active(call.store.read, pipeline["pipeline_id"]):
        updates.wait(pipeline["pipeline_id"], active["update_id"])
    if call.flag("cascade", True):
        _drop_tables(call, pipeline)
    with call.store.transaction() as transaction:
        transaction.delete(PIPELINE, models.key(_workspace(call), pipeline["pipeline_id"]))
        for kind in (UPDATE, EVENT, TABLE):
            for key, _ in list(transaction.find(kind, prefix=f"{pipeline['pipeline_id']}|")):
                transaction.delete(kind, key)
    discard(call.estate, pipeline["pipeline_id"])
    return {}


def _drop_tables(call: Call, pipeline: Document) -> None:
    """As whom the pipeline runs as, who owns them. Raises ApiError for a table that cannot be dropped, unless `force` is set."""
    token = call.estate.tokens.oauth(principal_id=pipeline["run_as_id"], workspace_id=_workspace(call), seconds=600)
    base = f"{call.estate.base_url(Face.WORKSPACE, _workspace(call))}/api/2.1/unity-catalog/tables"
    for _, table in call.store.read.find(TABLE, prefix=f"{pipeline['pipeline_id']}|"):
        reply = httpx.delete(f"{base}/{table['name']}", headers={"authorization": f"Bearer {token}"}, timeout=60, trust_env=False)
        if reply.status_code >= 300 and reply.status_code != 404 and not call.flag("force"):
            said = reply.json().get("message")
            raise ApiError("INVALID_STATE", f"Table {table['name']} of pipeline {pipeline['pipeline_id']} could not be dropped: {said}")


def _list(call: Call) -> Document:
    limit = call.number("max_results", 25)
    if not 1 <= limit <= 100:
        raise invalid(f"max_results must be between 1 and 100, not {limit}.")
    wanted = _pattern(str(call.data.get("filter") or ""))
    found = [each for _, each in call.store.read.find(PIPELINE, prefix=f"{_workspace(call)}|") if wanted(each["spec"]["name"])]
    visible = [each for each in found if _visible(call, each["pipeline_id"])]
    visible.sort(key=lambda each: (each["spec"]["name"], each["pipeline_id"]))
    offset = call.number("page_token", 0)
    reply: Document = {"statuses": [models.wire(call.store.read, each, listed=True) for each in visible[offset : offset + limit]]}
    if len(visible) > offset + limit:
        reply["next_page_token"] = str(offset + limit)
    return reply


def _pattern(given: str) -> Callable[[str], bool]:
    if not given:
        return lambda _: True
    match = _LIKE.fullmatch(given)
    if match is None:
        raise not_supported(f"the pipelines filter {given!r}; use name LIKE '%part%'")
    expression = re.compile(".*".join(re.escape(part) for part in match[1].split("%")))
    return lambda name: expression.fullmatch(name) is not None


def _visible(call: Call, pipeline_id: str) -> bool:
    named = {"object_type": "pipelines", "object_id": pipeline_id}
    return call.estate.ask("permissions.level", principal_id=call.caller.id, workspace_id=_workspace(call), **named) is not None


def _start_update(call: Call) -> Document:
    pipeline = _loaded(call, "CAN_RUN")
    if unknown := sorted(name for name, value in call.json.items() if value and name not in _UPDATE_FIELDS):
        known = {"development", "parameters", "replace_where_overrides", "reset_checkpoint_selection", "rewind_spec"}
        if known.issuperset(unknown):
            raise not_supported(f"{', '.join(unknown)} of pipeline updates")
        raise invalid(f"Unknown field(s) in the update request: {', '.join(unknown)}.")
    for name in ("full_refresh_selection", "refresh_selection"):
        if not isinstance(call.json.get(name, []), list):
            raise invalid(f"{name} must be a list of table names.")
    if call.flag("full_refresh") and (call.json.get("full_refresh_selection") or call.json.get("refresh_selection")):
        raise invalid("full_refresh cannot be combined with full_refresh_selection or refresh_selection.")
    return {"update_id": _updates(call).start(pipeline, call.json, str(call.json.get("cause") or "API_CALL"))["update_id"]}


def _stop(call: Call) -> Document:
    pipeline = _loaded(call, "CAN_RUN")
    _updates(call).stop(pipeline["pipeline_id"])
    return {}


def _list_updates(call: Call) -> Document:
    pipeline = _loaded(call, "CAN_VIEW")
    limit, offset = call.number("max_results", 25), call.number("page_token", 0)
    found = models.updates(call.store.read, pipeline["pipeline_id"])
    if until := call.data.get("until_update_id"):
        names = [each["update_id"] for each in found]
        found = found[names.index(until) :] if until in names else []
    reply: Document = {"updates": [models.update_wire(each, listed=True) for each in found[offset : offset + limit]]}
    if len(found) > offset + limit:
        reply["next_page_token"] = str(offset + limit)
    if offset:
        reply["prev_page_token"] = str(max(0, offset - limit))
    return reply


def _get_update(call: Call) -> Document:
    pipeline = _loaded(call, "CAN_VIEW")
    return {"update": models.update_wire(models.load_update(call.store.read, pipeline["pipeline_id"], call.path_parameters["update_id"]))}


def _list_events(call: Call) -> Document:
    pipeline = _loaded(call, "CAN_VIEW")
    return events.page(call, [each for _, each in call.store.read.find(EVENT, prefix=f"{pipeline['pipeline_id']}|")])


def _start(estate: Estate) -> Callable[[], None]:
    updates = Updates(estate)
    estate.answers["pipelines.updates"] = lambda _: updates
    updates.recover()
    return updates.close


_HANDLERS: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "", _create),
    ("GET", "", _list),
    ("GET", "/{pipeline_id}", _get),
    ("PUT", "/{pipeline_id}", _edit),
    ("DELETE", "/{pipeline_id}", _delete),
    ("POST", "/{pipeline_id}/updates", _start_update),
    ("GET", "/{pipeline_id}/updates", _list_updates),
    ("GET", "/{pipeline_id}/updates/{update_id}", _get_update),
    ("POST", "/{pipeline_id}/stop", _stop),
    ("GET", "/{pipeline_id}/events", _list_events),
)

SERVICE = Service(
    name="pipelines",
    routes=tuple(
        Route(method=method, path=f"/api/2.0/pipelines{path}", handler=handler, level="executed") for method, path, handler in _HANDLERS
    ),
    provides={"pipelines.storage": storage, "pipelines.run_task": run_task},
    start=_start,
)
