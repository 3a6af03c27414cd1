"""Personal access tokens: one's own by `/token`, everybody's in a workspace by its admins in `/token-management`."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError, not_supported
from local_estate.api.kernel.identity import PRINCIPAL, TOKEN
from local_estate.api.kernel.routing import Face, Handler, Route
from local_estate.api.kernel.store import Document, Reader
from local_estate.api.services.identity import principals


def _info(stored: Document) -> dict[str, Any]:
    return {name: stored[name] for name in ("token_id", "creation_time", "expiry_time", "comment")}


def _here(call: Call, reader: Reader) -> Iterator[tuple[str, Document]]:
    """The tokens of the workspace that have not expired, with their store keys."""
    now = call.estate.clock.now_ms()
    for key, stored in reader.find(TOKEN, where={"workspace_id": call.workspace_id or 0}):
        if stored["expiry_time"] == -1 or stored["expiry_time"] > now:
            yield key, stored


def _create(call: Call) -> dict[str, Any]:
    lifetime = call.number("lifetime_seconds", 0) if call.data.get("lifetime_seconds") is not None else None
    if lifetime is not None and lifetime <= 0:
        raise ApiError("INVALID_PARAMETER_VALUE", f"lifetime_seconds must be positive, not {lifetime}; leave it out for no end.")
    now = call.estate.clock.now_ms()
    value = "dapi" + secrets.token_hex(16)
    stored = {
        "token_id": secrets.token_hex(32),
        "creation_time": now,
        "expiry_time": now + lifetime * 1000 if lifetime else -1,
        "comment": call.data.get("comment", ""),
        "principal_id": call.caller.id,
        "workspace_id": call.workspace_id,
    }
    with call.store.transaction() as transaction:
        transaction.put(TOKEN, hashlib.sha256(value.encode()).hexdigest(), stored)
    return {"token_value": value, "token_info": _info(stored)}


def _list(call: Call) -> dict[str, Any]:
    mine = [_info(stored) for _, stored in _here(call, call.store.read) if stored["principal_id"] == call.caller.id]
    return {"token_infos": mine}


def _remove(call: Call, token_id: str, *, of: str | None) -> dict[str, Any]:
    """`of`: only a token of this principal."""
    with call.store.transaction() as transaction:
        for key, stored in list(_here(call, transaction)):
            if stored["token_id"] == token_id and of in (None, stored["principal_id"]):
                transaction.delete(TOKEN, key)
                return {}
    raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Token with ID {token_id} does not exist.")


def _delete(call: Call) -> dict[str, Any]:
    return _remove(call, call.required("token_id"), of=call.caller.id)


def _on_behalf_of(_: Call) -> dict[str, Any]:
    raise not_supported(
        "tokens on behalf of service principals: Azure Databricks has none; let the principal sign in by OAuth and make its own"
    )


# Token management


def _managed(call: Call, stored: Document) -> dict[str, Any]:
    creator = call.store.read.get(PRINCIPAL, stored["principal_id"]) or {"name": ""}
    number, name = int(stored["principal_id"]), creator["name"]
    return {
        **_info(stored),
        "created_by_id": number,
        "created_by_username": name,
        "owner_id": number,
        "workspace_id": stored["workspace_id"],
    }


def _list_managed(call: Call) -> dict[str, Any]:
    principals.require_workspace_admin(call)
    found = [_managed(call, stored) for _, stored in _here(call, call.store.read)]
    for parameter in ("created_by_id", "created_by_username"):
        if wanted := call.data.get(parameter):
            found = [each for each in found if str(each[parameter]).lower() == str(wanted).lower()]
    return {"token_infos": found}


def _get_managed(call: Call) -> dict[str, Any]:
    principals.require_workspace_admin(call)
    wanted = call.path_parameters["token"]
    for _, stored in _here(call, call.store.read):
        if stored["token_id"] == wanted:
            return {"token_info": _managed(call, stored)}
    raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Token with ID {wanted} does not exist.")


def _delete_managed(call: Call) -> dict[str, Any]:
    principals.require_workspace_admin(call)
    return _remove(call, call.path_parameters["token"], of=None)


def _route(method: str, path: str, handler: Handler) -> Route:
    return Route(method=method, path=f"/api/2.0/{path}", handler=handler, faces=(Face.WORKSPACE,), level="executed")


ROUTES = (
    _route("POST", "token/create", _create),
    _route("GET", "token/list", _list),
    _route("POST", "token/delete", _delete),
    _route("POST", "token-management/on-behalf-of/tokens", _on_behalf_of),
    _route("GET", "token-management/tokens", _list_managed),
    _route("GET", "token-management/tokens/{token}", _get_managed),
    _route("DELETE", "token-management/tokens/{token}", _delete_managed),
)
