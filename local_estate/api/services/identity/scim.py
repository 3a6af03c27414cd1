"""SCIM 2.0: Users, ServicePrincipals, Groups and Me, of the account and as a workspace shows them.

A group made on a workspace face is workspace-local: no grant can name it. Of account objects a workspace's admins govern the
entitlements and the membership in the workspace; what they are (names, members, roles) is for account admins.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from local_estate.api.kernel.call import Call, Reply
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.identity import PRINCIPAL
from local_estate.api.kernel.routing import Face, Handler, Route
from local_estate.api.kernel.store import Document, Reader
from local_estate.api.services.identity import principals, queries
from local_estate.api.services.identity.oauth import current

_CORE = "urn:ietf:params:scim:schemas:core:2.0:"
_SCHEMA = {
    "Users": f"{_CORE}User",
    "Groups": f"{_CORE}Group",
    "ServicePrincipals": "urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal",
}
_KIND = {"Users": "user", "ServicePrincipals": "service_principal"}
ENTITLEMENTS = {"allow-cluster-create", "allow-instance-pool-create", "databricks-sql-access", "workspace-access", "workspace-consume"}


_ACCOUNT_ON_WORKSPACE = "/api/2.0/account/scim/v2"


def _home(call: Call) -> int | None:
    """The workspace whose view is asked for; None is the account's, which workspace faces serve too under a root of its own."""
    return None if call.path.startswith(_ACCOUNT_ON_WORKSPACE) else call.workspace_id


def _is_account_admin(call: Call) -> bool:
    return principals.is_account_admin(call.estate, principal_id=call.caller.id)


def _require_admin(call: Call) -> None:
    """Account admins manage identities everywhere, workspace admins in their workspace's view."""
    if _is_account_admin(call):
        return
    home = _home(call)
    if home is not None and principals.is_workspace_admin(call.estate, principal_id=call.caller.id, workspace_id=home):
        return
    raise ApiError("PERMISSION_DENIED", f"Only admins can manage principals; {call.caller.name} is none.")


def _require_right_to_change(call: Call, before: Document, after: Document) -> None:
    """Roles, and anything but entitlements of an account object, are an account admin's to change."""
    changed = {name for name in {*before, *after} if (before.get(name) or None) != (after.get(name) or None)}
    local = "members" in after and after["workspace_id"] is not None
    reserved = changed & {"roles"} if local else changed - {"entitlements"}
    if reserved and not _is_account_admin(call):
        raise ApiError(
            "PERMISSION_DENIED",
            f"Only account admins can change {', '.join(sorted(reserved))} of {after['display_name']}; {call.caller.name} is none.",
        )


def _render(reader: Reader, kind: str, document: Document) -> dict[str, Any]:
    common = {
        "schemas": [_SCHEMA[kind]],
        "id": document["id"],
        "displayName": document["display_name"],
        "entitlements": [{"value": value} for value in document.get("entitlements", [])],
        "roles": [{"value": value} for value in document.get("roles", [])],
        "groups": [
            {"value": each["id"], "display": each["display_name"], "$ref": f"Groups/{each['id']}", "type": "direct"}
            for each in principals.parents(reader, document["id"])
            if document["id"] in each["members"]
        ],
        "externalId": document.get("external_id"),
    }
    if kind == "Groups":
        local = document["workspace_id"] is not None
        common["members"] = [_member(reader, member) for member in document["members"]]
        common["meta"] = {"resourceType": "WorkspaceGroup" if local else "Group"}
    elif kind == "Users":
        common |= {"userName": document["name"], "active": document["active"], "emails": [{"value": document["name"], "primary": True}]}
    else:
        common |= {"applicationId": document["name"], "active": document["active"]}
    return {name: value for name, value in common.items() if value is not None and value != []}


def _member(reader: Reader, member_id: str) -> dict[str, str]:
    document = reader.get(PRINCIPAL, member_id)
    if document is not None:
        kind = "Users" if document["kind"] == "user" else "ServicePrincipals"
        return {"value": member_id, "display": document["display_name"], "$ref": f"{kind}/{member_id}"}
    group = reader.get(principals.GROUP, member_id) or {"display_name": ""}
    return {"value": member_id, "display": group["display_name"], "$ref": f"Groups/{member_id}"}


def _visible(call: Call, kind: str) -> Iterator[Document]:
    """The account shows its own; a workspace shows what is assigned to it (directly or by a group) and its local groups."""
    for _, document in call.store.read.find(principals.GROUP if kind == "Groups" else PRINCIPAL):
        if _shows(call, kind, document):
            yield document


def _shows(call: Call, kind: str, document: Document) -> bool:
    home = _home(call)
    if kind != "Groups":
        return bool(document["kind"] == _KIND[kind]) and (home is None or _belongs(call, document["id"], home))
    if document["workspace_id"] is not None:
        return bool(document["workspace_id"] == home)
    return home is None or _belongs(call, document["id"], home)


def _belongs(call: Call, principal_id: str, home: int) -> bool:
    if principals.permissions(call.estate, principal_id, home):
        return True
    return principals.is_workspace_admin(call.estate, principal_id=principal_id, workspace_id=home)


def _list(kind: str) -> Callable[[Call], dict[str, Any]]:
    return lambda call: queries.listed(call, [_render(call.store.read, kind, document) for document in _visible(call, kind)])


def _find(call: Call, kind: str) -> Document:
    identifier = call.path_parameters["id"]
    document = call.store.read.get(principals.GROUP if kind == "Groups" else PRINCIPAL, identifier)
    if document is None or not _shows(call, kind, document):
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"{kind[:-1]} with id {identifier} not found.", 404)
    return document


def _get(kind: str) -> Callable[[Call], dict[str, Any]]:
    return lambda call: _render(call.store.read, kind, _find(call, kind))


def _values(items: Any) -> list[str]:
    """The `value`s of a SCIM list, in order, without the blank entries clients send."""
    return list(dict.fromkeys(str(item["value"]) for item in items or [] if isinstance(item, dict) and item.get("value")))


def _check_entitlements(values: list[str]) -> None:
    if unknown := set(values) - ENTITLEMENTS:
        raise ApiError("invalidValue", f"Unknown entitlement {sorted(unknown)[0]}; there are {', '.join(sorted(ENTITLEMENTS))}.", 400)


def _from_body(kind: str, body: dict[str, Any], before: Document) -> Document:
    """The stored document after a POST or PUT with `body`."""
    entitlements = _values(body.get("entitlements"))
    _check_entitlements(entitlements)
    document = {**before, "entitlements": entitlements, "external_id": body.get("externalId")}
    if kind == "Groups":
        if not body.get("displayName"):
            raise ApiError("invalidValue", "Attribute displayName is required for a group.", 400)
        return {**document, "display_name": body["displayName"], "members": _values(body.get("members"))}
    document["active"] = bool(body.get("active", True))
    document["roles"] = _values(body.get("roles")) if "roles" in body else before.get("roles", [])
    attribute = "userName" if kind == "Users" else "applicationId"
    name = body.get(attribute) or before.get("name")
    if kind == "Users" and "@" not in str(name):
        raise ApiError("invalidValue", f"userName must be an e-mail address, not {name!r}.", 400)
    # Tokens and grants name a principal by it, so nobody may take another's.
    if "name" in before and name != before["name"]:
        raise ApiError("invalidValue", f"{attribute} of {before['name']} cannot be changed; create another principal.", 400)
    name = str(name or uuid.uuid4())
    return {**document, "name": name, "display_name": body.get("displayName") or name}


def _create(kind: str) -> Callable[[Call], Reply]:
    def handler(call: Call) -> Reply:
        _require_admin(call)
        home = _home(call)
        with call.store.transaction() as transaction:
            identifier = principals.new_id(transaction)
            if kind == "Groups":
                document = _from_body(kind, call.json, {"id": identifier, "workspace_id": home})
                _check_group(transaction, document)
                transaction.put(principals.GROUP, identifier, document)
            else:
                document = _from_body(kind, call.json, {"id": identifier, "kind": _KIND[kind]})
                _require_right_to_change(call, {**document, "roles": []}, document)
                document |= _in_entra(call, transaction, kind, document)
                if existing := principals.named(transaction, document["name"]):
                    raise ApiError("uniqueness", _duplicate(call, kind, existing["name"]), 409)
                transaction.put(PRINCIPAL, identifier, document)
                if home is not None:
                    transaction.put(principals.ASSIGNMENT, f"{home}/{identifier}", {"permissions": ["USER"]})
        return Reply(status=201, body=_render(call.store.read, kind, document))

    return handler


def _in_entra(call: Call, reader: Reader, kind: str, document: Document) -> Document:
    """A service principal brought with its application id and, as externalId, its object id lives in Entra ID, where it has its roles."""
    object_id = document.get("external_id")
    if kind != "ServicePrincipals" or not object_id or not call.json.get("applicationId"):
        return {}
    if not _is_account_admin(call):
        raise ApiError("PERMISSION_DENIED", f"Only account admins can bring a service principal of Entra ID; {call.caller.name} is none.")
    if reader.first(PRINCIPAL, {"object_id": object_id}) is not None:
        raise ApiError("uniqueness", f"Service principal with object ID {object_id} already exists.", 409)
    return {"object_id": object_id}


def _duplicate(call: Call, kind: str, name: str) -> str:
    if kind == "ServicePrincipals":
        return f"Service principal with application ID {name} already exists."
    if _home(call) is None:
        return f"User with email {name} already exists in this account"
    return f"User with username {name} already exists."


def _check_group(reader: Reader, document: Document) -> None:
    """A name of its own among the account's or the workspace's groups, members that exist, and no group within itself."""
    for _, other in reader.find(principals.GROUP):
        same_name = other["display_name"].lower() == document["display_name"].lower()
        if same_name and other["workspace_id"] == document["workspace_id"] and other["id"] != document["id"]:
            raise ApiError("uniqueness", f"Group with name {document['display_name']} already exists.", 409)
    around = {document["id"], *(each["id"] for each in principals.parents(reader, document["id"]))}
    for member in document["members"]:
        if reader.get(PRINCIPAL, member) is None and reader.get(principals.GROUP, member) is None:
            raise ApiError("invalidValue", f"There is no principal with id {member} to be a member.", 404)
        if member in around:
            raise ApiError("invalidValue", f"Group {document['display_name']} would contain itself through member {member}.", 400)


def _change(call: Call, kind: str, change: Callable[[Document], Document]) -> Document:
    """Read within the transaction: of two members added at once both must stay."""
    _require_admin(call)
    with call.store.transaction() as transaction:
        before = _find(call, kind)
        document = change(before)
        _require_right_to_change(call, before, document)
        if kind == "Groups":
            _check_group(transaction, document)
        transaction.put(principals.GROUP if kind == "Groups" else PRINCIPAL, document["id"], document)
    return document


def _replace(kind: str) -> Callable[[Call], dict[str, Any]]:
    return lambda call: _render(
        call.store.read, kind, _change(call, kind, lambda before: {**before, **_from_body(kind, call.json, before)})
    )


def _delete(kind: str) -> Callable[[Call], Reply]:
    def handler(call: Call) -> Reply:
        _require_admin(call)
        with call.store.transaction() as transaction:
            document, home = _find(call, kind), _home(call)
            if home is not None and document.get("workspace_id") is None:
                # An account object only leaves the workspace.
                transaction.delete(principals.ASSIGNMENT, f"{home}/{document['id']}")
            else:
                principals.forget(transaction, document["id"])
        return Reply(status=204, body=b"")

    return handler


_PATHS = {"displayname": "display_name", "active": "active", "externalid": "external_id"}
_LISTS = {"members", "entitlements", "roles"}
_ONE_VALUE = re.compile(r'(\w+)\[value eq "([^"]+)"\]')


def _patch(kind: str) -> Callable[[Call], dict[str, Any]]:
    def patched(call: Call, before: Document) -> Document:
        document = dict(before)
        for operation in call.json.get("Operations", []):
            _apply(document, operation)
        if not document["display_name"]:
            raise ApiError("invalidValue", "Attribute displayName cannot be blank.", 400)
        return document

    return lambda call: _render(call.store.read, kind, _change(call, kind, lambda before: patched(call, before)))


def _apply(document: Document, operation: dict[str, Any]) -> None:
    verb, path, value = str(operation.get("op", "")).lower(), str(operation.get("path") or ""), operation.get("value")
    if verb not in {"add", "remove", "replace"}:
        raise ApiError("invalidValue", f"The operation {verb!r} is none of add, remove, replace.", 400)
    if not path and isinstance(value, dict):
        for name, each in value.items():
            _apply(document, {"op": verb, "path": name, "value": each})
        return
    if found := _ONE_VALUE.fullmatch(path):
        path, value = found[1], [{"value": found[2]}]
    if path in _LISTS:
        before = document.get(path, [])
        if verb == "remove" and not before:
            raise ApiError("invalidPath", f"No such attribute with the name : {path} in the current resource", 400)
        values = _values(value if isinstance(value, list) else [value])
        if path == "entitlements" and verb != "remove":
            _check_entitlements(values)
        if verb == "replace":
            document[path] = values
        elif verb == "add":
            document[path] = list(dict.fromkeys([*before, *values]))
        else:
            document[path] = [each for each in before if value is not None and each not in values]
        return
    if path.lower() not in _PATHS:
        raise ApiError("invalidPath", f"No such attribute with the name : {path} in the current resource", 400)
    if path.lower() == "active" and not isinstance(value, bool):
        if str(value).lower() not in ("true", "false"):  # Entra ID's provisioning sends "True" and "False"
            raise ApiError("invalidValue", f"active must be true or false, not {value!r}.", 400)
        value = str(value).lower() == "true"
    document[_PATHS[path.lower()]] = None if verb == "remove" else value


def _me(call: Call) -> Reply:
    document = current(call)
    kind = "Users" if document["kind"] == "user" else "ServicePrincipals"
    body = _render(call.store.read, kind, document)
    if kind == "ServicePrincipals":
        body["userName"] = document["name"]
    return Reply(body=body, headers={"x-databricks-org-id": str(call.workspace_id)} if call.workspace_id else {})


def _routes() -> Iterator[Route]:
    verbs: dict[str, Callable[[str], Callable[[Call], Any]]] = {"GET": _get, "PUT": _replace, "PATCH": _patch, "DELETE": _delete}
    roots = (
        ("/api/2.0/accounts/{account}/scim/v2", (Face.ACCOUNT,)),
        ("/api/2.0/preview/scim/v2", (Face.WORKSPACE,)),
        (_ACCOUNT_ON_WORKSPACE, (Face.WORKSPACE,)),
    )
    for root, faces in roots:

        def route(method: str, path: str, handler: Handler, root: str = root, faces: tuple[Face, ...] = faces) -> Route:
            handler = principals.of_this_account(handler) if "{account}" in root else handler
            return Route(method=method, path=f"{root}/{path}", handler=handler, faces=faces, level="executed", errors="scim")

        for kind in _SCHEMA:
            yield route("GET", kind, _list(kind))
            yield route("POST", kind, _create(kind))
            for method, make in verbs.items():
                yield route(method, f"{kind}/{{id}}", make(kind))
        yield route("GET", "Me", _me)


ROUTES = tuple(_routes())
