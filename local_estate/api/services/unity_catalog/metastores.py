"""Metastores and which workspace uses which; on the account face their bodies are wrapped."""

from __future__ import annotations

import uuid
from typing import Any

from local_estate import tenancy
from local_estate.api.kernel.call import Call, Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.routing import Face, Route
from local_estate.api.kernel.store import Document, Transaction
from local_estate.api.services.unity_catalog.authorization import metastore_of
from local_estate.api.services.unity_catalog.requests import UC, reading, wire
from local_estate.api.services.unity_catalog.securables import (
    ASSIGNMENT,
    GRANTS,
    METASTORE,
    SYSTEM_USER,
    Securable,
    Securables,
    SecurableWrites,
    missing,
)
from local_estate.api.services.unity_catalog.storage_urls import StorageUrl

_ACCOUNT = "/api/2.0/accounts/{account_id}"
_SETTABLE = (
    "name",
    "owner",
    "delta_sharing_organization_name",
    "delta_sharing_recipient_token_lifetime_in_seconds",
    "delta_sharing_scope",
    "storage_root_credential_id",
    "privilege_model_version",
    "external_access_enabled",
)


def _require_account_admin(call: Call) -> None:
    account = call.path_parameters.get("account_id", tenancy.ACCOUNT_ID)
    if account != tenancy.ACCOUNT_ID:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Account '{account}' does not exist.")
    if not call.estate.ask("identity.is_account_admin", principal_id=call.caller.id):
        raise ApiError("PERMISSION_DENIED", "Only account admin can perform this operation.")


def _metastore(reader: Any, metastore_id: str) -> Document:
    found: Document | None = reader.get(METASTORE, metastore_id)
    if found is None:
        raise missing(Securable.METASTORE, metastore_id)
    return found


def _info(call: Call) -> dict[str, Any]:
    """What describes the metastore: wrapped on the account face, bare on a workspace."""
    info = call.json.get("metastore_info", call.json) if call.face is Face.ACCOUNT else call.json
    return info if isinstance(info, dict) else {}


def _create(call: Call) -> Document:
    _require_account_admin(call)
    info = _info(call)
    name = info.get("name")
    if not isinstance(name, str) or not name:
        raise ApiError("INVALID_PARAMETER_VALUE", "CreateMetastore Missing required field: name")
    region = str(info.get("region") or tenancy.REGION)
    root = StorageUrl.parse(info["storage_root"]).text if info.get("storage_root") else None
    now = call.estate.clock.now_ms()
    metastore_id = str(uuid.uuid4())
    with call.store.transaction() as transaction:
        for _, other in transaction.find(METASTORE):
            if other["name"].lower() == name.lower():
                raise ApiError("METASTORE_ALREADY_EXISTS", f"Metastore '{name}' already exists")
            if other["region"] == region:
                # One per region and account: two would let a region's workspaces disagree about one namespace.
                raise ApiError("INVALID_STATE", f"This account has reached the limit for metastores in region {region}.")
        document: Document = {
            "uid": metastore_id,
            "type": Securable.METASTORE.value,
            "full_name": name,
            "metastore_id": metastore_id,
            "name": name,
            "region": region,
            "cloud": "azure",
            "global_metastore_id": f"azure:{region}:{metastore_id}",
            "owner": _owner(call, info.get("owner")) if info.get("owner") else call.caller.name,
            "privilege_model_version": "1.0",
            "delta_sharing_scope": "INTERNAL",
            "external_access_enabled": bool(info.get("external_access_enabled", False)),
            "created_at": now,
            "created_by": call.caller.name,
            "updated_at": now,
            "updated_by": call.caller.name,
            **({"storage_root": f"{root}/{metastore_id}"} if root else {}),
        }
        transaction.put(METASTORE, metastore_id, document)
    return _reply(call, document)


def _owner(call: Call, name: Any) -> str:
    if name in ("", SYSTEM_USER):
        return SYSTEM_USER
    found = call.estate.ask("identity.grantee", name=str(name))
    if found is None:
        raise ApiError("PRINCIPAL_DOES_NOT_EXIST", f"Could not find principal with name {name}")
    return str(found)


def _reply(call: Call, document: Document) -> Document:
    shown = {name: value for name, value in wire(document).items() if name != "full_name"}
    return {"metastore_info": shown} if call.face is Face.ACCOUNT else shown


def _require_reader(call: Call, document: Document) -> None:
    if call.face is Face.ACCOUNT or document["metastore_id"] != metastore_of(call.store.read, call.workspace_id)["metastore_id"]:
        _require_account_admin(call)


def _get(call: Call) -> Document:
    document = _metastore(call.store.read, call.path_parameters["metastore_id"])
    _require_reader(call, document)
    return _reply(call, document)


def _list(call: Call) -> Document:
    _require_account_admin(call)
    found = [document for _, document in call.store.read.find(METASTORE)]
    return {"metastores": [{name: value for name, value in wire(each).items() if name != "full_name"} for each in found]}


def _update(call: Call) -> Document:
    metastore_id = call.path_parameters["metastore_id"]
    info = _info(call)
    with call.store.transaction() as transaction:
        document = _metastore(transaction, metastore_id)
        if call.face is Face.ACCOUNT or document["owner"] not in reading(call).caller.identities:
            _require_account_admin(call)
        name = info.get("new_name") or info.get("name") or document["name"]
        if info.get("storage_root") and not str(document.get("storage_root", "")).startswith(info["storage_root"].rstrip("/")):
            raise ApiError("INVALID_PARAMETER_VALUE", "UpdateMetastore storage_root cannot be changed.")
        given = {key: info[key] for key in _SETTABLE if key in info and key not in ("name", "owner")}
        owner = _owner(call, info["owner"]) if "owner" in info else document["owner"]
        updated = {**document, **given, "name": name, "full_name": name, "owner": owner}
        if updated != document:
            updated |= {"updated_at": call.estate.clock.now_ms(), "updated_by": call.caller.name}
        transaction.put(METASTORE, metastore_id, updated)
    return _reply(call, updated)


def _delete(call: Call) -> Document:
    _require_account_admin(call)
    with call.store.transaction() as transaction:
        document = _metastore(transaction, call.path_parameters["metastore_id"])
        held = Securables(transaction, document)
        counts = {kind: sum(1 for _ in held.all(kind)) for kind in Securable if kind is not Securable.METASTORE}
        if any(counts.values()) and not call.flag("force"):
            words = ", ".join(f"{count} {kind.label.lower()}(s)" for kind, count in counts.items() if count)
            raise ApiError("METASTORE_NOT_EMPTY", f"Metastore '{document['name']}' is not empty. The metastore has {words}.")
        _erase(transaction, document)
    return {}


def _erase(transaction: Transaction, document: Document) -> None:
    writes = SecurableWrites(transaction, document)
    for kind in Securable:
        if kind is not Securable.METASTORE:
            for each in list(writes.all(kind)):
                writes.remove(each)
    for workspace_id, _ in list(transaction.find(ASSIGNMENT, where={"metastore_id": document["metastore_id"]})):
        transaction.delete(ASSIGNMENT, workspace_id)
    transaction.delete(GRANTS, document["uid"])
    transaction.delete(METASTORE, document["metastore_id"])


def _assign(call: Call) -> Document:
    """PUT, POST and PATCH: the last one wins, saying it twice is fine."""
    _require_account_admin(call)
    body = call.json.get("metastore_assignment", call.json)
    workspace_id = _workspace_id(call)
    metastore_id = str(call.path_parameters.get("metastore_id") or body.get("metastore_id") or "")
    workspace = call.estate.ask("arm.workspace", workspace_id=workspace_id)
    if workspace is None:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Workspace {workspace_id} does not exist.")
    with call.store.transaction() as transaction:
        if not metastore_id:
            metastore_id = (transaction.get(ASSIGNMENT, str(workspace_id)) or {}).get("metastore_id", "")
        metastore = _metastore(transaction, metastore_id)
        region = str(workspace.get("location") or metastore["region"]).lower().replace(" ", "")
        if region != metastore["region"]:
            raise ApiError(
                "INVALID_PARAMETER_VALUE",
                f"Workspace {workspace_id} is in {region}, metastore '{metastore['name']}' in {metastore['region']}.",
            )
        assignment = {
            "workspace_id": workspace_id,
            "metastore_id": metastore_id,
            "default_catalog_name": body.get("default_catalog_name") or "main",
        }
        transaction.put(ASSIGNMENT, str(workspace_id), assignment)
    return {}


def _workspace_id(call: Call) -> int:
    try:
        return int(call.path_parameters["workspace_id"])
    except ValueError:
        raise ApiError("INVALID_PARAMETER_VALUE", f"{call.path_parameters['workspace_id']} is not a workspace id.") from None


def _unassign(call: Call) -> Document:
    _require_account_admin(call)
    workspace_id = str(_workspace_id(call))
    metastore_id = call.path_parameters.get("metastore_id") or call.data.get("metastore_id")
    with call.store.transaction() as transaction:
        assignment = transaction.get(ASSIGNMENT, workspace_id)
        if assignment is None or (metastore_id and assignment["metastore_id"] != metastore_id):
            raise ApiError("METASTORE_DOES_NOT_EXIST", f"Metastore {metastore_id} is not assigned to workspace {workspace_id}.")
        transaction.delete(ASSIGNMENT, workspace_id)
    return {}


def _assignment(call: Call) -> Document:
    """On the account face."""
    _require_account_admin(call)
    found = call.store.read.get(ASSIGNMENT, str(_workspace_id(call)))
    if found is None:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"No metastore assigned for workspace {call.path_parameters['workspace_id']}")
    return {"metastore_assignment": found}


def _assigned_workspaces(call: Call) -> Document:
    _require_account_admin(call)
    metastore = _metastore(call.store.read, call.path_parameters["metastore_id"])
    found = call.store.read.find(ASSIGNMENT, where={"metastore_id": metastore["metastore_id"]})
    return {"workspace_ids": [document["workspace_id"] for _, document in found]}


def _current_assignment(call: Call) -> Document:
    metastore_of(call.store.read, call.workspace_id)
    return call.store.read.get(ASSIGNMENT, str(call.workspace_id)) or {}


def _summary(call: Call) -> Document:
    return {name: value for name, value in wire(metastore_of(call.store.read, call.workspace_id)).items() if name != "full_name"}


def _probe(call: Call) -> Document:
    """Clients ask for the root to learn whether Unity Catalog is there."""
    metastore_of(call.store.read, call.workspace_id)
    return {}


def assigned(estate: Estate, *, workspace_id: int) -> Document | None:
    """The question `unity_catalog.metastore_of`: the metastore's wire form with `default_catalog_name`, or None."""
    assignment = estate.store.read.get(ASSIGNMENT, str(workspace_id))
    metastore = estate.store.read.get(METASTORE, assignment["metastore_id"]) if assignment else None
    return {**wire(metastore), "default_catalog_name": assignment["default_catalog_name"]} if metastore and assignment else None


def _route(method: str, path: str, handler: Any) -> Route:
    face = Face.ACCOUNT if path.startswith(_ACCOUNT) else Face.WORKSPACE
    return Route(method=method, path=path, handler=handler, faces=(face,), level="executed")


ROUTES = (
    *(_route("POST", path, _create) for path in (f"{_ACCOUNT}/metastores", f"{UC}/metastores")),
    *(_route("GET", path, _list) for path in (f"{_ACCOUNT}/metastores", f"{UC}/metastores")),
    *(_route("GET", f"{root}/metastores/{{metastore_id}}", _get) for root in (_ACCOUNT, UC)),
    *(_route("DELETE", f"{root}/metastores/{{metastore_id}}", _delete) for root in (_ACCOUNT, UC)),
    _route("PUT", f"{_ACCOUNT}/metastores/{{metastore_id}}", _update),
    _route("PATCH", f"{UC}/metastores/{{metastore_id}}", _update),
    _route("GET", f"{_ACCOUNT}/metastores/{{metastore_id}}/workspaces", _assigned_workspaces),
    _route("GET", f"{_ACCOUNT}/workspaces/{{workspace_id}}/metastore", _assignment),
    *(
        _route(method, f"{_ACCOUNT}/workspaces/{{workspace_id}}/metastores/{{metastore_id}}", _assign)
        for method in ("POST", "PUT", "PATCH")
    ),
    _route("DELETE", f"{_ACCOUNT}/workspaces/{{workspace_id}}/metastores/{{metastore_id}}", _unassign),
    *(_route(method, f"{UC}/workspaces/{{workspace_id}}/metastore", _assign) for method in ("PUT", "PATCH")),
    _route("DELETE", f"{UC}/workspaces/{{workspace_id}}/metastore", _unassign),
    _route("GET", f"{UC}/current-metastore-assignment", _current_assignment),
    _route("GET", f"{UC}/metastore_summary", _summary),
    _route("GET", UC, _probe),
)
