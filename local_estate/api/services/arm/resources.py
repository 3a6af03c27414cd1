"""PUT, GET, list and DELETE of any type in the table, and what follows from them: bytes on disk, ports of workspaces."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from local_estate import tenancy
from local_estate.api.kernel.call import Call, Estate, Reply
from local_estate.api.kernel.errors import ApiError, not_supported
from local_estate.api.kernel.store import Document, Reader, Transaction
from local_estate.api.services.arm import data_rules, ids, state, vault
from local_estate.api.services.arm.ids import ResourceId
from local_estate.api.services.arm.types import TYPES, ArmType

OPERATION = "arm.operation"
FIRST_WORKSPACE = 3_141_592_653_589_793
_TAGS = (50, 512, 256)  # how many, name length, value length
_TOP_LEVEL = {
    "id",
    "name",
    "type",
    "location",
    "tags",
    "properties",
    "sku",
    "kind",
    "identity",
    "zones",
    "extendedLocation",
    "managedBy",
    "etag",
}


def _identify(call: Call) -> tuple[ResourceId, ArmType]:
    identifier = ids.parse(call.path)
    if identifier.subscription.lower() != tenancy.SUBSCRIPTION_ID:
        raise ApiError("SubscriptionNotFound", f"The subscription '{identifier.subscription}' could not be found.", 404)
    if not call.query.get("api-version"):
        raise ApiError("MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests.", 400)
    known = TYPES.get(identifier.type.lower())
    if known is None:
        raise not_supported(f"the Azure resource type {identifier.type}")
    return identifier, known


def _authorize(call: Call, identifier: ResourceId, action: str) -> None:
    """Readers read; Contributors and Owners write; role assignments need Owner."""
    roles = (
        ["Owner"] if identifier.type.lower() == "microsoft.authorization/roleassignments" and action != "read" else ["Owner", "Contributor"]
    )
    roles += ["Reader"] if action == "read" else []
    object_id = call.caller.object_id
    scope = identifier.scope or identifier.text
    if not any(state.has_role(call.estate, object_id=object_id, role_name=role, scope=scope) for role in roles):
        raise ApiError(
            "AuthorizationFailed",
            f"The client '{call.caller.name}' with object id '{object_id}' does not have authorization to perform action "
            f"'{identifier.type}/{action}' over scope '{identifier.text}'.",
            403,
        )


def put(call: Call) -> Reply:
    identifier, known = _identify(call)
    _authorize(call, identifier, "write")
    body = _body(call.json)
    with call.store.transaction() as transaction:
        before = state.get(transaction, identifier.text)
        _check_parents(transaction, identifier)
        if not known.allows(identifier.name):
            raise ApiError(known.name_code, f"'{identifier.name}' is no valid name for {known.name}.", 400)
        document = _document(identifier, known, body, before)
        for path in known.required:
            _require(document, path, known.name)
        for check in known.checks:
            check(transaction, identifier, document)
        for fill in known.fill:
            fill(transaction, identifier, document)
        _effects(call.estate, transaction, identifier, document, before)
        document["properties"]["provisioningState"] = "Succeeded"
        transaction.put(state.RESOURCE, identifier.key, document)
        operation = _operation(transaction, identifier) if known.asynchronous and before is None else ""
    _after_commit(call.estate, document)
    shown = _shown(call.store.read, document)
    if not operation:
        return Reply(status=200 if before else 201, body=shown)
    base = call.estate.base_url(call.face, None)
    shown = {**shown, "properties": {**shown["properties"], "provisioningState": "Creating"}}
    headers = {"azure-asyncoperation": f"{base}{operation}?api-version={call.query['api-version']}", "retry-after": "0"}
    return Reply(status=201, body=shown, headers=headers)


def _body(body: dict[str, Any]) -> dict[str, Any]:
    if unknown := set(body) - _TOP_LEVEL:
        raise ApiError(
            "InvalidRequestContent", f"Could not find member '{sorted(unknown)[0]}' on object of type 'ResourceDefinition'.", 400
        )
    tags = body.get("tags") or {}
    if len(tags) > _TAGS[0]:
        raise ApiError("InvalidTags", f"The resource has {len(tags)} tags; at most {_TAGS[0]} are allowed.", 400)
    for name, value in tags.items():
        if len(name) > _TAGS[1] or len(str(value)) > _TAGS[2]:
            raise ApiError(
                "InvalidTagNameOrValue", f"The tag '{name}' is longer than {_TAGS[1]} (name) or {_TAGS[2]} (value) characters.", 400
            )
    return body


def _check_parents(reader: Reader, identifier: ResourceId) -> None:
    if identifier.type == "Microsoft.Resources/resourceGroups":
        return
    if identifier.resource_group and state.get(reader, identifier.group) is None:
        raise ApiError("ResourceGroupNotFound", f"Resource group '{identifier.resource_group}' could not be found.", 404)
    if identifier.scope and len(identifier.scope.strip("/").split("/")) > 2 and state.get(reader, identifier.scope) is None:
        raise ApiError("ResourceNotFound", f"The Resource '{identifier.scope}' was not found.", 404)
    parent = identifier.parent
    if parent and state.get(reader, parent) is None and not parent.lower().endswith("/blobservices/default"):
        raise ApiError(
            "ParentResourceNotFound", f"Can not perform requested operation on nested resource. Parent resource '{parent}' not found.", 404
        )


def _document(identifier: ResourceId, known: ArmType, body: dict[str, Any], before: Document | None) -> Document:
    document: Document = {**body, "id": identifier.text, "name": identifier.name, "type": known.name}
    if before:
        document["id"] = before["id"]
    document["properties"] = dict(body.get("properties") or {})
    for field in known.inline:
        document["properties"].pop(field, None)
    if known.location:
        location = str(body.get("location") or (before or {}).get("location") or "").replace(" ", "").lower()
        if not location:
            raise ApiError("LocationRequired", f"The location property is required for {known.name}.", 400)
        if before and before.get("location") != location:
            raise ApiError(
                "InvalidResourceLocation",
                f"The resource '{identifier.name}' already exists in location '{before.get('location')}'. "
                f"A resource with the same name cannot be created in location '{location}'.",
                409,
            )
        document["location"] = location
    # What the service made up once stays: a PUT from the client does not carry it.
    for name in ("customerId", "workspaceId", "workspaceUrl", "ipAddress"):
        if before and name in before["properties"]:
            document["properties"].setdefault(name, before["properties"][name])
    return document


def _require(document: Document, path: str, kind: str) -> None:
    value: Any = document
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    if value in (None, "", {}, []):
        raise ApiError("InvalidRequestContent", f"The property '{path}' is required for {kind}.", 400)


def _effects(estate: Estate, transaction: Transaction, identifier: ResourceId, document: Document, before: Document | None) -> None:
    kind = document["type"]
    properties = document["properties"]
    if kind == "Microsoft.Databricks/workspaces":
        if before is None:
            number = transaction.next("arm.workspace", start=FIRST_WORKSPACE)
            properties |= {"workspaceId": str(number), "workspaceUrl": f"adb-{number}.{number % 20}.azuredatabricks.net"}
            properties["createdDateTime"] = datetime.fromtimestamp(estate.clock.now(), UTC).isoformat()
        else:
            properties["createdDateTime"] = before["properties"]["createdDateTime"]
        if managed := properties.get("managedResourceGroupId"):
            group = ids.parse(managed)
            made = {"id": managed, "name": group.name, "type": group.type, "location": document["location"], "managedBy": identifier.text}
            transaction.put(state.RESOURCE, group.key, {**made, "properties": {"provisioningState": "Succeeded"}})
    elif kind == "Microsoft.KeyVault/vaults":
        transaction.delete(data_rules.DELETED_VAULT, identifier.name.lower())
    elif kind == "Microsoft.KeyVault/vaults/secrets":
        value = properties.pop("value", None)
        changed = vault.keep(estate, transaction, identifier, str(value)) if value is not None else False
        version = int((before or {}).get("version", 0)) + (1 if changed or before is None else 0)
        uri = f"https://{identifier.names[0].lower()}.vault.azure.net/secrets/{identifier.name}"
        document["version"] = version
        properties |= {"secretUri": uri, "secretUriWithVersion": f"{uri}/{version:032x}"}


def _after_commit(estate: Estate, document: Document) -> None:
    """Directories and ports follow the committed document, so that a crash in between heals at the next PUT or start."""
    if document["type"].lower().startswith("microsoft.storage/storageaccounts"):
        directory = estate.paths.adls / document["id"].split("/")[8].lower()
        if document["type"].endswith("/containers"):
            directory = directory / document["name"].lower()
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    elif document["type"] == "Microsoft.Databricks/workspaces":
        properties = document["properties"]
        estate.open_workspace(int(properties["workspaceId"]), properties["workspaceUrl"], document["id"])


def _operation(transaction: Transaction, identifier: ResourceId) -> str:
    number = transaction.next("arm.operation")
    path = f"/subscriptions/{identifier.subscription}/providers/{identifier.type.split('/')[0]}/operationStatuses/{number}"
    transaction.put(OPERATION, path.lower(), {"polls": 0})
    return path


def poll(call: Call) -> dict[str, Any]:
    """InProgress once, so that pollers are exercised, then Succeeded."""
    with call.store.transaction() as transaction:
        found = transaction.get(OPERATION, call.path.lower())
        if found is None:
            raise ApiError("OperationNotFound", f"The operation {call.path} was not found.", 404)
        transaction.put(OPERATION, call.path.lower(), {"polls": min(found["polls"] + 1, 2)})
    return {"id": call.path, "status": "Succeeded" if found["polls"] else "InProgress"}


def _shown(reader: Reader, document: Document) -> Document:
    """As ARM returns it: sub-collections read back, our own bookkeeping left out."""
    shown = {name: value for name, value in document.items() if name in _TOP_LEVEL}
    known = TYPES[document["type"].lower()]
    if known.inline:
        inline = {
            field: [_shown(reader, child) for child in state.of_type(reader, f"{known.name}/{field}", f"{document['id']}/{field}/")]
            for field in known.inline
        }
        shown["properties"] = {**shown["properties"], **inline}
    return shown


def get(call: Call) -> Document:
    identifier, known = _identify(call)
    _authorize(call, identifier, "read")
    document = state.get(call.store.read, identifier.text)
    if document is None and known.singleton and identifier.parent and state.get(call.store.read, identifier.parent):
        return {"id": identifier.text, "name": identifier.name, "type": known.name, "properties": {}}
    if document is None:
        _check_parents(call.store.read, identifier)
        raise ApiError(
            "ResourceGroupNotFound" if identifier.type == "Microsoft.Resources/resourceGroups" else "ResourceNotFound",
            f"The Resource '{identifier.type}/{'/'.join(identifier.names)}' under resource group "
            f"'{identifier.resource_group}' was not found.",
            404,
        )
    return _shown(call.store.read, document)


def listing(call: Call) -> dict[str, Any]:
    """`…/providers/Namespace/type` and `/subscriptions/{s}/resourceGroups`: every resource of the type below the scope."""
    path = "/" + call.path.strip("/")
    if path.lower().endswith("/resourcegroups"):
        kind, scope = "Microsoft.Resources/resourceGroups", path
    else:
        scope, _, rest = path.rpartition("/providers/")
        parts = rest.split("/")
        kind = "/".join([parts[0], *parts[1::2]])
        scope = path if len(parts) > 2 else scope
    if kind.lower() not in TYPES:
        raise not_supported(f"the Azure resource type {kind}")
    found = [
        _shown(call.store.read, each)
        for each in state.of_type(call.store.read, kind)
        if ids.contains(scope, each["id"]) and _may_read(call, each["id"])
    ]
    return {"value": found}


def _may_read(call: Call, identifier: str) -> bool:
    roles = ("Owner", "Contributor", "Reader")
    return any(state.has_role(call.estate, object_id=call.caller.object_id, role_name=role, scope=identifier) for role in roles)


def read(call: Call) -> Any:
    """GET of a resource or of a collection: a collection's path ends with a type, not a name."""
    tail = call.path.strip("/").rpartition("/providers/")[2] if "/providers/" in call.path.lower() else ""
    segments = len(tail.split("/")) if tail else 0
    if call.path.lower().rstrip("/").endswith("/resourcegroups") or (segments and segments % 2 == 0):
        return listing(call)
    return get(call)


def delete(call: Call) -> Reply:
    identifier, known = _identify(call)
    _authorize(call, identifier, "delete")
    with call.store.transaction() as transaction:
        document = state.get(transaction, identifier.text)
        if document is None:
            return Reply(status=204, body=b"")
        doomed = list(_below(transaction, identifier, document))
        for check in known.deletes:
            check(transaction, identifier)
        for each in doomed:
            _forget(call.estate, transaction, each)
    for each in doomed:
        _after_delete(call.estate, each)
    return Reply(status=200, body={})


def _below(reader: Reader, identifier: ResourceId, document: Document) -> Iterator[Document]:
    """The resource and what goes with it: children, and for a group everything in it."""
    yield document
    for _, each in reader.find(state.RESOURCE, prefix=identifier.key + "/"):
        yield each
    if document["type"] == "Microsoft.Databricks/workspaces" and (managed := document["properties"].get("managedResourceGroupId")):
        group = state.get(reader, managed)
        if group:
            yield group


def _forget(estate: Estate, transaction: Transaction, document: Document) -> None:
    key = document["id"].lower()
    transaction.delete(state.RESOURCE, key)
    if document["type"] == "Microsoft.KeyVault/vaults/secrets":
        transaction.delete(vault.VALUE, key)
    elif document["type"] == "Microsoft.KeyVault/vaults":
        transaction.put(data_rules.DELETED_VAULT, document["name"].lower(), {"id": document["id"], "deleted": estate.clock.now()})


def _after_delete(estate: Estate, document: Document) -> None:
    if document["type"] == "Microsoft.Storage/storageAccounts":
        shutil.rmtree(estate.paths.adls / document["name"].lower(), ignore_errors=True)
    elif document["type"].endswith("/blobServices/containers"):
        shutil.rmtree(estate.paths.adls / document["id"].split("/")[8].lower() / document["name"].lower(), ignore_errors=True)
    elif document["type"] == "Microsoft.Databricks/workspaces":
        estate.close_workspace(int(document["properties"]["workspaceId"]))
