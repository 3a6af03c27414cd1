"""Catalogs and schemas."""

from __future__ import annotations

from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError, not_supported
from local_estate.api.kernel.routing import Route
from local_estate.api.kernel.store import Document
from local_estate.api.services.unity_catalog.authorization import Authority
from local_estate.api.services.unity_catalog.bindings import bind_current_workspace
from local_estate.api.services.unity_catalog.locations import discard_below, require_on_location, sweep
from local_estate.api.services.unity_catalog.requests import UC, changed, page, reading, require_something, visible, wire, writing
from local_estate.api.services.unity_catalog.securables import (
    EVERYONE,
    GRANTS,
    INFORMATION_SCHEMA,
    SYSTEM_USER,
    Securable,
    Securables,
    SecurableWrites,
    valid_name,
)
from local_estate.api.services.unity_catalog.storage_urls import StorageUrl

_CATALOG_FIELDS = (
    "comment",
    "owner",
    "properties",
    "options",
    "isolation_mode",
    "enable_predictive_optimization",
    "custom_max_retention_hours",
)
_SCHEMA_FIELDS = ("comment", "owner", "properties", "enable_predictive_optimization", "custom_max_retention_hours")


def _storage_root(authority: Authority, call: Call, kept: str | None = None) -> str | None:
    """The managed location asked for, if the caller may put managed storage there."""
    root = call.json.get("storage_root")
    if not root:
        return kept
    url = StorageUrl.parse(root)
    require_on_location(authority, url, "CREATE_MANAGED_STORAGE")
    return url.text


def _predictive(document: Document, inherited: Document) -> Document:
    """`effective_predictive_optimization_flag` follows from the own setting or where it is inherited from."""
    own = document.get("enable_predictive_optimization", "INHERIT")
    parent = inherited.get("effective_predictive_optimization_flag") or {
        "value": "DISABLE",
        "inherited_from_type": "METASTORE",
        "inherited_from_name": inherited["name"],
    }
    return {
        **document,
        "enable_predictive_optimization": own,
        "effective_predictive_optimization_flag": parent if own == "INHERIT" else {"value": own},
    }


def _isolation(call: Call) -> str:
    mode = call.json.get("isolation_mode") or "OPEN"
    if mode not in ("OPEN", "ISOLATED"):
        raise ApiError("INVALID_PARAMETER_VALUE", f"isolation_mode {mode!r} is not one of OPEN, ISOLATED.")
    return str(mode)


def _create_catalog(call: Call) -> Document:
    name = valid_name("CreateCatalog", call.json.get("name"))
    for field in ("connection_name", "share_name", "provider_name"):
        if call.json.get(field):
            raise not_supported(f"foreign and shared catalogs ({field})")
    with writing(call) as (authority, securables):
        authority.require("CREATE_CATALOG", Securable.METASTORE, securables.metastore["metastore_id"])
        root = _storage_root(authority, call)
        if root is None and not securables.metastore.get("storage_root"):
            raise ApiError(
                "INVALID_STATE",
                "Metastore storage root URL does not exist. Please provide a storage location for the catalog "
                f"(for example 'CREATE CATALOG {name} MANAGED LOCATION '<location-path>').",
            )
        catalog = securables.create(
            Securable.CATALOG,
            name,
            owner=call.caller.name,
            now_ms=call.estate.clock.now_ms(),
            comment=call.json.get("comment"),
            properties=call.json.get("properties"),
            options=call.json.get("options"),
            catalog_type="MANAGED_CATALOG",
            isolation_mode=_isolation(call),
            securable_type="CATALOG",
            storage_root=root,
            enable_predictive_optimization=call.json.get("enable_predictive_optimization"),
            custom_max_retention_hours=call.json.get("custom_max_retention_hours"),
        )
        location = StorageUrl.parse(root or securables.metastore["storage_root"])
        catalog = _predictive(
            {**catalog, "storage_location": (location / f"__unitystorage/catalogs/{catalog['uid']}").text}, securables.metastore
        )
        securables.put(catalog)
        bind_current_workspace(securables, catalog, call.workspace_id)
        _add_schema(securables, catalog, "default", call.caller.name, call.estate.clock.now_ms(), comment="Default schema (auto-created)")
        views = _add_schema(
            securables, catalog, INFORMATION_SCHEMA, SYSTEM_USER, call.estate.clock.now_ms(), comment="Information schema (auto-created)"
        )
        # Whoever may use the catalog may read it: its views show each reader no more than what they may see.
        securables.transaction.put(GRANTS, views["uid"], {EVERYONE: ["SELECT", "USE_SCHEMA"]})
    return wire(catalog)


def _add_schema(securables: SecurableWrites, catalog: Document, name: str, owner: str, now_ms: int, **fields: Any) -> Document:
    schema = securables.create(
        Securable.SCHEMA,
        f"{catalog['name']}.{name}",
        owner=owner,
        now_ms=now_ms,
        catalog_name=catalog["name"],
        catalog_type="MANAGED_CATALOG",
        **fields,
    )
    schema = _predictive({**schema, "schema_id": schema["uid"]}, catalog)
    securables.put(schema)
    return schema


def _list_catalogs(call: Call) -> Document:
    authority = reading(call)
    found = authority.securables.all(Securable.CATALOG)
    unbound = call.flag("include_unbound")
    return page(call, "catalogs", visible(authority, (each for each in found if unbound or authority.is_bound(each))))


def _get_catalog(call: Call) -> Document:
    authority = reading(call)
    catalog = authority.require_visible(Securable.CATALOG, call.path_parameters["name"])
    return wire(catalog, browse_only=authority.sees(catalog) == "browse")


def _update_catalog(call: Call) -> Document:
    require_something(call, "UpdateCatalog", ("new_name", *_CATALOG_FIELDS))
    if "isolation_mode" in call.json:
        _isolation(call)
    with writing(call) as (authority, securables):
        catalog = authority.require_manage(Securable.CATALOG, call.path_parameters["name"])
        catalog = _predictive(changed(call, catalog, _CATALOG_FIELDS), securables.metastore)
        securables.put(catalog)
        if "isolation_mode" in call.json:
            bind_current_workspace(securables, catalog, call.workspace_id)
        if call.json.get("new_name"):
            catalog = securables.rename(catalog, valid_name("UpdateCatalog", call.json["new_name"]))
        for schema in list(securables.all(Securable.SCHEMA, catalog["name"])):
            securables.put(_predictive(schema, catalog))
    return wire(catalog)


def _delete_catalog(call: Call) -> Document:
    with writing(call) as (authority, securables):
        catalog = authority.require_manage(Securable.CATALOG, call.path_parameters["name"])
        schemas = [each for each in securables.all(Securable.SCHEMA, catalog["name"]) if each["name"] != INFORMATION_SCHEMA]
        if schemas and not call.flag("force"):
            raise ApiError(
                "INVALID_STATE",
                f"Catalog '{catalog['name']}' is not empty. The catalog has {len(schemas)} schema(s), 0 model(s), 0 credential(s).",
            )
        discard_below(securables, catalog)
        securables.remove(catalog)
    sweep(call.estate)
    return {}


def _create_schema(call: Call) -> Document:
    name = valid_name("CreateSchema", call.json.get("name"))
    catalog_name = str(call.required("catalog_name")).lower()
    with writing(call) as (authority, securables):
        catalog = authority.require("USE_CATALOG", Securable.CATALOG, catalog_name)
        authority.require("CREATE_SCHEMA", Securable.CATALOG, catalog_name)
        schema = _add_schema(
            securables,
            catalog,
            name,
            call.caller.name,
            call.estate.clock.now_ms(),
            comment=call.json.get("comment"),
            properties=call.json.get("properties"),
            storage_root=_storage_root(authority, call),
            enable_predictive_optimization=call.json.get("enable_predictive_optimization"),
            custom_max_retention_hours=call.json.get("custom_max_retention_hours"),
        )
        if schema.get("storage_root"):
            location = StorageUrl.parse(schema["storage_root"]) / f"__unitystorage/schemas/{schema['uid']}"
            schema = {**schema, "storage_location": location.text}
            securables.put(schema)
    return wire(schema)


def _list_schemas(call: Call) -> Document:
    authority = reading(call)
    catalog = authority.require_visible(Securable.CATALOG, str(call.required("catalog_name")).lower())
    authority.require_bound(catalog)
    return page(call, "schemas", visible(authority, authority.securables.all(Securable.SCHEMA, catalog["name"])))


def _get_schema(call: Call) -> Document:
    authority = reading(call)
    schema = authority.require_visible(Securable.SCHEMA, call.path_parameters["full_name"])
    return wire(schema, browse_only=authority.sees(schema) == "browse")


def _changeable(authority: Authority, full_name: str) -> Document:
    schema = authority.require_manage(Securable.SCHEMA, full_name)
    if schema["name"] == INFORMATION_SCHEMA:
        raise ApiError("INVALID_PARAMETER_VALUE", f"Schema '{schema['full_name']}' is a system schema and cannot be changed or deleted.")
    return schema


def _update_schema(call: Call) -> Document:
    require_something(call, "UpdateSchema", ("new_name", *_SCHEMA_FIELDS))
    with writing(call) as (authority, securables):
        schema = _changeable(authority, call.path_parameters["full_name"])
        catalog = securables.get(Securable.CATALOG, schema["catalog_name"])
        schema = _predictive(changed(call, schema, _SCHEMA_FIELDS), catalog)
        securables.put(schema)
        if call.json.get("new_name"):
            schema = securables.rename(schema, valid_name("UpdateSchema", call.json["new_name"]))
    return wire(schema)


def contents(securables: Securables, schema: Document) -> dict[Securable, int]:
    """How many tables, functions and volumes the schema holds."""
    return {
        kind: sum(1 for _ in securables.all(kind, schema["full_name"])) for kind in (Securable.TABLE, Securable.FUNCTION, Securable.VOLUME)
    }


def _delete_schema(call: Call) -> Document:
    with writing(call) as (authority, securables):
        schema = _changeable(authority, call.path_parameters["full_name"])
        counts = contents(securables, schema)
        if any(counts.values()) and not call.flag("force"):
            words = ", ".join(f"{count} {kind.value.lower()}(s)" for kind, count in counts.items())
            raise ApiError("INVALID_STATE", f"Schema '{schema['full_name']}' is not empty. The schema has {words}, 0 model(s).")
        discard_below(securables, schema)
        securables.remove(schema)
    sweep(call.estate)
    return {}


def _route(method: str, path: str, handler: Any) -> Route:
    return Route(method=method, path=f"{UC}/{path}", handler=handler, level="executed")


ROUTES = (
    _route("POST", "catalogs", _create_catalog),
    _route("GET", "catalogs", _list_catalogs),
    _route("GET", "catalogs/{name}", _get_catalog),
    _route("PATCH", "catalogs/{name}", _update_catalog),
    _route("DELETE", "catalogs/{name}", _delete_catalog),
    _route("POST", "schemas", _create_schema),
    _route("GET", "schemas", _list_schemas),
    _route("GET", "schemas/{full_name}", _get_schema),
    _route("PATCH", "schemas/{full_name}", _update_schema),
    _route("DELETE", "schemas/{full_name}", _delete_schema),
)
