"""Grants: what was given on a securable, what that amounts to below it, and the `authorize` question Spark asks."""

from __future__ import annotations

from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.routing import Route
from local_estate.api.kernel.store import Document
from local_estate.api.services.unity_catalog.authorization import Authority, Caller, authorize
from local_estate.api.services.unity_catalog.definers import reached
from local_estate.api.services.unity_catalog.requests import UC, grantee, reading, writing
from local_estate.api.services.unity_catalog.securables import (
    GRANTS,
    PRIVILEGES,
    Securable,
    privilege_named,
    require_applicable,
)


def _named(call: Call) -> tuple[Securable, str]:
    securable = Securable.named(call.path_parameters["securable_type"])
    name = call.path_parameters["full_name"].lower()
    return securable, name


def _assignments(grants: dict[str, list[str]], principal: str = "") -> list[Document]:
    return [{"principal": who, "privileges": sorted(held)} for who, held in sorted(grants.items()) if held and principal in ("", who)]


def _require_reader(authority: Authority, securable: Securable, name: str) -> Document:
    if securable is Securable.METASTORE:
        return authority.securables.get(securable, name)
    return authority.require_visible(securable, name)


def _get(call: Call) -> Document:
    authority = reading(call)
    document = _require_reader(authority, *_named(call))
    return {"privilege_assignments": _assignments(authority.securables.grants(document), str(call.data.get("principal", "")))}


def _update(call: Call) -> Document:
    with writing(call) as (authority, securables):
        securable, name = _named(call)
        document = authority.require_manage(securable, name)
        grants = {who: set(held) for who, held in securables.grants(document).items()}
        for change in call.json.get("changes") or ():
            _apply(call, grants, change, securable, document["full_name"])
        kept = {who: sorted(held) for who, held in grants.items() if held}
        securables.transaction.put(GRANTS, document["uid"], kept)
    return {"privilege_assignments": _assignments(kept)}


def _apply(call: Call, grants: dict[str, set[str]], change: dict[str, Any], securable: Securable, full_name: str) -> None:
    given = change.get("principal")
    add, remove = ({privilege_named(str(word)) for word in change.get(side) or ()} for side in ("add", "remove"))
    if both := sorted(add & remove):
        raise ApiError("INVALID_PARAMETER_VALUE", f"Privilege {', '.join(both)} is both added to and removed from principal {given}.")
    # What a principal that has since been deleted still holds must stay removable.
    principal = str(given) if given in grants and not add else grantee(call, given)
    for privilege in sorted(add):
        require_applicable(privilege, securable, full_name)
    held = grants.setdefault(principal, set())
    if "ALL_PRIVILEGES" in remove:
        held.clear()
    held -= remove
    held |= add


def _effective(call: Call) -> Document:
    """What is granted on the securable and above it, as far as it applies here, and where each part comes from."""
    authority = reading(call)
    securable, name = _named(call)
    document = _require_reader(authority, securable, name)
    wanted = str(call.data.get("principal", ""))
    effective: dict[str, list[Document]] = {}
    for level in authority.securables.ancestors(document):
        for who, held in authority.securables.grants(level).items():
            inherited = {} if level is document else {"inherited_from_type": level["type"], "inherited_from_name": level["full_name"]}
            useful = [privilege for privilege in held if privilege in PRIVILEGES[securable]]
            if useful and wanted in ("", who):
                effective.setdefault(who, []).extend({"privilege": privilege, **inherited} for privilege in sorted(useful))
    return {"privilege_assignments": [{"principal": who, "privileges": held} for who, held in sorted(effective.items())]}


def _authorize(call: Call) -> Document:
    checks = call.required("checks")
    if not isinstance(checks, list) or not all(isinstance(check, dict) for check in checks):
        raise ApiError("INVALID_PARAMETER_VALUE", "checks must be a list of objects.")
    return {"results": [_answer(call, check) for check in checks]}


def _answer(call: Call, check: dict[str, Any]) -> dict[str, Any]:
    """`through`: by which views and functions the caller reached the securable. The owner of the last one is then who is asked about."""
    workspace_id = call.workspace_id or 0
    if not check.get("through"):
        return authorize(call.estate, principal_id=call.caller.id, workspace_id=workspace_id, checks=[check])[0]
    try:
        reader = reached(call.estate, reading(call), check["through"], str(check.get("full_name")))
        reader.require(
            privilege_named(str(check.get("privilege"))), Securable.named(str(check.get("securable_type"))), str(check.get("full_name"))
        )
    except ApiError as error:
        return {"allowed": False, "error_code": error.code, "message": error.message}
    return {"allowed": True}


def _identity(call: Call) -> Document:
    """Whom `current_user()` names and which groups `is_account_group_member()` and `is_member()` know; nested groups included."""
    caller = Caller.of(call.estate, call.caller.id, call.workspace_id)
    groups = sorted(caller.identities - {caller.name})
    admin = call.estate.ask("identity.is_workspace_admin", principal_id=call.caller.id, workspace_id=call.workspace_id)
    return {"user_name": caller.name, "account_groups": groups, "workspace_groups": [*groups, "users", *(["admins"] if admin else [])]}


ROUTES = (
    Route(method="GET", path=f"{UC}/permissions/{{securable_type}}/{{full_name}}", handler=_get, level="executed"),
    Route(method="PATCH", path=f"{UC}/permissions/{{securable_type}}/{{full_name}}", handler=_update, level="executed"),
    Route(method="GET", path=f"{UC}/effective-permissions/{{securable_type}}/{{full_name}}", handler=_effective, level="executed"),
    Route(method="POST", path="/api/estate/1.0/authorize", handler=_authorize, level="executed"),
    Route(method="GET", path="/api/estate/1.0/identity", handler=_identity, level="executed"),
)
