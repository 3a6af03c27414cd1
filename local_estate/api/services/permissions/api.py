"""`/api/2.0/permissions/{type}/{id}` and `…/permissionLevels`."""

from __future__ import annotations

from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.routing import Handler, Route, Service
from local_estate.api.kernel.store import Document
from local_estate.api.services.permissions import models
from local_estate.api.services.permissions.kinds import DESCRIPTIONS, Kind, kind_of


def _object(call: Call) -> tuple[Kind, str]:
    """The addressed kind and id, if the caller may manage it."""
    kind, object_id = _addressed(call)
    models.require_manage(call.estate, principal_id=call.caller.id, workspace_id=call.workspace_id or 0, kind=kind, object_id=object_id)
    return kind, object_id


def _addressed(call: Call) -> tuple[Kind, str]:
    object_id = call.path_parameters["id"]
    return kind_of(call.path_parameters.get("type", "sql/warehouses"), object_id), object_id


def _get(call: Call) -> Document:
    kind, object_id = _object(call)
    return models.wire(kind, object_id, models.stored(call.store.read, call.workspace_id or 0, kind, object_id))


def _change(call: Call, apply: Any) -> Document:
    kind, object_id = _object(call)
    entries = models.entries_of(call.estate, kind, call.data.get("access_control_list", []))
    document = apply(call.estate, workspace_id=call.workspace_id or 0, kind=kind, object_id=object_id, entries=entries)
    return models.wire(kind, object_id, document)


def _put(call: Call) -> Document:
    return _change(call, models.replace)


def _patch(call: Call) -> Document:
    return _change(call, models.update)


def _levels(call: Call) -> Document:
    kind, _ = _addressed(call)
    return {"permission_levels": [{"permission_level": level, "description": DESCRIPTIONS[level]} for level in kind.levels]}


def _routes() -> tuple[Route, ...]:
    handlers: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "", _get),
        ("PUT", "", _put),
        ("PATCH", "", _patch),
        ("GET", "/permissionLevels", _levels),
    )
    found = []
    for base in ("/api/2.0/permissions/{type}/{id}", "/api/2.0/permissions/sql/warehouses/{id}"):
        found += [Route(method=method, path=base + suffix, handler=handler, level="executed") for method, suffix, handler in handlers]
    return tuple(found)


SERVICE = Service(
    name="permissions",
    routes=_routes(),
    provides={
        "permissions.created": models.created,
        "permissions.deleted": models.deleted,
        "permissions.level": models.level,
        "permissions.require": models.require,
        "permissions.assign": models.assign,
        "permissions.check": models.check,
    },
)
