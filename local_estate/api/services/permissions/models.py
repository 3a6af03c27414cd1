"""The stored ACLs and the rules over them. An ACL outlives its object until the object's service says `permissions.deleted`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document, Reader
from local_estate.api.services.permissions.kinds import OWNER, SINGLETONS, Kind, kind_of

ACL = "permissions.acl"  # documents: {"entries": {"user_name|x": level}, "created_by": id} by `<workspace>|<kind>|<object id>`
_PRINCIPALS = ("user_name", "group_name", "service_principal_name")
_SHOWN = {"user_name": "UserName", "group_name": "GroupName", "service_principal_name": "ServicePrincipalName"}
# What each level is called in refusals.
_WORDS = {"CAN_VIEW": "View", "CAN_MANAGE_RUN": "Manage Run", "CAN_MANAGE": "Admin", OWNER: "Owner"}


def key_of(workspace_id: int, kind: Kind, object_id: str) -> str:
    return f"{workspace_id}|{kind.name}|{object_id}"


def _principal_key(estate: Estate, principal_id: str) -> str | None:
    found = estate.ask("identity.principal", id=principal_id)
    if found is None:
        return None
    return f"{'user_name' if found['kind'] == 'user' else 'service_principal_name'}|{found['name']}"


def created(estate: Estate, *, workspace_id: int, object_type: str, object_id: str, owner_id: str) -> None:
    """The question `permissions.created`: an object with its creator as owner or manager. Repeating it changes nothing."""
    kind = kind_of(object_type, object_id)
    creator = _principal_key(estate, owner_id) if kind.created_with else None
    with estate.store.transaction() as transaction:
        if transaction.get(ACL, key_of(workspace_id, kind, object_id)) is None:
            entries = {creator: kind.created_with} if creator else {}
            transaction.put(ACL, key_of(workspace_id, kind, object_id), {"entries": entries, "created_by": owner_id})


def deleted(estate: Estate, *, workspace_id: int, object_type: str, object_id: str) -> None:
    """The question `permissions.deleted`."""
    with estate.store.transaction() as transaction:
        transaction.delete(ACL, key_of(workspace_id, kind_of(object_type, object_id), object_id))


def stored(reader: Reader, workspace_id: int, kind: Kind, object_id: str) -> Document:
    """Raises ApiError RESOURCE_DOES_NOT_EXIST for an object that never was."""
    document = reader.get(ACL, key_of(workspace_id, kind, object_id))
    if document is None and (kind.name, object_id) in SINGLETONS:
        return {"entries": {"group_name|users": "CAN_USE"}}
    if document is None:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"{kind.object_type} {object_id} does not exist.")
    return document


def level(estate: Estate, *, principal_id: str, workspace_id: int, object_type: str, object_id: str) -> str | None:
    """The question `permissions.level`: the highest level by the principal itself, its groups, or as workspace admin."""
    kind = kind_of(object_type, object_id)
    document = estate.store.read.get(ACL, key_of(workspace_id, kind, object_id)) or {"entries": {}}
    keys = {f"group_name|{group}" for group in estate.ask("identity.groups_of", principal_id=principal_id)} | {"group_name|users"}
    own = _principal_key(estate, principal_id)
    held = [granted for key, granted in document["entries"].items() if key in keys or key == own]
    if estate.ask("identity.is_workspace_admin", principal_id=principal_id, workspace_id=workspace_id):
        held.append(kind.manage)
    return kind.highest(held)


def require(estate: Estate, *, principal_id: str, workspace_id: int, object_type: str, object_id: str, level: str) -> None:
    """The question `permissions.require`. Raises ApiError PERMISSION_DENIED naming the caller, the levels that would do, and the object."""
    kind = kind_of(object_type, object_id)
    held = _level(estate, principal_id, workspace_id, object_type, object_id)
    if held is not None and kind.rank(held) >= kind.rank(level):
        return
    principal = estate.ask("identity.principal", id=principal_id) or {"name": principal_id}
    enough = [_WORDS.get(each) or each.removeprefix("CAN_").replace("_", " ").title() for each in kind.levels[kind.rank(level) :]]
    listed = ", ".join(enough[:-1]) + f" or {enough[-1]}" if len(enough) > 1 else enough[0]
    raise ApiError(
        "PERMISSION_DENIED", f"{principal['name']} does not have {listed} permissions on {kind.word or kind.object_type} {object_id}"
    )


def _level(estate: Estate, principal_id: str, workspace_id: int, object_type: str, object_id: str) -> str | None:
    return level(estate, principal_id=principal_id, workspace_id=workspace_id, object_type=object_type, object_id=object_id)


def require_manage(estate: Estate, *, principal_id: str, workspace_id: int, kind: Kind, object_id: str) -> None:
    """Reading and changing an ACL takes CAN_MANAGE. Raises ApiError PERMISSION_DENIED."""
    held = _level(estate, principal_id, workspace_id, kind.name, object_id)
    is_admin = estate.ask("identity.is_workspace_admin", principal_id=principal_id, workspace_id=workspace_id)
    # Kinds without CAN_MANAGE, such as cluster policies, are the admins' to share.
    if is_admin or (held is not None and "CAN_MANAGE" in kind.levels and kind.rank(held) >= kind.rank("CAN_MANAGE")):
        return
    principal = estate.ask("identity.principal", id=principal_id) or {"name": principal_id}
    shown = f"ElasticJobId({object_id})" if kind.name == "jobs" else object_id
    raise ApiError("PERMISSION_DENIED", f"{principal['name']} does not have Manage permissions on {shown}")


def entries_of(estate: Estate, kind: Kind, access_control_list: Any) -> dict[str, str]:
    """The request's assignments as `{"user_name|x": level}`. Raises ApiError for an unknown level or principal."""
    if not isinstance(access_control_list, Sequence) or isinstance(access_control_list, str):
        raise ApiError("INVALID_PARAMETER_VALUE", "access_control_list must be a list")
    found: dict[str, str] = {}
    for item in access_control_list:
        named = [field for field in _PRINCIPALS if item.get(field)]
        if len(named) != 1:
            raise ApiError("INVALID_PARAMETER_VALUE", f"Each access control item needs exactly one of {', '.join(_PRINCIPALS)}.")
        given = item.get("permission_level")
        if given not in kind.levels:
            raise ApiError(
                "INVALID_PARAMETER_VALUE",
                f"{given!r} is not a permission level of {kind.object_type}; its levels are {', '.join(kind.levels)}.",
            )
        key = f"{named[0]}|{_known(estate, named[0], str(item[named[0]]))}"
        if given == OWNER and named[0] == "group_name":
            raise ApiError("INVALID_PARAMETER_VALUE", f"Groups cannot own a {kind.word or kind.object_type}.")
        found[key] = max(found.get(key, given), given, key=kind.rank)
    return found


def _known(estate: Estate, field: str, name: str) -> str:
    if field == "group_name":
        if name in ("admins", "users"):
            return name
        canonical = estate.ask("identity.grantee", name=name)
        if canonical is not None and estate.ask("identity.principal", name=name) is None:
            return str(canonical)
    else:
        principal = estate.ask("identity.principal", name=name)
        if principal is not None and principal["kind"] == ("user" if field == "user_name" else "service_principal"):
            return str(principal["name"])
    raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Principal: {_SHOWN[field]}({name}) does not exist")


def replace(estate: Estate, *, workspace_id: int, kind: Kind, object_id: str, entries: Mapping[str, str]) -> Document:
    """PUT. Raises ApiError INVALID_PARAMETER_VALUE unless a job or pipeline ends with exactly one owner."""
    with estate.store.transaction() as transaction:
        before = stored(transaction, workspace_id, kind, object_id)
        owners = [key for key, granted in entries.items() if granted == OWNER]
        if kind.single_owner and len(owners) != 1:
            raise ApiError("INVALID_PARAMETER_VALUE", f"The {kind.word or kind.object_type} must have exactly one owner.")
        # A warehouse keeps its owner when the request names none.
        kept = {} if owners or OWNER not in kind.levels else {key: OWNER for key, held in before["entries"].items() if held == OWNER}
        document = {**before, "entries": {**entries, **kept}}
        transaction.put(ACL, key_of(workspace_id, kind, object_id), document)
    return document


def update(estate: Estate, *, workspace_id: int, kind: Kind, object_id: str, entries: Mapping[str, str]) -> Document:
    """PATCH: adds to what is there; one principal holds one direct level."""
    with estate.store.transaction() as transaction:
        before = stored(transaction, workspace_id, kind, object_id)
        after = {**before["entries"], **entries}
        if kind.single_owner and sum(granted == OWNER for granted in after.values()) != 1:
            raise ApiError("INVALID_PARAMETER_VALUE", f"The {kind.word or kind.object_type} must have exactly one owner.")
        document = {**before, "entries": after}
        transaction.put(ACL, key_of(workspace_id, kind, object_id), document)
    return document


def assign(estate: Estate, *, workspace_id: int, object_type: str, object_id: str, access_control_list: Any) -> None:
    """The question `permissions.assign`: the ACL an object is created with, on top of its creator's."""
    kind = kind_of(object_type, object_id)
    entries = entries_of(estate, kind, access_control_list)
    with estate.store.transaction() as transaction:
        before = stored(transaction, workspace_id, kind, object_id)["entries"]
        named_owner = any(granted == OWNER for granted in entries.values())
        kept = {key: granted for key, granted in before.items() if not (named_owner and granted == OWNER)}
        transaction.put(ACL, key_of(workspace_id, kind, object_id), {"entries": {**kept, **entries}})


def check(estate: Estate, *, object_type: str, access_control_list: Any) -> None:
    """The question `permissions.check`: would `assign` accept it? Raises ApiError."""
    entries_of(estate, kind_of(object_type), access_control_list)


def wire(kind: Kind, object_id: str, document: Document) -> Document:
    """The reply of GET, PUT and PATCH."""
    listed: list[dict[str, Any]] = []
    for key, granted in sorted(document["entries"].items()):
        field, _, principal = key.partition("|")
        listed.append({field: principal, "all_permissions": [{"permission_level": granted, "inherited": False}]})
    inherited = {"permission_level": kind.manage, "inherited": True, "inherited_from_object": [f"/{kind.name}/"]}
    admins = next((item for item in listed if item.get("group_name") == "admins"), None)
    if admins is None:
        listed.append({"group_name": "admins", "all_permissions": [inherited]})
    else:
        admins["all_permissions"].append(inherited)
    return {"object_id": f"/{kind.name}/{object_id}", "object_type": kind.object_type, "access_control_list": listed}
