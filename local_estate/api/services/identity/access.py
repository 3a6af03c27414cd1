"""OAuth secrets of service principals, personal access tokens, and who is assigned to which workspace."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime
from typing import Any

from local_estate.api.kernel.call import Call, Reply
from local_estate.api.kernel.errors import ApiError, not_supported
from local_estate.api.kernel.identity import PRINCIPAL, TOKEN
from local_estate.api.kernel.routing import Face, Handler, Route
from local_estate.api.services.identity import principals

_LEVELS = {"USER", "ADMIN"}
_TWO_YEARS = 63_072_000


def _account_admin(call: Call) -> None:
    if not principals.is_account_admin(call.estate, principal_id=call.caller.id):
        raise ApiError("PERMISSION_DENIED", f"Only account admins can do this; {call.caller.name} is none.")


# Secrets of service principals


def _own_or_admin(call: Call) -> str:
    identifier = call.path_parameters["id"]
    if identifier != call.caller.id:
        _account_admin(call)
    document = call.store.read.get(PRINCIPAL, identifier)
    if document is None or document["kind"] != "service_principal":
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Service principal {identifier} does not exist.")
    return identifier


def _times(stored: dict[str, Any]) -> dict[str, Any]:
    moments = {
        name: datetime.fromtimestamp(stored[name], UTC).isoformat().replace("+00:00", "Z") for name in ("create_time", "expire_time")
    }
    return {"id": stored["id"], "status": stored["status"], "secret_hash": stored["secret_hash"][:12], **moments}


def _create_secret(call: Call) -> dict[str, Any]:
    lifetime = str(call.data.get("lifetime") or f"{_TWO_YEARS}s")
    if not lifetime.removesuffix("s").isdigit():
        raise ApiError("INVALID_PARAMETER_VALUE", f"lifetime is a number of seconds such as 3600s, not {lifetime!r}.")
    made = principals.create_secret(call.estate, _own_or_admin(call), int(lifetime.removesuffix("s")))
    return {**_times(made), "secret": made["secret"]}


def _list_secrets(call: Call) -> dict[str, Any]:
    identifier = _own_or_admin(call)
    return {"secrets": [_times(stored) for _, stored in call.store.read.find(principals.SECRET, prefix=f"{identifier}/")]}


def _delete_secret(call: Call) -> Reply:
    key = f"{_own_or_admin(call)}/{call.path_parameters['secret']}"
    with call.store.transaction() as transaction:
        if not transaction.delete(principals.SECRET, key):
            raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Secret {call.path_parameters['secret']} does not exist.")
    return Reply(body={})


# Personal access tokens


def _info(stored: dict[str, Any]) -> dict[str, Any]:
    return {name: stored[name] for name in ("token_id", "creation_time", "expiry_time", "comment")}


def _create_token(call: Call) -> dict[str, Any]:
    lifetime = call.data.get("lifetime_seconds")
    now = call.estate.clock.now_ms()
    value = "dapi" + secrets.token_hex(16)
    stored = {
        "token_id": secrets.token_hex(32),
        "creation_time": now,
        "expiry_time": now + int(lifetime) * 1000 if lifetime else -1,
        "comment": call.data.get("comment", ""),
        "principal_id": call.caller.id,
        "workspace_id": call.workspace_id,
    }
    with call.store.transaction() as transaction:
        transaction.put(TOKEN, hashlib.sha256(value.encode()).hexdigest(), stored)
    return {"token_value": value, "token_info": _info(stored)}


def _list_tokens(call: Call) -> dict[str, Any]:
    mine = call.store.read.find(TOKEN, where={"principal_id": call.caller.id})
    return {"token_infos": [_info(stored) for _, stored in mine if stored["workspace_id"] == call.workspace_id]}


def _delete_token(call: Call) -> dict[str, Any]:
    wanted = call.required("token_id")
    with call.store.transaction() as transaction:
        for key, stored in transaction.find(TOKEN, where={"principal_id": call.caller.id}):
            if stored["token_id"] == wanted:
                transaction.delete(TOKEN, key)
                return {}
    raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Token with ID {wanted} does not exist.")


def _on_behalf_of(_: Call) -> dict[str, Any]:
    raise not_supported(
        "tokens on behalf of service principals: Azure Databricks has none; let the principal sign in by OAuth and make its own"
    )


# Workspace assignments


def _workspace(call: Call) -> int:
    workspace_id = int(call.path_parameters["workspace"])
    if call.estate.ask("arm.workspace", workspace_id=workspace_id) is None:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Workspace {workspace_id} does not exist in this account.")
    return workspace_id


def _assigned(call: Call, principal_id: str, levels: list[str]) -> dict[str, Any]:
    document = call.store.read.get(PRINCIPAL, principal_id) or call.store.read.get(principals.GROUP, principal_id)
    if document is None:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Principal {principal_id} does not exist in this account.")
    naming = {"user": "user_name", "service_principal": "service_principal_name"}.get(document.get("kind", ""), "group_name")
    name = document.get("name") or document["display_name"]
    return {
        "principal": {"principal_id": int(principal_id), "display_name": document["display_name"], naming: name},
        "permissions": levels,
    }


def _put_assignment(call: Call) -> dict[str, Any]:
    _account_admin(call)
    workspace_id, principal_id = _workspace(call), call.path_parameters["principal"]
    levels = list(call.data.get("permissions") or [])
    if unknown := set(levels) - _LEVELS:
        raise ApiError("INVALID_PARAMETER_VALUE", f"{sorted(unknown)[0]} is no workspace permission; there are USER and ADMIN.")
    answer = _assigned(call, principal_id, levels)
    with call.store.transaction() as transaction:
        transaction.put(principals.ASSIGNMENT, f"{workspace_id}/{principal_id}", {"permissions": levels})
    return answer


def _list_assignments(call: Call) -> dict[str, Any]:
    _account_admin(call)
    workspace_id = _workspace(call)
    found = call.store.read.find(principals.ASSIGNMENT, prefix=f"{workspace_id}/")
    return {"permission_assignments": [_assigned(call, key.partition("/")[2], each["permissions"]) for key, each in found]}


def _delete_assignment(call: Call) -> dict[str, Any]:
    _account_admin(call)
    with call.store.transaction() as transaction:
        transaction.delete(principals.ASSIGNMENT, f"{_workspace(call)}/{call.path_parameters['principal']}")
    return {}


def _route(method: str, path: str, handler: Handler, *faces: Face) -> Route:
    return Route(method=method, path=path, handler=handler, faces=faces, level="executed")


_SECRETS = "/api/2.0/accounts/{account}/servicePrincipals/{id}/credentials/secrets"
_PROXY = "/api/2.0/accounts/servicePrincipals/{id}/credentials/secrets"
_ASSIGNMENTS = "/api/2.0/accounts/{account}/workspaces/{workspace}/permissionassignments"

ROUTES = (
    _route("POST", _SECRETS, _create_secret, Face.ACCOUNT),
    _route("GET", _SECRETS, _list_secrets, Face.ACCOUNT),
    _route("DELETE", _SECRETS + "/{secret}", _delete_secret, Face.ACCOUNT),
    _route("POST", _PROXY, _create_secret, Face.WORKSPACE),
    _route("GET", _PROXY, _list_secrets, Face.WORKSPACE),
    _route("DELETE", _PROXY + "/{secret}", _delete_secret, Face.WORKSPACE),
    _route("POST", "/api/2.0/token/create", _create_token, Face.WORKSPACE),
    _route("GET", "/api/2.0/token/list", _list_tokens, Face.WORKSPACE),
    _route("POST", "/api/2.0/token/delete", _delete_token, Face.WORKSPACE),
    _route("POST", "/api/2.0/token-management/on-behalf-of/tokens", _on_behalf_of, Face.WORKSPACE),
    _route("GET", _ASSIGNMENTS, _list_assignments, Face.ACCOUNT),
    _route("PUT", _ASSIGNMENTS + "/principals/{principal}", _put_assignment, Face.ACCOUNT),
    _route("DELETE", _ASSIGNMENTS + "/principals/{principal}", _delete_assignment, Face.ACCOUNT),
)
