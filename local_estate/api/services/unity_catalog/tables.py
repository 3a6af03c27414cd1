"""Tables: files are written under a staging id first, then registered under the same id in one step."""

from __future__ import annotations

import re
import uuid
from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError, not_supported
from local_estate.api.kernel.routing import Route
from local_estate.api.kernel.store import Document
from local_estate.api.services.unity_catalog.authorization import Authority, denied
from local_estate.api.services.unity_catalog.definers import links, reached
from local_estate.api.services.unity_catalog.locations import discard, managed_root, refuse_overlap, require_on_location, sweep
from local_estate.api.services.unity_catalog.protection import protection, require_bindings
from local_estate.api.services.unity_catalog.requests import UC, changed, page, reading, require_something, visible, wire, writing
from local_estate.api.services.unity_catalog.securables import INFORMATION_SCHEMA, STAGING, Securable, SecurableWrites, valid_name
from local_estate.api.services.unity_catalog.storage_urls import StorageUrl

_TYPES = ("MANAGED", "EXTERNAL", "VIEW", "MATERIALIZED_VIEW", "STREAMING_TABLE")
_FORMATS = ("DELTA", "PARQUET", "CSV", "JSON", "AVRO", "ORC", "TEXT", "ICEBERG")
_DATA_FIELDS = ("columns", "properties")  # what a writer with MODIFY changes when the schema evolves
_OWNED_FIELDS = (
    "comment",
    "owner",
    "row_filter",
    "view_definition",
    "view_dependencies",
    "table_constraints",
    "enable_predictive_optimization",
)
_COLUMN_FIELDS = (
    "name",
    "type_text",
    "type_json",
    "type_name",
    "type_precision",
    "type_scale",
    "type_interval_type",
    "position",
    "comment",
    "nullable",
    "partition_index",
    "mask",
)


def _columns(given: Any) -> list[Document]:
    """Checked and completed: position by order, nullable unless said otherwise. Raises ApiError INVALID_PARAMETER_VALUE."""
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise ApiError("INVALID_PARAMETER_VALUE", "columns must be a list of objects.")
    columns: list[Document] = []
    for position, column in enumerate(given):
        unknown = sorted(set(column) - set(_COLUMN_FIELDS))
        if unknown or not column.get("name") or not column.get("type_text"):
            reason = f"has unknown fields {', '.join(unknown)}" if unknown else "needs name and type_text"
            raise ApiError("INVALID_PARAMETER_VALUE", f"Column {column.get('name') or position} {reason}.")
        columns.append({"position": position, "nullable": True, **{name: value for name, value in column.items() if value is not None}})
    names = [str(column["name"]).lower() for column in columns]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ApiError("INVALID_PARAMETER_VALUE", f"Column names repeat: {', '.join(repeated)}.")
    return columns


def _names(call: Call, request: str) -> tuple[str, str, str]:
    catalog, schema = (str(call.required(field)).lower() for field in ("catalog_name", "schema_name"))
    return catalog, schema, valid_name(request, call.json.get("name"))


def _schema_for_new(authority: Authority, catalog: str, schema: str) -> Document:
    document = authority.require("CREATE_TABLE", Securable.SCHEMA, f"{catalog}.{schema}")
    if schema == INFORMATION_SCHEMA:
        raise denied("CREATE_TABLE", Securable.SCHEMA, document["full_name"])
    authority.require("USE_SCHEMA", Securable.SCHEMA, document["full_name"])
    return document


def _create_staging(call: Call) -> Document:
    catalog, schema, name = _names(call, "CreateStagingTable")
    with writing(call) as (authority, securables):
        parent = _schema_for_new(authority, catalog, schema)
        uid = str(uuid.uuid4())
        location = (managed_root(securables, parent) / f"tables/{uid}").text
        staging = {
            "id": uid,
            "name": name,
            "catalog_name": catalog,
            "schema_name": schema,
            "staging_location": location,
            "owner": call.caller.name,
            "metastore_id": securables.metastore["metastore_id"],
            "created_at": call.estate.clock.now_ms(),
        }
        securables.transaction.put(STAGING, uid, staging)
    return {key: value for key, value in staging.items() if key not in ("owner", "metastore_id")}


def _create(call: Call) -> Document:
    catalog, schema, name = _names(call, "CreateTable")
    kind = call.json.get("table_type") or "MANAGED"
    if kind not in _TYPES:
        raise ApiError("INVALID_PARAMETER_VALUE", f"table_type {kind!r} is not one of {', '.join(_TYPES)}.")
    stored_as = call.json.get("data_source_format")
    if stored_as is not None and stored_as not in _FORMATS:
        raise not_supported(f"data_source_format {stored_as}")
    if kind == "MANAGED" and stored_as not in (None, "DELTA"):
        raise ApiError("INVALID_PARAMETER_VALUE", f"Managed tables are DELTA, not {stored_as}.")
    full_name = f"{catalog}.{schema}.{name}"
    with writing(call) as (authority, securables):
        parent = _schema_for_new(authority, catalog, schema)
        if securables.find(Securable.TABLE, full_name) is not None:
            raise ApiError("TABLE_ALREADY_EXISTS", f"Table '{full_name}' already exists")
        uid, location = _storage(call, kind, authority, securables, parent)
        table = securables.create(
            Securable.TABLE,
            full_name,
            uid=uid,
            owner=call.caller.name,
            now_ms=call.estate.clock.now_ms(),
            table_id=uid,
            catalog_name=catalog,
            schema_name=schema,
            table_type=kind,
            data_source_format=stored_as or (None if kind == "VIEW" else "DELTA"),
            storage_location=location,
            columns=_columns(call.json.get("columns") or []),
            properties=call.json.get("properties") or {},
            comment=call.json.get("comment"),
            view_definition=call.json.get("view_definition"),
            view_dependencies=call.json.get("view_dependencies"),
            table_constraints=call.json.get("table_constraints"),
            row_filter=call.json.get("row_filter"),
        )
    return wire(table)


def _storage(call: Call, kind: str, authority: Authority, securables: SecurableWrites, schema: Document) -> tuple[str, str | None]:
    """Id and location of the new table. A managed one takes over the staging entry its files were written under."""
    given = call.json.get("storage_location")
    if kind == "VIEW":
        if not call.json.get("view_definition"):
            raise ApiError("INVALID_PARAMETER_VALUE", "CreateTable Missing required field: view_definition")
        return str(uuid.uuid4()), None
    if kind == "EXTERNAL":
        url = StorageUrl.parse(given)
        require_on_location(authority, url, "CREATE_EXTERNAL_TABLE")
        refuse_overlap(securables, url, "CreateExternalTable")
        return str(uuid.uuid4()), url.text
    if not given:
        uid = str(uuid.uuid4())
        return uid, (managed_root(securables, schema) / f"tables/{uid}").text
    location = StorageUrl.parse(given).text
    staging = securables.reader.get(STAGING, location.rpartition("/")[2])
    if staging is None or staging["staging_location"] != location or staging["owner"] not in authority.caller.identities:
        raise ApiError("INVALID_PARAMETER_VALUE", f"Managed tables are stored where a staging table of yours says, and '{given}' is none.")
    if (staging["catalog_name"], staging["schema_name"]) != (schema["catalog_name"], schema["name"]):
        raise ApiError("INVALID_PARAMETER_VALUE", f"Staging location '{given}' belongs to another schema than '{schema['full_name']}'.")
    securables.transaction.delete(STAGING, staging["id"])
    return str(staging["id"]), location


def _visible_tables(call: Call) -> list[Document]:
    authority = reading(call)
    catalog = str(call.required("catalog_name")).lower()
    schema = authority.require_visible(Securable.SCHEMA, f"{catalog}.{str(call.required('schema_name')).lower()}")
    return visible(authority, authority.securables.all(Securable.TABLE, schema["full_name"]))


def _list(call: Call) -> Document:
    tables = _visible_tables(call)
    if call.flag("omit_columns"):
        tables = [{name: value for name, value in table.items() if name != "columns"} for table in tables]
    return page(call, "tables", tables, key="full_name")


def _summaries(call: Call) -> Document:
    authority = reading(call)
    catalog = authority.require_visible(Securable.CATALOG, str(call.required("catalog_name")).lower())
    schemas, tables = (_like(str(call.data.get(f"{what}_name_pattern") or "%")) for what in ("schema", "table"))
    found = [
        {"full_name": table["full_name"], "table_type": table["table_type"]}
        for table in visible(authority, authority.securables.all(Securable.TABLE, catalog["name"]))
        if schemas.fullmatch(table["schema_name"]) and tables.fullmatch(table["name"])
    ]
    return page(call, "tables", found, key="full_name")


def _like(pattern: str) -> re.Pattern[str]:
    """A SQL LIKE pattern."""
    return re.compile("".join({"%": ".*", "_": "."}.get(character, re.escape(character)) for character in pattern), re.IGNORECASE)


def _get(call: Call) -> Document:
    authority = reading(call)
    through = links(str(call.data.get("through", "")))
    acting = reached(call.estate, authority, through, call.path_parameters["full_name"]) if through else authority
    table = acting.require_visible(Securable.TABLE, call.path_parameters["full_name"])
    answer = wire(table, browse_only=acting.sees(table) == "browse")
    if not call.flag("protection"):
        return answer

    def governs(key: str) -> bool:
        return call.estate.ask("tag_policies.allowed_values", key=key) is not None

    # Spark asks for it with the table it is about to read, so that a mask costs no request of its own.
    return {**answer, "protection": protection(authority.securables, authority.caller, table, governs)}


def _exists(call: Call) -> Document:
    try:
        reading(call).require_visible(Securable.TABLE, call.path_parameters["full_name"])
    except ApiError as error:
        if error.code == "TABLE_DOES_NOT_EXIST":
            return {"table_exists": False}
        raise
    return {"table_exists": True}


def _update(call: Call) -> Document:
    """Owner and comment by who manages the table; columns and properties also by who may write it."""
    require_something(call, "UpdateTable", ("new_name", *_DATA_FIELDS, *_OWNED_FIELDS))
    full_name = call.path_parameters["full_name"]
    with writing(call) as (authority, securables):
        given = call.json.get("columns")
        masking = isinstance(given, list) and any(isinstance(each, dict) and "mask" in each for each in given)
        writer_only = not masking and not any(name in call.json for name in ("new_name", *_OWNED_FIELDS))
        table = authority.require_visible(Securable.TABLE, full_name)
        manages = authority.manages(table)
        if writer_only and not manages:
            table = authority.require("MODIFY", Securable.TABLE, full_name)
        else:
            table = authority.require_manage(Securable.TABLE, full_name)
        updated = changed(call, table, (*_OWNED_FIELDS, "properties"))
        if "columns" in call.json:
            columns = _columns(call.json["columns"])
            unmasked = {str(each["name"]).lower() for each in call.json["columns"] if manages and each.get("mask", ...) is None}
            # The runtime sends columns as it finds them in the log, without masks; those stay until their owner says otherwise.
            masks = {
                column["name"].lower(): column["mask"]
                for column in table.get("columns", ())
                if column.get("mask") and column["name"].lower() not in unmasked
            }
            kept = [
                {**column, "mask": masks[column["name"].lower()]} if _keeps_mask(column, masks, manages) else column for column in columns
            ]
            if not manages and any(column.get("mask") != masks.get(column["name"].lower()) for column in kept):
                raise denied("MANAGE", Securable.TABLE, table["full_name"])
            updated = updated if kept == table.get("columns") else {**updated, "columns": kept, "updated_at": call.estate.clock.now_ms()}
        if "columns" in call.json or "row_filter" in call.json:
            require_bindings(authority, table, updated)
        securables.put(updated)
        if call.json.get("new_name"):
            updated = securables.rename(updated, valid_name("UpdateTable", call.json["new_name"]))
    return wire(updated)


def _keeps_mask(column: Document, masks: dict[str, Any], manages: bool) -> bool:
    name = column["name"].lower()
    return name in masks and ("mask" not in column or not manages)


def _delete(call: Call) -> Document:
    with writing(call) as (authority, securables):
        discard(securables, authority.require_manage(Securable.TABLE, call.path_parameters["full_name"]))
    sweep(call.estate)
    return {}


def _route(method: str, path: str, handler: Any) -> Route:
    return Route(method=method, path=f"{UC}/{path}", handler=handler, level="executed")


ROUTES = (
    _route("POST", "staging-tables", _create_staging),
    _route("POST", "tables", _create),
    _route("GET", "tables", _list),
    _route("GET", "table-summaries", _summaries),
    _route("GET", "tables/{full_name}", _get),
    _route("GET", "tables/{full_name}/exists", _exists),
    _route("PATCH", "tables/{full_name}", _update),
    _route("DELETE", "tables/{full_name}", _delete),
)
