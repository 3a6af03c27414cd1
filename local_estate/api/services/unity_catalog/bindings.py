"""Which workspaces may use an isolated catalog, external location or storage credential."""

from __future__ import annotations

from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.routing import Route
from local_estate.api.kernel.store import Document, Reader
from local_estate.api.services.unity_catalog.requests import UC, page, reading, writing
from local_estate.api.services.unity_catalog.securables import BINDABLE, BINDINGS, Securable, SecurableWrites

_TYPES = ("BINDING_TYPE_READ_WRITE", "BINDING_TYPE_READ_ONLY")


def bindings_of(reader: Reader, document: Document) -> list[Document]:
    return list((reader.get(BINDINGS, document["uid"]) or {"bindings": []})["bindings"])


def bind_current_workspace(securables: SecurableWrites, document: Document, workspace_id: int | None) -> None:
    """Isolating something must not lock its owner's workspace out, so that one is bound with it."""
    if "ISOLATED" not in document.get("isolation_mode", "OPEN"):
        return
    bindings = bindings_of(securables.transaction, document)
    if not bindings:
        _store(securables, document, {workspace_id or 0: _TYPES[0]})


def _store(securables: SecurableWrites, document: Document, types: dict[int, str]) -> list[Document]:
    bindings = [{"workspace_id": workspace_id, "binding_type": kind} for workspace_id, kind in sorted(types.items())]
    securables.transaction.put(BINDINGS, document["uid"], {"bindings": bindings})
    return bindings


def _bindable(word: str) -> Securable:
    securable = Securable.STORAGE_CREDENTIAL if word.lower() == "credential" else Securable.named(word)
    if securable not in BINDABLE:
        raise ApiError("INVALID_PARAMETER_VALUE", f"A {securable.label} cannot be bound to workspaces.")
    return securable


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ApiError("INVALID_PARAMETER_VALUE", f"workspace_id must be an integer, not {value!r}.") from None


def _list(call: Call) -> Document:
    authority = reading(call)
    securable = _bindable(call.path_parameters["securable_type"])
    document = authority.require_manage(securable, call.path_parameters["name"])
    return page(call, "bindings", bindings_of(call.store.read, document), key="workspace_id")


def _change(
    call: Call, securable: Securable, add: dict[int, str], remove: set[int], *, by_type: set[tuple[int, str]] | None = None
) -> list[Document]:
    for workspace_id, kind in add.items():
        if kind not in _TYPES:
            raise ApiError("INVALID_PARAMETER_VALUE", f"binding_type {kind!r} is not one of {', '.join(_TYPES)}.")
        if call.estate.ask("arm.workspace", workspace_id=workspace_id) is None:
            raise ApiError("INVALID_PARAMETER_VALUE", f"Workspace {workspace_id} does not exist.")
    with writing(call) as (authority, securables):
        document = authority.require_manage(securable, call.path_parameters["name"])
        types = {each["workspace_id"]: each["binding_type"] for each in bindings_of(securables.transaction, document)}
        for workspace_id, kind in by_type or ():
            if types.get(workspace_id) == kind:
                remove = remove | {workspace_id}
        kept = {workspace_id: kind for workspace_id, kind in types.items() if workspace_id not in remove}
        return _store(securables, document, kept | add)


def _update(call: Call) -> Document:
    add = {_number(each.get("workspace_id")): each.get("binding_type") or _TYPES[0] for each in call.json.get("add") or ()}
    remove = {(_number(each.get("workspace_id")), each.get("binding_type") or "") for each in call.json.get("remove") or ()}
    untyped = {workspace_id for workspace_id, kind in remove if not kind}
    bindings = _change(call, _bindable(call.path_parameters["securable_type"]), add, untyped, by_type=remove)
    return {"bindings": bindings}


def _list_workspaces(call: Call) -> Document:
    document = reading(call).require_manage(Securable.CATALOG, call.path_parameters["name"])
    return {"workspaces": [each["workspace_id"] for each in bindings_of(call.store.read, document)]}


def _assign_workspaces(call: Call) -> Document:
    """The older API, for catalogs and without types; clients still call it before they delete an isolated catalog."""
    add = {_number(each): _TYPES[0] for each in call.json.get("assign_workspaces") or ()}
    remove = {_number(each) for each in call.json.get("unassign_workspaces") or ()}
    return {"workspaces": [each["workspace_id"] for each in _change(call, Securable.CATALOG, add, remove)]}


def _route(method: str, path: str, handler: Any) -> Route:
    return Route(method=method, path=f"{UC}/{path}", handler=handler, level="executed")


ROUTES = (
    _route("GET", "bindings/{securable_type}/{name}", _list),
    _route("PATCH", "bindings/{securable_type}/{name}", _update),
    _route("GET", "workspace-bindings/catalogs/{name}", _list_workspaces),
    _route("PATCH", "workspace-bindings/catalogs/{name}", _assign_workspaces),
)
