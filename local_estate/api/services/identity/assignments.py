"""Who may use which workspace, as USER or ADMIN: by account admins for any workspace, by a workspace's admins for theirs."""

from __future__ import annotations

from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.identity import PRINCIPAL
from local_estate.api.kernel.routing import Face, Handler, Route
from local_estate.api.services.identity import principals

_LEVELS = {"USER": "Can use the workspace", "ADMIN": "Administers the workspace"}
_NAMING = {"user": "user_name", "service_principal": "service_principal_name"}


def _workspace(call: Call) -> int:
    """The workspace in the path or, on its own face, itself. Raises ApiError when the caller may not govern it."""
    if call.workspace_id is not None:
        principals.require_workspace_admin(call)
        return call.workspace_id
    principals.require_account_admin(call)
    text = call.path_parameters["workspace"]
    if not text.isdecimal() or call.estate.ask("arm.workspace", workspace_id=int(text)) is None:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Workspace {text} does not exist in this account.")
    return int(text)


def _assigned(call: Call, principal_id: str, levels: list[str]) -> dict[str, Any]:
    document = call.store.read.get(PRINCIPAL, principal_id) or call.store.read.get(principals.GROUP, principal_id)
    if document is None or document.get("workspace_id") is not None:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Principal {principal_id} does not exist in this account.")
    name = document.get("name") or document["display_name"]
    return {
        "principal": {
            "principal_id": int(principal_id),
            "display_name": document["display_name"],
            _NAMING.get(document.get("kind", ""), "group_name"): name,
        },
        "permissions": levels,
    }


def _levels(wanted: Any) -> list[str]:
    """ADMIN includes USER, so of both ADMIN stays."""
    if unknown := set(wanted or []) - set(_LEVELS):
        raise ApiError("INVALID_PARAMETER_VALUE", f"{sorted(unknown)[0]} is no workspace permission; there are USER and ADMIN.")
    return ["ADMIN"] if "ADMIN" in (wanted or []) else list(dict.fromkeys(wanted or []))


def _keep(call: Call, workspace_id: int, principal_id: str, levels: list[str]) -> dict[str, Any]:
    answer = _assigned(call, principal_id, levels)
    key = f"{workspace_id}/{principal_id}"
    with call.store.transaction() as transaction:
        if levels:
            transaction.put(principals.ASSIGNMENT, key, {"permissions": levels})
        else:
            transaction.delete(principals.ASSIGNMENT, key)
    return answer


def _put(call: Call) -> dict[str, Any]:
    return _keep(call, _workspace(call), call.path_parameters["principal"], _levels(call.data.get("permissions")))


def _list(call: Call) -> dict[str, Any]:
    found = call.store.read.find(principals.ASSIGNMENT, prefix=f"{_workspace(call)}/")
    return {"permission_assignments": [_assigned(call, key.partition("/")[2], each["permissions"]) for key, each in found]}


def _delete(call: Call) -> dict[str, Any]:
    key = f"{_workspace(call)}/{call.path_parameters['principal']}"
    with call.store.transaction() as transaction:
        transaction.delete(principals.ASSIGNMENT, key)
    return {}


def _offered(call: Call) -> dict[str, Any]:
    _workspace(call)
    return {"permissions": [{"permission_level": level, "description": text} for level, text in _LEVELS.items()]}


def _post(call: Call) -> dict[str, Any]:
    """By name, several at once; what cannot be assigned is reported beside the others with status 200."""
    workspace_id = _workspace(call)
    answers = []
    for item in call.required("permission_assignments"):
        naming = next((each for each in (*_NAMING.values(), "group_name") if item.get(each)), None)
        try:
            answers.append(_keep(call, workspace_id, _identified(call, naming, item), _levels(item.get("permissions"))))
        except ApiError as error:
            answers.append({"principal": {naming: item[naming]} if naming else {}, "error": {"code": error.code, "message": error.message}})
    return {"permission_assignments": answers}


def _identified(call: Call, naming: str | None, item: dict[str, Any]) -> str:
    if naming is None:
        raise ApiError("INVALID_PARAMETER_VALUE", "Each assignment names a user_name, service_principal_name or group_name.")
    name = str(item[naming])
    document = principals.group(call.estate, name=name) if naming == "group_name" else principals.named(call.store.read, name)
    if document is None or (naming != "group_name" and _NAMING[document["kind"]] != naming):
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Principal {name} does not exist in this account.")
    return str(document["id"])


def _route(method: str, path: str, handler: Handler) -> Route:
    on_account = "{account}" in path
    return Route(
        method=method,
        path=path,
        handler=principals.of_this_account(handler) if on_account else handler,
        faces=(Face.ACCOUNT if on_account else Face.WORKSPACE,),
        level="executed",
    )


_ACCOUNT = "/api/2.0/accounts/{account}/workspaces/{workspace}/permissionassignments"
_WORKSPACE = "/api/2.0/preview/permissionassignments"

ROUTES = (
    _route("GET", f"{_ACCOUNT}/permissions", _offered),
    _route("POST", _WORKSPACE, _post),
    *(
        _route(method, root + rest, handler)
        for root in (_ACCOUNT, _WORKSPACE)
        for method, rest, handler in (
            ("GET", "", _list),
            ("PUT", "/principals/{principal}", _put),
            ("DELETE", "/principals/{principal}", _delete),
        )
    ),
)
