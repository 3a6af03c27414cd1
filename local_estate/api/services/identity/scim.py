"""SCIM 2.0: Users, ServicePrincipals, Groups and Me, of the account and as a workspace shows them.

`attributes` never hides an id (clients drop objects without one). A group made on a workspace face is workspace-local: no grant
can name it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from local_estate.api.kernel.call import Call, Reply
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.identity import PRINCIPAL
from local_estate.api.kernel.routing import Face, Route
from local_estate.api.kernel.store import Document, Reader
from local_estate.api.services.identity import principals
from local_estate.api.services.identity.oauth import current

_CORE = "urn:ietf:params:scim:schemas:core:2.0:"
_SCHEMA = {
    "Users": f"{_CORE}User",
    "Groups": f"{_CORE}Group",
    "ServicePrincipals": "urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal",
}
_KIND = {"Users": "user", "ServicePrincipals": "service_principal"}
ENTITLEMENTS = {"allow-cluster-create", "allow-instance-pool-create", "databricks-sql-access", "workspace-access", "workspace-consume"}


def _require_admin(call: Call) -> None:
    """Account admins manage identities everywhere, workspace admins on their workspace's face."""
    if principals.is_account_admin(call.estate, principal_id=call.caller.id):
        return
    if call.workspace_id is not None and principals.is_workspace_admin(
        call.estate, principal_id=call.caller.id, workspace_id=call.workspace_id
    ):
        return
    raise ApiError("PERMISSION_DENIED", f"Only admins can manage principals; {call.caller.name} is none.")


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
    reader = call.store.read
    for _, document in reader.find(principals.GROUP if kind == "Groups" else PRINCIPAL):
        if kind != "Groups" and document["kind"] != _KIND[kind]:
            continue
        if kind == "Groups" and document["workspace_id"] not in (None, call.workspace_id):
            continue
        local = kind == "Groups" and document["workspace_id"] is not None
        if call.workspace_id is None or local or _belongs(call, document["id"]):
            yield document


def _belongs(call: Call, principal_id: str) -> bool:
    assert call.workspace_id is not None  # noqa: S101  only asked on a workspace face
    if principals.permissions(call.estate, principal_id, call.workspace_id):
        return True
    return principals.is_workspace_admin(call.estate, principal_id=principal_id, workspace_id=call.workspace_id)


_FILTER = re.compile(r'\s*(userName|displayName|applicationId|externalId|id)\s+(eq|co|sw)\s+"([^"]*)"\s*', re.IGNORECASE)


def _matches(expression: str) -> Callable[[dict[str, Any]], bool]:
    found = _FILTER.fullmatch(expression)
    if found is None:
        raise ApiError("invalidFilter", f'The filter {expression!r} is not supported; use ATTRIBUTE eq|co|sw "VALUE".', 400)
    attribute, operator, wanted = found.groups()
    compare: dict[str, Callable[[str], bool]] = {
        "eq": lambda value: value.lower() == wanted.lower(),
        "co": lambda value: wanted.lower() in value.lower(),
        "sw": lambda value: value.lower().startswith(wanted.lower()),
    }
    return lambda resource: compare[operator.lower()](
        str(next((value for name, value in resource.items() if name.lower() == attribute.lower()), ""))
    )


def _list(kind: str) -> Callable[[Call], dict[str, Any]]:
    def handler(call: Call) -> dict[str, Any]:
        resources = [_render(call.store.read, kind, document) for document in _visible(call, kind)]
        if expression := call.data.get("filter"):
            resources = list(filter(_matches(str(expression)), resources))
        start, count = max(call.number("startIndex", 1), 1), call.number("count", 10_000)
        page = resources[start - 1 : start - 1 + count]
        excluded = {name for name in str(call.data.get("excludedAttributes", "")).split(",") if name}
        page = [{name: value for name, value in each.items() if name not in excluded} for each in page]
        return {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": len(resources),
            "startIndex": start,
            "itemsPerPage": len(page),
            "Resources": page,
        }

    return handler


def _find(call: Call, kind: str) -> Document:
    identifier = call.path_parameters["id"]
    document = call.store.read.get(principals.GROUP if kind == "Groups" else PRINCIPAL, identifier)
    right = document is not None and (kind == "Groups" or document["kind"] == _KIND[kind])
    if document is None or not right or (kind == "Groups" and document["workspace_id"] not in (None, call.workspace_id)):
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"{kind[:-1]} with id {identifier} not found.", 404)
    return document


def _get(kind: str) -> Callable[[Call], dict[str, Any]]:
    return lambda call: _render(call.store.read, kind, _find(call, kind))


def _values(items: Any) -> list[str]:
    """The `value`s of a SCIM list, in order, without the blank entries clients send."""
    return list(dict.fromkeys(str(item["value"]) for item in items or [] if isinstance(item, dict) and item.get("value")))


def _from_body(kind: str, body: dict[str, Any], before: Document) -> Document:
    """The stored document after a POST or PUT with `body`."""
    entitlements = _values(body.get("entitlements"))
    if unknown := set(entitlements) - ENTITLEMENTS:
        raise ApiError("invalidValue", f"Unknown entitlement {sorted(unknown)[0]}; there are {', '.join(sorted(ENTITLEMENTS))}.", 400)
    document = {**before, "entitlements": entitlements, "external_id": body.get("externalId")}
    if kind == "Groups":
        if not body.get("displayName"):
            raise ApiError("invalidValue", "Attribute displayName is required for a group.", 400)
        return {**document, "display_name": body["displayName"], "members": _values(body.get("members"))}
    document["active"] = bool(body.get("active", True))
    document["roles"] = _values(body.get("roles")) if "roles" in body else before.get("roles", [])
    if kind == "Users":
        if "@" not in str(body.get("userName", "")):
            raise ApiError("invalidValue", f"userName must be an e-mail address, not {body.get('userName')!r}.", 400)
        return {**document, "name": body["userName"], "display_name": body.get("displayName") or body["userName"]}
    name = body.get("applicationId") or before.get("name") or str(uuid.uuid4())
    return {**document, "name": name, "display_name": body.get("displayName") or name}


def _create(kind: str) -> Callable[[Call], Reply]:
    def handler(call: Call) -> Reply:
        _require_admin(call)
        with call.store.transaction() as transaction:
            identifier = principals.new_id(transaction)
            if kind == "Groups":
                document = _from_body(kind, call.json, {"id": identifier, "workspace_id": call.workspace_id})
                same = [each for each in _visible(call, kind) if each["display_name"].lower() == document["display_name"].lower()]
                if same:
                    raise ApiError("uniqueness", f"Group with name {document['display_name']} already exists.", 409)
                _check_members(transaction, document["members"])
                transaction.put(principals.GROUP, identifier, document)
            else:
                document = _from_body(kind, call.json, {"id": identifier, "kind": _KIND[kind]})
                if existing := transaction.first(PRINCIPAL, {"name": document["name"]}):
                    raise ApiError("uniqueness", _duplicate(call, kind, existing["name"]), 409)
                transaction.put(PRINCIPAL, identifier, document)
                if call.workspace_id is not None:
                    transaction.put(principals.ASSIGNMENT, f"{call.workspace_id}/{identifier}", {"permissions": ["USER"]})
        return Reply(status=201, body=_render(call.store.read, kind, document))

    return handler


def _duplicate(call: Call, kind: str, name: str) -> str:
    if kind == "ServicePrincipals":
        return f"Service principal with application ID {name} already exists."
    if call.face is Face.ACCOUNT:
        return f"User with email {name} already exists in this account"
    return f"User with username {name} already exists."


def _check_members(reader: Reader, members: list[str]) -> None:
    for member in members:
        if reader.get(PRINCIPAL, member) is None and reader.get(principals.GROUP, member) is None:
            raise ApiError("invalidValue", f"There is no principal with id {member} to be a member.", 404)


def _replace(kind: str) -> Callable[[Call], dict[str, Any]]:
    def handler(call: Call) -> dict[str, Any]:
        _require_admin(call)
        with call.store.transaction() as transaction:
            before = _find(call, kind)
            document = _from_body(kind, call.json, before)
            if kind == "Groups":
                _check_members(transaction, document["members"])
            transaction.put(principals.GROUP if kind == "Groups" else PRINCIPAL, before["id"], document)
        return _render(call.store.read, kind, document)

    return handler


def _delete(kind: str) -> Callable[[Call], Reply]:
    def handler(call: Call) -> Reply:
        _require_admin(call)
        identifier = _find(call, kind)["id"]
        with call.store.transaction() as transaction:
            transaction.delete(principals.GROUP if kind == "Groups" else PRINCIPAL, identifier)
            for key, group in transaction.find(principals.GROUP):
                if identifier in group["members"]:
                    transaction.put(principals.GROUP, key, {**group, "members": [each for each in group["members"] if each != identifier]})
            for key, _ in transaction.find(principals.ASSIGNMENT):
                if key.endswith(f"/{identifier}"):
                    transaction.delete(principals.ASSIGNMENT, key)
            for key, _ in transaction.find(principals.SECRET, prefix=f"{identifier}/"):
                transaction.delete(principals.SECRET, key)
        return Reply(status=204, body=b"")

    return handler


_PATHS = {"displayname": "display_name", "active": "active", "externalid": "external_id"}
_LISTS = {"members", "entitlements", "roles"}
_ONE_VALUE = re.compile(r'(\w+)\[value eq "([^"]+)"\]')


def _patch(kind: str) -> Callable[[Call], Reply]:
    def handler(call: Call) -> Reply:
        _require_admin(call)
        # Read within the transaction: of two members added at once both must stay.
        with call.store.transaction() as transaction:
            document = dict(_find(call, kind))
            for operation in call.json.get("Operations", []):
                _apply(document, operation)
            if kind == "Groups":
                _check_members(transaction, document["members"])
            transaction.put(principals.GROUP if kind == "Groups" else PRINCIPAL, document["id"], document)
        return Reply(status=200, body=_render(call.store.read, kind, document))

    return handler


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
        if verb == "replace":
            document[path] = values
        elif verb == "add":
            document[path] = list(dict.fromkeys([*before, *values]))
        else:
            document[path] = [each for each in before if value is not None and each not in values]
        return
    if path.lower() not in _PATHS:
        raise ApiError("invalidPath", f"No such attribute with the name : {path} in the current resource", 400)
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
        ("/api/2.0/account/scim/v2", (Face.WORKSPACE,)),
    )
    for root, faces in roots:
        for kind in _SCHEMA:
            yield Route(method="GET", path=f"{root}/{kind}", handler=_list(kind), faces=faces, level="executed", errors="scim")
            yield Route(method="POST", path=f"{root}/{kind}", handler=_create(kind), faces=faces, level="executed", errors="scim")
            for method, make in verbs.items():
                yield Route(method=method, path=f"{root}/{kind}/{{id}}", handler=make(kind), faces=faces, level="executed", errors="scim")
        yield Route(method="GET", path=f"{root}/Me", handler=_me, faces=faces, level="executed", errors="scim")


ROUTES = tuple(_routes())
