"""Storage credentials and external locations: whose identity reaches which part of ADLS."""

from __future__ import annotations

from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError, not_supported
from local_estate.api.kernel.routing import Route
from local_estate.api.kernel.store import Document
from local_estate.api.services.unity_catalog.bindings import bind_current_workspace
from local_estate.api.services.unity_catalog.locations import conflict
from local_estate.api.services.unity_catalog.requests import UC, changed, page, reading, require_something, visible, wire, writing
from local_estate.api.services.unity_catalog.securables import Securable, Securables, valid_name
from local_estate.api.services.unity_catalog.storage_urls import StorageUrl

_WRITER = "Storage Blob Data Contributor"
_CREDENTIAL_FIELDS = ("comment", "owner", "read_only", "isolation_mode")
_LOCATION_FIELDS = (*_CREDENTIAL_FIELDS, "fallback", "enable_file_events", "file_event_queue", "encryption_details")


def _isolation(call: Call) -> str:
    mode = call.json.get("isolation_mode") or "ISOLATION_MODE_OPEN"
    if mode not in ("ISOLATION_MODE_OPEN", "ISOLATION_MODE_ISOLATED"):
        raise ApiError("INVALID_PARAMETER_VALUE", f"isolation_mode {mode!r} is not one of ISOLATION_MODE_OPEN, ISOLATION_MODE_ISOLATED.")
    return str(mode)


def _managed_identity(call: Call) -> Document:
    for other in ("aws_iam_role", "azure_service_principal", "cloudflare_api_token", "databricks_gcp_service_account"):
        if call.json.get(other):
            raise not_supported(f"storage credentials with {other}; use azure_managed_identity")
    identity = call.json.get("azure_managed_identity")
    if not isinstance(identity, dict) or not identity.get("access_connector_id"):
        raise ApiError(
            "INVALID_PARAMETER_VALUE", "CreateStorageCredential Missing required field: azure_managed_identity.access_connector_id"
        )
    return identity


def _connector_identity(call: Call, identity: Document) -> str:
    """The object id the access connector acts with. Raises ApiError INVALID_PARAMETER_VALUE when there is no such connector."""
    wanted = identity["access_connector_id"]
    connector = call.estate.ask("arm.resource", id=wanted)
    found = (connector or {}).get("identity") or {}
    user_assigned = identity.get("managed_identity_id")
    if user_assigned:
        found = next(
            (held for key, held in (found.get("userAssignedIdentities") or {}).items() if key.lower() == user_assigned.lower()), {}
        )
    if connector is None or "/accessconnectors/" not in wanted.lower() or not found.get("principalId"):
        raise ApiError("INVALID_PARAMETER_VALUE", f"Access connector '{wanted}' could not be found, or has no managed identity.")
    return str(found["principalId"])


def _create_credential(call: Call) -> Document:
    name = valid_name("CreateStorageCredential", call.json.get("name"))
    identity = _managed_identity(call)
    if not call.flag("skip_validation"):
        _connector_identity(call, identity)
    with writing(call) as (authority, securables):
        authority.require("CREATE_STORAGE_CREDENTIAL", Securable.METASTORE, securables.metastore["metastore_id"])
        credential = securables.create(
            Securable.STORAGE_CREDENTIAL,
            name,
            owner=call.caller.name,
            now_ms=call.estate.clock.now_ms(),
            comment=call.json.get("comment"),
            read_only=bool(call.json.get("read_only", False)),
            isolation_mode=_isolation(call),
            used_for_managed_storage=False,
        )
        credential |= {"id": credential["uid"], "azure_managed_identity": {**identity, "credential_id": credential["uid"]}}
        securables.put(credential)
        bind_current_workspace(securables, credential, call.workspace_id)
    return wire(credential)


def _update_credential(call: Call) -> Document:
    require_something(call, "UpdateStorageCredential", ("new_name", "azure_managed_identity", *_CREDENTIAL_FIELDS))
    identity = _managed_identity(call) if "azure_managed_identity" in call.json else None
    if identity and not call.flag("skip_validation"):
        _connector_identity(call, identity)
    if "isolation_mode" in call.json:
        _isolation(call)
    with writing(call) as (authority, securables):
        credential = changed(call, authority.require_manage(Securable.STORAGE_CREDENTIAL, call.path_parameters["name"]), _CREDENTIAL_FIELDS)
        if identity:
            credential = {**credential, "azure_managed_identity": {**identity, "credential_id": credential["uid"]}}
        securables.put(credential)
        if call.json.get("isolation_mode"):
            bind_current_workspace(securables, credential, call.workspace_id)
        if call.json.get("new_name"):
            old = credential["name"]
            credential = securables.rename(credential, valid_name("UpdateStorageCredential", call.json["new_name"]))
            for location in _using(securables, old):
                securables.put({**location, "credential_name": credential["name"]})
    return wire(credential)


def _using(securables: Securables, credential: str) -> list[Document]:
    return [each for each in securables.all(Securable.EXTERNAL_LOCATION) if each["credential_name"] == credential]


def _delete_credential(call: Call) -> Document:
    with writing(call) as (authority, securables):
        credential = authority.require_manage(Securable.STORAGE_CREDENTIAL, call.path_parameters["name"])
        using = _using(securables, credential["name"])
        if using and not call.flag("force"):
            raise ApiError(
                "INVALID_STATE",
                f"Storage credential '{credential['name']}' cannot be deleted because it is used by {len(using)} external location(s): "
                f"{', '.join(each['name'] for each in using)}. Use force to delete it anyway.",
            )
        securables.remove(credential)
    return {}


def _require_reachable(call: Call, credential: Document, url: StorageUrl, *, read_only: bool) -> None:
    """What Databricks finds out by listing and writing: whether the credential's identity has its role on the storage."""
    for failure in access_failures(call, credential, url, read_only=read_only):
        raise ApiError("PERMISSION_DENIED", failure)


def access_failures(call: Call, credential: Document, url: StorageUrl, *, read_only: bool) -> list[str]:
    """Why the credential's identity cannot use the URL. Raises ApiError when the connector or the container does not exist."""
    object_id = _connector_identity(call, credential["azure_managed_identity"])
    container = StorageUrl(url.container, url.account).text + "/"
    scope = call.estate.ask("arm.storage_scope", url=container)
    if not call.estate.ask("arm.can_read_storage", principal_object_id=object_id, url=container):
        return [f"The Azure Managed Identity does not have READ permissions on path {url.text}. Please assign it {_WRITER}."]
    if not read_only and not call.estate.ask("arm.has_role", object_id=object_id, role_name=_WRITER, scope=scope):
        return [f"The Azure Managed Identity does not have WRITE permissions on path {url.text}. Please assign it {_WRITER}."]
    return []


def _create_location(call: Call) -> Document:
    name = valid_name("CreateExternalLocation", call.json.get("name"))
    if not call.json.get("url"):
        raise ApiError("INVALID_PARAMETER_VALUE", "CreateExternalLocation Missing required field: url")
    url = StorageUrl.parse(call.json["url"])
    credential_name = str(call.required("credential_name")).lower()
    read_only = bool(call.json.get("read_only", False))
    with writing(call) as (authority, securables):
        authority.require("CREATE_EXTERNAL_LOCATION", Securable.METASTORE, securables.metastore["metastore_id"])
        credential = authority.require("CREATE_EXTERNAL_LOCATION", Securable.STORAGE_CREDENTIAL, credential_name)
        if securables.find(Securable.EXTERNAL_LOCATION, name) is not None:
            raise ApiError("EXTERNAL_LOCATION_ALREADY_EXISTS", f"External Location '{name}' already exists")
        _refuse_overlap(securables, url, "CreateExternalLocation")
        if not call.flag("skip_validation"):
            _require_reachable(call, credential, url, read_only=read_only)
        location = securables.create(
            Securable.EXTERNAL_LOCATION,
            name,
            owner=call.caller.name,
            now_ms=call.estate.clock.now_ms(),
            url=url.text,
            credential_name=credential["name"],
            credential_id=credential["uid"],
            read_only=read_only,
            comment=call.json.get("comment"),
            isolation_mode=_isolation(call),
            fallback=bool(call.json.get("fallback", False)),
            enable_file_events=call.json.get("enable_file_events"),
            encryption_details=call.json.get("encryption_details"),
            file_event_queue=call.json.get("file_event_queue"),
        )
        bind_current_workspace(securables, location, call.workspace_id)
    return _location(location)


def _location(document: Document) -> Document:
    return {name: value for name, value in wire(document).items() if name != "full_name"}


def _refuse_overlap(securables: Securables, url: StorageUrl, request: str, ignoring: str = "") -> None:
    other = conflict(securables, url, (Securable.EXTERNAL_LOCATION,))
    if other is not None and other["name"] != ignoring:
        raise ApiError(
            "INVALID_PARAMETER_VALUE",
            f"LOCATION_OVERLAP: Input path url '{url.text}' overlaps with other external locations within '{request}' call. "
            f"Conflicting location: {other['name']}, {other['url']}.",
        )


def _update_location(call: Call) -> Document:
    require_something(call, "UpdateExternalLocation", ("new_name", "url", "credential_name", *_LOCATION_FIELDS))
    if "isolation_mode" in call.json:
        _isolation(call)
    with writing(call) as (authority, securables):
        location = changed(call, authority.require_manage(Securable.EXTERNAL_LOCATION, call.path_parameters["name"]), _LOCATION_FIELDS)
        if "url" in call.json or "credential_name" in call.json:
            location = _moved(call, authority.securables, location)
            credential = securables.get(Securable.STORAGE_CREDENTIAL, location["credential_name"])
            if location["credential_id"] != credential["uid"]:
                authority.require("CREATE_EXTERNAL_LOCATION", Securable.STORAGE_CREDENTIAL, credential["name"])
                location = {**location, "credential_id": credential["uid"]}
            if not call.flag("skip_validation"):
                _require_reachable(call, credential, StorageUrl.parse(location["url"]), read_only=location["read_only"])
        securables.put(location)
        if call.json.get("isolation_mode"):
            bind_current_workspace(securables, location, call.workspace_id)
        if call.json.get("new_name"):
            location = securables.rename(location, valid_name("UpdateExternalLocation", call.json["new_name"]))
    return _location(location)


def _moved(call: Call, securables: Securables, location: Document) -> Document:
    url = StorageUrl.parse(call.json.get("url") or location["url"])
    if url.text != location["url"]:
        _refuse_overlap(securables, url, "UpdateExternalLocation", location["name"])
        if (users := dependants(securables, location)) and not call.flag("force"):
            raise ApiError("INVALID_STATE", _in_use(location, users))
    return {**location, "url": url.text, "credential_name": str(call.json.get("credential_name") or location["credential_name"]).lower()}


def dependants(securables: Securables, location: Document) -> list[str]:
    """Full names of what stores bytes in the location: catalogs, schemas, external tables and volumes."""
    found = securables.below(StorageUrl.parse(location["url"]).text)
    data = (Securable.TABLE, Securable.VOLUME)
    return [
        each["full_name"]
        for each in found
        if each["type"] in (Securable.CATALOG, Securable.SCHEMA)
        or (each["type"] in data and "EXTERNAL" in (each.get("table_type"), each.get("volume_type")))
    ]


def _in_use(location: Document, users: list[str]) -> str:
    shown = ", ".join(users[:5]) + (", …" if len(users) > 5 else "")
    return f"External location '{location['name']}' is used by {len(users)} dependent object(s): {shown}. Use force to go on anyway."


def _delete_location(call: Call) -> Document:
    with writing(call) as (authority, securables):
        location = authority.require_manage(Securable.EXTERNAL_LOCATION, call.path_parameters["name"])
        if (users := dependants(securables, location)) and not call.flag("force"):
            raise ApiError("INVALID_STATE", _in_use(location, users))
        securables.remove(location)
    return {}


def _list_credentials(call: Call) -> Document:
    authority = reading(call)
    return page(call, "storage_credentials", visible(authority, authority.securables.all(Securable.STORAGE_CREDENTIAL)))


def _get_credential(call: Call) -> Document:
    return wire(reading(call).require_visible(Securable.STORAGE_CREDENTIAL, call.path_parameters["name"]))


def _list_locations(call: Call) -> Document:
    authority = reading(call)
    shown = visible(authority, authority.securables.all(Securable.EXTERNAL_LOCATION))
    return page(call, "external_locations", [_location(each) for each in shown])


def _get_location(call: Call) -> Document:
    authority = reading(call)
    location = authority.require_visible(Securable.EXTERNAL_LOCATION, call.path_parameters["name"])
    return _location(location)


def _validate(call: Call) -> Document:
    """Failures are results, not errors."""
    authority = reading(call)
    named = call.json.get("external_location_name")
    if named:
        location = authority.require_visible(Securable.EXTERNAL_LOCATION, str(named).lower())
        url, credential_name = StorageUrl.parse(location["url"]), location["credential_name"]
    else:
        url = StorageUrl.parse(call.json.get("url"))
        credential_name = str(call.required("storage_credential_name")).lower()
    credential = authority.require_manage(Securable.STORAGE_CREDENTIAL, credential_name)
    try:
        failures = access_failures(call, credential, url, read_only=call.flag("read_only"))
    except ApiError as error:
        failures = [error.message]
    operations = ("LIST", "READ", "PATH_EXISTS") if call.flag("read_only") else ("LIST", "READ", "WRITE", "DELETE", "PATH_EXISTS")
    results = [
        {"operation": operation, "result": "FAIL", "message": failures[0]} if failures else {"operation": operation, "result": "PASS"}
        for operation in operations
    ]
    return {"is_dir": not failures, "results": results}


def _route(method: str, path: str, handler: Any) -> Route:
    return Route(method=method, path=f"{UC}/{path}", handler=handler, level="executed")


ROUTES = (
    _route("POST", "storage-credentials", _create_credential),
    _route("GET", "storage-credentials", _list_credentials),
    _route("GET", "storage-credentials/{name}", _get_credential),
    _route("PATCH", "storage-credentials/{name}", _update_credential),
    _route("DELETE", "storage-credentials/{name}", _delete_credential),
    _route("POST", "external-locations", _create_location),
    _route("GET", "external-locations", _list_locations),
    _route("GET", "external-locations/{name}", _get_location),
    _route("PATCH", "external-locations/{name}", _update_location),
    _route("DELETE", "external-locations/{name}", _delete_location),
    _route("POST", "validate-storage-credentials", _validate),
)
