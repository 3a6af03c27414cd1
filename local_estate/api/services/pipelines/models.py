"""Pipelines, their updates and events as stored."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from local_estate import tenancy
from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document, Reader, Transaction

PIPELINE = "pipelines.pipeline"  # documents by `<workspace>|<pipeline id>`
UPDATE = "pipelines.update"  # documents by `<pipeline id>|<creation time, ms>|<update id>`
EVENT = "pipelines.event"  # documents by `<pipeline id>|<sequence>`
TABLE = "pipelines.table"  # documents {"name"} by `<pipeline id>|<full name>`: what a deletion takes along
ENDED = ("COMPLETED", "FAILED", "CANCELED")
_LATEST = 5


def key(workspace_id: int, pipeline_id: str) -> str:
    return f"{workspace_id}|{pipeline_id}"


def load(reader: Reader, workspace_id: int, pipeline_id: str) -> Document:
    """Raises ApiError RESOURCE_DOES_NOT_EXIST naming the id, as clients match it."""
    found = reader.get(PIPELINE, key(workspace_id, pipeline_id))
    if found is None:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"The specified pipeline {pipeline_id} was not found.")
    return found


def find(reader: Reader, pipeline_id: str) -> Document | None:
    """Of whichever workspace."""
    return next((each for _, each in reader.find(PIPELINE, where={"pipeline_id": pipeline_id})), None)


def update_key(update: Mapping[str, Any]) -> str:
    return f"{update['pipeline_id']}|{update['creation_time']:020d}|{update['update_id']}"


def updates(reader: Reader, pipeline_id: str) -> list[Document]:
    """Newest first."""
    return [each for _, each in reader.find(UPDATE, prefix=f"{pipeline_id}|")][::-1]


def load_update(reader: Reader, pipeline_id: str, update_id: str) -> Document:
    for each in updates(reader, pipeline_id):
        if each["update_id"] == update_id:
            return each
    raise ApiError("RESOURCE_DOES_NOT_EXIST", f"The specified update {update_id} of pipeline {pipeline_id} was not found.")


def active(reader: Reader, pipeline_id: str) -> Document | None:
    return next((each for each in updates(reader, pipeline_id) if each["state"] not in ENDED), None)


def put_update(transaction: Transaction, update: Mapping[str, Any]) -> None:
    transaction.put(UPDATE, update_key(update), update)


def run_as(estate: Estate, *, workspace_id: int, caller_id: str, wanted: Mapping[str, Any] | None) -> Document:
    """`{"id", "name"}` of whom updates act as; the creator without `wanted`.

    Raises ApiError: INVALID_PARAMETER_VALUE for an unknown principal, PERMISSION_DENIED when neither itself nor chosen by an admin.
    """
    if not wanted:
        caller = estate.ask("identity.principal", id=caller_id)
        return {"id": caller_id, "name": str(caller["name"]) if caller else caller_id}
    given = {field: wanted[field] for field in ("user_name", "service_principal_name") if wanted.get(field)}
    if len(given) != 1:
        raise ApiError("INVALID_PARAMETER_VALUE", "run_as must name exactly one of user_name, service_principal_name.")
    ((field, name),) = given.items()
    kind = "user" if field == "user_name" else "service_principal"
    found = estate.ask("identity.principal", name=name)
    if found is None or found["kind"] != kind:
        raise ApiError("INVALID_PARAMETER_VALUE", f"The {kind.replace('_', ' ')} '{name}' of run_as does not exist.")
    if found["id"] != caller_id and not estate.ask("identity.is_workspace_admin", principal_id=caller_id, workspace_id=workspace_id):
        raise ApiError("PERMISSION_DENIED", f"run_as of a pipeline may be set to '{name}' by itself or an admin only.")
    return {"id": str(found["id"]), "name": str(found["name"])}


# --- events


def add_event(transaction: Transaction, pipeline: Mapping[str, Any], update_id: str, event: Mapping[str, Any]) -> None:
    """`event` as the runner writes it: timestamp, event_type, level, message, details, origin and perhaps error."""
    number = transaction.next(f"pipelines.event|{pipeline['pipeline_id']}")
    origin = {
        "cloud": "Azure",
        "region": tenancy.REGION,
        "org_id": pipeline["workspace_id"],
        "pipeline_id": pipeline["pipeline_id"],
        "pipeline_type": "WORKSPACE",
        "pipeline_name": pipeline["spec"]["name"],
        **({"update_id": update_id} if update_id else {}),
        **(event.get("origin") or {}),
    }
    document = {
        "id": str(uuid.uuid4()),
        "sequence": {"control_plane_seq_no": number},
        "maturity_level": "STABLE",
        **event,
        "origin": origin,
    }
    transaction.put(EVENT, f"{pipeline['pipeline_id']}|{number:012d}", document)


def progress(estate: Estate, state: str, *, cause: str = "", error: str = "", trace: str = "") -> Document:
    said = f"Update is {state}." if not cause else f"Update is {state}: {cause}"
    event: Document = {
        "timestamp": instant(estate.clock.now_ms()),
        "event_type": "update_progress",
        "level": "ERROR" if state == "FAILED" else "INFO",
        "message": said,
        "details": {"update_progress": {"state": state}},
    }
    if error:
        exceptions = [{"message": error, **({"stack": [{"declaring_class": line} for line in trace.splitlines()]} if trace else {})}]
        event["error"] = {"fatal": True, "exceptions": exceptions}
    return event


def instant(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- as clients see them


def state_of(reader: Reader, pipeline_id: str) -> tuple[str, str, list[Document]]:
    """State, health and the latest updates."""
    known = updates(reader, pipeline_id)
    latest = [{"update_id": each["update_id"], "state": each["state"], "creation_time": instant(each["creation_time"])} for each in known]
    newest = known[0]["state"] if known else ""
    if newest and newest not in ENDED:
        state = {"STOPPING": "STOPPING", "RESETTING": "RESETTING", "RUNNING": "RUNNING"}.get(newest, "STARTING")
    else:
        state = "FAILED" if newest == "FAILED" else "IDLE"
    return state, "UNHEALTHY" if newest == "FAILED" else "HEALTHY", latest[:_LATEST]


def wire(reader: Reader, pipeline: Mapping[str, Any], *, listed: bool = False) -> Document:
    state, health, latest = state_of(reader, pipeline["pipeline_id"])
    shown: Document = {
        "pipeline_id": pipeline["pipeline_id"],
        "name": pipeline["spec"]["name"],
        "state": state,
        "health": health,
        "creator_user_name": pipeline["creator_user_name"],
        "run_as_user_name": pipeline["run_as_name"],
    }
    if latest:
        shown["latest_updates"] = latest
    if listed:
        return shown
    shown |= {
        "spec": pipeline["spec"],
        "last_modified": pipeline["last_modified"],
        "effective_publishing_mode": "DEFAULT_PUBLISHING_MODE",
    }
    if pipeline.get("run_as"):
        shown["run_as"] = pipeline["run_as"]
    return shown


def update_wire(update: Mapping[str, Any], *, listed: bool = False) -> Document:
    hidden = {"workspace_id", "run_as_id", "run_as_name", "pid", "pid_started", *(("config",) if listed else ())}
    return {name: value for name, value in update.items() if name not in hidden}
