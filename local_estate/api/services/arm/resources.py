"""PUT, GET and list of any type in the table, and what follows from them: bytes on disk, ports of workspaces."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from local_estate.api.kernel.call import Call, Estate, Reply
from local_estate.api.kernel.errors import ApiError, not_supported
from local_estate.api.kernel.store import Document, Reader, Transaction
from local_estate.api.services.arm import deleted_vaults, deletion, ids, operations, requests, state, storage_bytes, vault
from local_estate.api.services.arm.ids import ResourceId
from local_estate.api.services.arm.types import TOP_LEVEL, TYPES, ArmType

FIRST_WORKSPACE = 3_141_592_653_589_793
_TAGS = (50, 512, 256)  # how many, name length, value length


def put(call: Call) -> Reply:
    identifier, known = requests.identify(call)
    requests.authorize(call, identifier, "write")
    gone: list[Document] = []
    with call.store.transaction() as transaction:
        before = state.get(transaction, identifier.text)
        _check_parents(transaction, identifier)
        document = _checked(transaction, call, identifier, known, call.json, before)
        occupies = known.occupies(document) if known.occupies else ""
        operations.refuse_while_running(call.estate, transaction, identifier, occupies)
        if before is None:
            storage_bytes.clear(call.estate, document)  # left over if the service died between a deletion's commit and its clearing
        _store(call.estate, transaction, identifier, document, before)
        gone = _put_inline(call, transaction, identifier, known, call.json)
        operation = ""
        if known.asynchronous and before is None:
            operation = operations.begin(call.estate, transaction, identifier, occupies)
        else:
            operations.seen(transaction, identifier)
    deletion.clear(call.estate, gone)
    _after_commit(call.estate, document)
    shown = show(call.store.read, document)
    if not operation:
        return Reply(status=200 if before else 201, body=shown)
    base = call.estate.base_url(call.face, None)
    shown = {**shown, "properties": {**shown["properties"], "provisioningState": "Creating"}}
    headers = {"azure-asyncoperation": f"{base}{operation}?api-version={call.query['api-version']}", "retry-after": "0"}
    return Reply(status=201, body=shown, headers=headers)


def _checked(
    transaction: Transaction, call: Call, identifier: ResourceId, known: ArmType, body: dict[str, Any], before: Document | None
) -> Document:
    """The document to store: the body, checked, and what the service fills in. Raises ApiError as Azure words it."""
    _check_body(body)
    if not known.allows(identifier.name):
        raise ApiError(known.name_code, f"'{identifier.name}' is no valid name for {known.name}.", 400)
    document = _document(identifier, known, body, before)
    for path in known.required:
        _require(document, path, known.name)
    requests.authorize_links(call, identifier, known, document)
    if document["type"] == "Microsoft.KeyVault/vaults":
        deleted_vaults.expire(call.estate, transaction)
    for check in known.checks:
        check(transaction, identifier, document)
    for fill in known.fill:
        fill(transaction, identifier, document)
    return document


def _store(estate: Estate, transaction: Transaction, identifier: ResourceId, document: Document, before: Document | None) -> None:
    _effects(estate, transaction, identifier, document, before)
    document["properties"]["provisioningState"] = "Succeeded"
    transaction.put(state.RESOURCE, identifier.key, document)


def _put_inline(call: Call, transaction: Transaction, identifier: ResourceId, known: ArmType, body: dict[str, Any]) -> list[Document]:
    """Sub-collections in the body replace all there are; what the body leaves out stays. Returns what that deleted."""
    gone: list[Document] = []
    for field in known.inline:
        items = (body.get("properties") or {}).get(field)
        if items is None:
            continue
        kind = TYPES[f"{known.name}/{field}".lower()]
        wanted = {str(item.get("name") or "").lower(): item for item in items}
        if "" in wanted or len(wanted) < len(items):
            raise ApiError("InvalidRequestFormat", f"Each of the {field} of {identifier.name} needs a name of its own.", 400)
        for child in list(state.of_type(transaction, kind.name, f"{identifier.text}/{field}/")):
            if child["name"].lower() not in wanted:
                gone += deletion.remove(call.estate, transaction, child)
        for item in wanted.values():
            child_id = ids.parse(f"{identifier.text}/{field}/{item['name']}")
            before = state.get(transaction, child_id.text)
            document = _checked(transaction, call, child_id, kind, item, before)
            _store(call.estate, transaction, child_id, document, before)
    return gone


def _check_body(body: dict[str, Any]) -> None:
    if unknown := set(body) - TOP_LEVEL:
        raise ApiError(
            "InvalidRequestContent", f"Could not find member '{sorted(unknown)[0]}' on object of type 'ResourceDefinition'.", 400
        )
    if not isinstance(body.get("properties") or {}, dict):
        raise ApiError("InvalidRequestContent", "The member 'properties' must be an object.", 400)
    tags = body.get("tags") or {}
    if len(tags) > _TAGS[0]:
        raise ApiError("InvalidTags", f"The resource has {len(tags)} tags; at most {_TAGS[0]} are allowed.", 400)
    for name, value in tags.items():
        if len(name) > _TAGS[1] or len(str(value)) > _TAGS[2]:
            raise ApiError(
                "InvalidTagNameOrValue", f"The tag '{name}' is longer than {_TAGS[1]} (name) or {_TAGS[2]} (value) characters.", 400
            )


def _check_parents(reader: Reader, identifier: ResourceId) -> None:
    if identifier.type == "Microsoft.Resources/resourceGroups":
        return
    if identifier.resource_group and state.get(reader, identifier.group) is None:
        raise ApiError("ResourceGroupNotFound", f"Resource group '{identifier.resource_group}' could not be found.", 404)
    if identifier.scope and len(identifier.scope.strip("/").split("/")) > 2 and state.get(reader, identifier.scope) is None:
        raise ApiError("ResourceNotFound", f"The Resource '{identifier.scope}' was not found.", 404)
    parent = identifier.parent
    # Blob services are there with their account.
    parent = parent.rsplit("/", 2)[0] if parent and parent.lower().endswith("/blobservices/default") else parent
    if parent and state.get(reader, parent) is None:
        raise ApiError(
            "ParentResourceNotFound", f"Can not perform requested operation on nested resource. Parent resource '{parent}' not found.", 404
        )


def _document(identifier: ResourceId, known: ArmType, body: dict[str, Any], before: Document | None) -> Document:
    document: Document = {**body, "id": identifier.text, "name": identifier.name, "type": known.name}
    if before:
        document["id"], document["name"] = before["id"], before["name"]
    document["properties"] = dict(body.get("properties") or {})
    for field in (*known.inline, *known.computed):
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
    # What the service made up once stays: a PUT from the client does not carry it, and cannot change it.
    for name in known.lasting:
        document["properties"].pop(name, None)
        if before and name in before["properties"]:
            document["properties"][name] = before["properties"][name]
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
        if managed := properties.get("managedResourceGroupId"):
            group = ids.parse(managed)
            made = {"id": managed, "name": group.name, "type": group.type, "location": document["location"], "managedBy": identifier.text}
            transaction.put(state.RESOURCE, group.key, {**made, "properties": {"provisioningState": "Succeeded"}})
    elif kind == "Microsoft.KeyVault/vaults":
        if before is None:
            deleted_vaults.recover(transaction, document)
        properties.pop("createMode", None)  # an instruction, no state
    elif kind == "Microsoft.KeyVault/vaults/secrets":
        value = properties.pop("value", None)
        changed = vault.keep(estate, transaction, identifier, str(value)) if value is not None else False
        version = int((before or {}).get("version", 0)) + (1 if changed or before is None else 0)
        uri = f"https://{identifier.names[0].lower()}.vault.azure.net/secrets/{identifier.name}"
        document["version"] = version
        properties |= {"secretUri": uri, "secretUriWithVersion": f"{uri}/{version:032x}"}


def _after_commit(estate: Estate, document: Document) -> None:
    """Directories and ports follow the committed document, so that a crash in between heals at the next PUT or start."""
    storage_bytes.provide(estate, document)
    if document["type"] == "Microsoft.Databricks/workspaces":
        properties = document["properties"]
        estate.open_workspace(int(properties["workspaceId"]), properties["workspaceUrl"], document["id"])


def show(reader: Reader, document: Document) -> Document:
    """As ARM returns it: sub-collections and what follows from other resources read back, our own bookkeeping left out."""
    shown = {name: value for name, value in document.items() if name in TOP_LEVEL}
    known = TYPES[document["type"].lower()]
    extra: dict[str, Any] = {
        field: [show(reader, child) for child in state.of_type(reader, f"{known.name}/{field}", f"{document['id']}/{field}/")]
        for field in known.inline
    }
    for view in known.views:
        extra |= view(reader, document)
    return {**shown, "properties": {**shown["properties"], **extra}} if extra else shown


def get(call: Call) -> Document:
    identifier, known = requests.identify(call)
    requests.authorize(call, identifier, "read")
    if operations.pending(call.store.read, identifier):
        with call.store.transaction() as transaction:
            operations.seen(transaction, identifier)
    document = state.get(call.store.read, identifier.text)
    if document is None:
        _check_parents(call.store.read, identifier)
        if known.singleton:
            return {"id": identifier.text, "name": identifier.name, "type": known.name, "properties": {}}
        if identifier.type == "Microsoft.Resources/resourceGroups":
            raise ApiError("ResourceGroupNotFound", f"Resource group '{identifier.resource_group}' could not be found.", 404)
        raise ApiError(
            "ResourceNotFound",
            f"The Resource '{identifier.type}/{'/'.join(identifier.names)}' under resource group "
            f"'{identifier.resource_group}' was not found.",
            404,
        )
    return show(call.store.read, document)


def exists(call: Call) -> Reply:
    get(call)
    return Reply(status=204, body=b"")


def listing(call: Call) -> dict[str, Any]:
    """`…/providers/Namespace/type` and `/subscriptions/{s}/resourceGroups`: every resource of the type below the scope."""
    requests.require_api_version(call)
    path = "/" + call.path.strip("/")
    if path.lower().endswith("/resourcegroups"):
        kind, scope = "Microsoft.Resources/resourceGroups", path
    else:
        scope, _, rest = path.rpartition("/providers/")
        parts = rest.split("/")
        kind = "/".join([parts[0], *parts[1::2]])
        scope = path.rpartition("/")[0] if len(parts) > 2 else scope
    if kind.lower() not in TYPES:
        raise not_supported(f"the Azure resource type {kind}")
    _check_parents(call.store.read, ids.parse(f"{path}/any"))
    found = [
        show(call.store.read, each)
        for each in state.of_type(call.store.read, TYPES[kind.lower()].name)
        if ids.contains(scope, each["id"]) and requests.may(call, each["id"], "read")
    ]
    return {"value": found}


def read(call: Call) -> Any:
    """GET of a resource or of a collection: a collection's path ends with a type, not a name."""
    tail = call.path.strip("/").rpartition("/providers/")[2] if "/providers/" in call.path.lower() else ""
    segments = len(tail.split("/")) if tail else 0
    if call.path.lower().rstrip("/").endswith("/resourcegroups") or (segments and segments % 2 == 0):
        return listing(call)
    return get(call)
