"""`/api/2.0/sql/warehouses`: settings, states, and who may use one."""

from __future__ import annotations

import secrets
from typing import Any

from local_estate.api.kernel.call import Call, Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.routing import Route
from local_estate.api.kernel.store import Document, Reader

WAREHOUSE = "sql.warehouse"  # documents by `<workspace>|<id>`
_SIZES = ("2X-Small", "X-Small", "Small", "Medium", "Large", "X-Large", "2X-Large", "3X-Large", "4X-Large", "5X-Large")
_FIELDS = (
    "name",
    "cluster_size",
    "min_num_clusters",
    "max_num_clusters",
    "auto_stop_mins",
    "creator_name",
    "instance_profile_arn",
    "tags",
    "spot_instance_policy",
    "enable_photon",
    "channel",
    "enable_serverless_compute",
    "warehouse_type",
)
_DEFAULTS: Document = {
    "min_num_clusters": 1,
    "max_num_clusters": 1,
    "auto_stop_mins": 120,
    "enable_photon": True,
    "spot_instance_policy": "COST_OPTIMIZED",
    "channel": {"name": "CHANNEL_NAME_CURRENT"},
    "warehouse_type": "CLASSIC",
    "enable_serverless_compute": False,
    "tags": {},
}


def _workspace(call: Call) -> int:
    return call.workspace_id or 0


def _invalid(message: str) -> ApiError:
    return ApiError("INVALID_PARAMETER_VALUE", message)


def find(reader: Reader, workspace_id: int, warehouse_id: str) -> Document:
    found = reader.get(WAREHOUSE, f"{workspace_id}|{warehouse_id}")
    if found is None:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"SQL warehouse {warehouse_id} does not exist.")
    return found


def use(estate: Estate, *, principal_id: str, workspace_id: int, warehouse_id: str) -> Document:
    """The question `sql.use_warehouse`: the warehouse, started. Raises ApiError without CAN_USE or when it does not exist."""
    _require(estate, principal_id, workspace_id, warehouse_id, "CAN_USE")
    with estate.store.transaction() as transaction:
        found = find(transaction, workspace_id, warehouse_id)
        if found["state"] != "RUNNING":
            found = {**found, "state": "RUNNING"}
            transaction.put(WAREHOUSE, f"{workspace_id}|{warehouse_id}", found)
    return found


def _require(estate: Estate, principal_id: str, workspace_id: int, warehouse_id: str, level: str) -> None:
    estate.ask(
        "permissions.require",
        principal_id=principal_id,
        workspace_id=workspace_id,
        object_type="sql/warehouses",
        object_id=warehouse_id,
        level=level,
    )


def _validated(given: Document) -> Document:
    """With defaults. Raises ApiError INVALID_PARAMETER_VALUE."""
    settings = {**_DEFAULTS, **{name: given[name] for name in _FIELDS if given.get(name) is not None}}
    if not settings.get("name"):
        raise _invalid("Missing required field: name")
    if settings.get("cluster_size") not in _SIZES:
        raise _invalid(f"cluster_size {settings.get('cluster_size')!r} is not one of {', '.join(_SIZES)}.")
    for field in ("min_num_clusters", "max_num_clusters", "auto_stop_mins"):
        try:
            settings[field] = int(settings[field])
        except (TypeError, ValueError):
            raise _invalid(f"{field} must be an integer, not {settings[field]!r}.") from None
    if settings["auto_stop_mins"] != 0 and settings["auto_stop_mins"] < 10:
        raise _invalid("auto_stop_mins must be 0 (no auto stop) or at least 10.")
    if not 1 <= settings["min_num_clusters"] <= settings["max_num_clusters"] <= 30:
        raise _invalid("min_num_clusters must be at least 1 and at most max_num_clusters, which must be at most 30.")
    if settings["warehouse_type"] not in ("CLASSIC", "PRO"):
        raise _invalid(f"warehouse_type {settings['warehouse_type']!r} is not one of CLASSIC, PRO.")
    if settings["enable_serverless_compute"] and settings["warehouse_type"] != "PRO":
        raise _invalid("Serverless compute needs warehouse_type PRO.")
    return settings


def _unused_name(reader: Reader, workspace_id: int, name: str, own_id: str = "") -> None:
    for _, other in reader.find(WAREHOUSE, prefix=f"{workspace_id}|"):
        if other["name"] == name and other["id"] != own_id:
            raise _invalid(f"Cannot create SQL warehouse: a SQL warehouse named '{name}' already exists.")


def _create(call: Call) -> Document:
    if not call.estate.ask("identity.is_workspace_admin", principal_id=call.caller.id, workspace_id=_workspace(call)):
        raise ApiError("PERMISSION_DENIED", f"{call.caller.name} is not authorized to create SQL warehouses; only workspace admins are.")
    settings = _validated(call.json)
    warehouse_id = secrets.token_hex(8)
    with call.store.transaction() as transaction:
        _unused_name(transaction, _workspace(call), settings["name"])
        document = {
            **settings,
            "id": warehouse_id,
            "data_source_id": secrets.token_hex(16),
            "creator_name": call.caller.name,
            "state": "STARTING",
        }
        transaction.put(WAREHOUSE, f"{_workspace(call)}|{warehouse_id}", document)
        call.estate.ask(
            "permissions.created",
            workspace_id=_workspace(call),
            object_type="sql/warehouses",
            object_id=warehouse_id,
            owner_id=call.caller.id,
        )
    return {"id": warehouse_id}


def _host(call: Call) -> str:
    workspace = call.estate.ask("arm.workspace", workspace_id=_workspace(call)) or {}
    return str((workspace.get("properties") or {}).get("workspaceUrl") or f"adb-{_workspace(call)}.azuredatabricks.net")


def _wire(call: Call, document: Document) -> Document:
    path = f"/sql/1.0/warehouses/{document['id']}"
    host = _host(call)
    shown = {name: value for name, value in document.items() if name != "data_source_id"}
    return {
        **shown,
        "size": document["cluster_size"],
        "num_clusters": 1 if document["state"] == "RUNNING" else 0,
        "num_active_sessions": 0,
        "jdbc_url": f"jdbc:spark://{host}:443/default;transportMode=http;ssl=1;AuthMech=3;httpPath={path};",
        "odbc_params": {"hostname": host, "path": path, "protocol": "https", "port": 443},
        "health": {"status": "HEALTHY"},
    }


def _settled(call: Call, document: Document) -> Document:
    """STARTING and STOPPING are shown once, then they are over: the Spark behind every warehouse is always there."""
    after = {"STARTING": "RUNNING", "STOPPING": "STOPPED"}.get(document["state"])
    if after is not None:
        with call.store.transaction() as transaction:
            current = transaction.get(WAREHOUSE, f"{_workspace(call)}|{document['id']}")
            if current is not None and current["state"] == document["state"]:
                transaction.put(WAREHOUSE, f"{_workspace(call)}|{document['id']}", {**current, "state": after})
    return document


def _addressed(call: Call, level: str) -> Document:
    warehouse_id = call.path_parameters["id"]
    _require(call.estate, call.caller.id, _workspace(call), warehouse_id, level)
    return find(call.store.read, _workspace(call), warehouse_id)


def _get(call: Call) -> Document:
    return _wire(call, _settled(call, _addressed(call, "CAN_USE")))


def visible(call: Call) -> list[Document]:
    """Those the caller may use, by name."""
    found = [document for _, document in call.store.read.find(WAREHOUSE, prefix=f"{_workspace(call)}|")]
    allowed = [
        document
        for document in found
        if call.estate.ask(
            "permissions.level",
            principal_id=call.caller.id,
            workspace_id=_workspace(call),
            object_type="sql/warehouses",
            object_id=document["id"],
        )
    ]
    return sorted(allowed, key=lambda document: str(document["name"]))


def _list(call: Call) -> Document:
    found = [_wire(call, document) for document in visible(call)]
    return {"warehouses": found} if found else {}


def _edit(call: Call) -> Document:
    before = _addressed(call, "CAN_MANAGE")
    settings = _validated({**before, **call.json})
    with call.store.transaction() as transaction:
        current = find(transaction, _workspace(call), before["id"])
        _unused_name(transaction, _workspace(call), settings["name"], before["id"])
        transaction.put(WAREHOUSE, f"{_workspace(call)}|{before['id']}", {**current, **settings, "creator_name": current["creator_name"]})
    return {}


def _delete(call: Call) -> Document:
    document = _addressed(call, "CAN_MANAGE")
    with call.store.transaction() as transaction:
        transaction.delete(WAREHOUSE, f"{_workspace(call)}|{document['id']}")
        named: dict[str, Any] = {"object_type": "sql/warehouses", "object_id": document["id"]}
        call.estate.ask("permissions.deleted", workspace_id=_workspace(call), **named)
    return {}


def _move(call: Call, level: str, already: tuple[str, ...], to: str) -> Document:
    document = _addressed(call, level)
    if document["state"] not in already:
        with call.store.transaction() as transaction:
            current = find(transaction, _workspace(call), document["id"])
            transaction.put(WAREHOUSE, f"{_workspace(call)}|{document['id']}", {**current, "state": to})
    return {}


def _start(call: Call) -> Document:
    return _move(call, "CAN_USE", ("RUNNING", "STARTING"), "STARTING")


def _stop(call: Call) -> Document:
    return _move(call, "CAN_MANAGE", ("STOPPED", "STOPPING"), "STOPPING")


def _data_sources(call: Call) -> list[Document]:
    """The reply is a bare list; the Terraform provider looks a new warehouse up in it."""
    return [
        {
            "id": document["data_source_id"],
            "name": document["name"],
            "type": "databricks_internal",
            "syntax": "sql",
            "paused": 0,
            "pause_reason": None,
            "view_only": False,
            "supports_auto_limit": True,
            "warehouse_id": document["id"],
            "endpoint_id": document["id"],
        }
        for document in visible(call)
    ]


def _route(method: str, path: str, handler: Any) -> Route:
    return Route(method=method, path=f"/api/2.0/{path}", handler=handler, level="executed")


ROUTES = (
    _route("POST", "sql/warehouses", _create),
    _route("GET", "sql/warehouses", _list),
    _route("GET", "sql/warehouses/{id}", _get),
    _route("DELETE", "sql/warehouses/{id}", _delete),
    _route("POST", "sql/warehouses/{id}/edit", _edit),
    _route("POST", "sql/warehouses/{id}/start", _start),
    _route("POST", "sql/warehouses/{id}/stop", _stop),
    _route("GET", "preview/sql/data_sources", _data_sources),
)
