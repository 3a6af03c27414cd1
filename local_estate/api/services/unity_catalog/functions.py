"""SQL functions: stored here, run by Spark."""

from __future__ import annotations

from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.routing import Route
from local_estate.api.kernel.store import Document
from local_estate.api.services.unity_catalog.authorization import Authority
from local_estate.api.services.unity_catalog.requests import UC, changed, page, reading, require_something, visible, wire, writing
from local_estate.api.services.unity_catalog.securables import Securable, SecurableWrites, valid_name

_STORED = (
    "input_params",
    "return_params",
    "data_type",
    "full_data_type",
    "routine_body",
    "routine_definition",
    "routine_dependencies",
    "parameter_style",
    "is_deterministic",
    "sql_data_access",
    "is_null_call",
    "security_type",
    "specific_name",
    "external_language",
    "external_name",
    "sql_path",
    "comment",
    "properties",
)


def _create(call: Call) -> Document:
    info = call.json.get("function_info", call.json)
    name = valid_name("CreateFunction", info.get("name"))
    for field in ("catalog_name", "schema_name", "routine_definition"):
        if not info.get(field):
            raise ApiError("INVALID_PARAMETER_VALUE", f"CreateFunction Missing required field: {field}")
    catalog, schema = str(info["catalog_name"]).lower(), str(info["schema_name"]).lower()
    with writing(call) as (authority, securables):
        parent = authority.require("CREATE_FUNCTION", Securable.SCHEMA, f"{catalog}.{schema}")
        authority.require("USE_SCHEMA", Securable.SCHEMA, parent["full_name"])
        if call.flag("or_replace") and securables.find(Securable.FUNCTION, f"{parent['full_name']}.{name}"):
            return _replace(call, authority, securables, f"{parent['full_name']}.{name}", info)
        function = securables.create(
            Securable.FUNCTION,
            f"{parent['full_name']}.{name}",
            owner=call.caller.name,
            now_ms=call.estate.clock.now_ms(),
            catalog_name=catalog,
            schema_name=schema,
            **{field: info[field] for field in _STORED if field in info},
        )
        function = {**function, "function_id": function["uid"]}
        securables.put(function)
    return wire(function)


def _replace(call: Call, authority: Authority, securables: SecurableWrites, full_name: str, info: Document) -> Document:
    """CREATE OR REPLACE, which only Spark asks for: the function keeps its id, owner and grants."""
    kept = authority.require_manage(Securable.FUNCTION, full_name)
    kept = {field: value for field, value in kept.items() if field not in _STORED}
    now = {"updated_at": call.estate.clock.now_ms(), "updated_by": call.caller.name}
    function = {**kept, **{field: info[field] for field in _STORED if info.get(field) is not None}, **now}
    securables.put(function)
    return wire(function)


def _list(call: Call) -> Document:
    authority = reading(call)
    name = ".".join(str(call.required(field)).lower() for field in ("catalog_name", "schema_name"))
    schema = authority.require_visible(Securable.SCHEMA, name)
    return page(call, "functions", visible(authority, authority.securables.all(Securable.FUNCTION, schema["full_name"])), key="full_name")


def _get(call: Call) -> Document:
    authority = reading(call)
    function = authority.require_visible(Securable.FUNCTION, call.path_parameters["name"])
    return wire(function, browse_only=authority.sees(function) == "browse")


def _update(call: Call) -> Document:
    require_something(call, "UpdateFunction", ("owner",))
    with writing(call) as (authority, securables):
        function = changed(call, authority.require_manage(Securable.FUNCTION, call.path_parameters["name"]), ("owner",))
        securables.put(function)
    return wire(function)


def _delete(call: Call) -> Document:
    with writing(call) as (authority, securables):
        securables.remove(authority.require_manage(Securable.FUNCTION, call.path_parameters["name"]))
    return {}


def _route(method: str, path: str, handler: Any) -> Route:
    return Route(method=method, path=f"{UC}/{path}", handler=handler)


ROUTES = (
    _route("POST", "functions", _create),
    _route("GET", "functions", _list),
    _route("GET", "functions/{name}", _get),
    _route("PATCH", "functions/{name}", _update),
    _route("DELETE", "functions/{name}", _delete),
)
