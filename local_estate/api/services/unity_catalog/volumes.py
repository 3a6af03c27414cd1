"""Volumes, managed and external; `/Volumes/<catalog>/<schema>/<volume>` is usable as soon as one exists."""

from __future__ import annotations

import uuid
from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.routing import Route
from local_estate.api.kernel.store import Document
from local_estate.api.services.unity_catalog.authorization import denied
from local_estate.api.services.unity_catalog.locations import discard, managed_root, refuse_overlap, require_on_location, sweep
from local_estate.api.services.unity_catalog.requests import UC, changed, page, reading, require_something, visible, wire, writing
from local_estate.api.services.unity_catalog.securables import INFORMATION_SCHEMA, Securable, valid_name
from local_estate.api.services.unity_catalog.storage_urls import StorageUrl

_FIELDS = ("comment", "owner")


def _create(call: Call) -> Document:
    name = valid_name("CreateVolume", call.json.get("name"))
    catalog, schema = (str(call.required(field)).lower() for field in ("catalog_name", "schema_name"))
    kind = call.required("volume_type")
    given = call.json.get("storage_location")
    if kind not in ("MANAGED", "EXTERNAL"):
        raise ApiError("INVALID_PARAMETER_VALUE", f"volume_type {kind!r} is not one of MANAGED, EXTERNAL.")
    if kind == "MANAGED" and given:
        raise ApiError("INVALID_PARAMETER_VALUE", "CreateVolume storage_location must not be set for a MANAGED volume.")
    if kind == "EXTERNAL" and not given:
        raise ApiError("INVALID_PARAMETER_VALUE", "CreateVolume Missing required field: storage_location")
    with writing(call) as (authority, securables):
        parent = authority.require("CREATE_VOLUME", Securable.SCHEMA, f"{catalog}.{schema}")
        authority.require("USE_SCHEMA", Securable.SCHEMA, parent["full_name"])
        if schema == INFORMATION_SCHEMA:
            raise denied("CREATE_VOLUME", Securable.SCHEMA, parent["full_name"])
        if securables.find(Securable.VOLUME, f"{catalog}.{schema}.{name}") is not None:
            raise ApiError("VOLUME_ALREADY_EXISTS", f"Volume '{catalog}.{schema}.{name}' already exists")
        uid = str(uuid.uuid4())
        if kind == "MANAGED":
            url = managed_root(securables, parent) / f"volumes/{uid}"
        else:
            url = StorageUrl.parse(given)
            require_on_location(authority, url, "CREATE_EXTERNAL_VOLUME")
            refuse_overlap(securables, url, "CreateVolume")
        volume = securables.create(
            Securable.VOLUME,
            f"{catalog}.{schema}.{name}",
            uid=uid,
            owner=call.caller.name,
            now_ms=call.estate.clock.now_ms(),
            volume_id=uid,
            catalog_name=catalog,
            schema_name=schema,
            volume_type=kind,
            storage_location=url.text,
            comment=call.json.get("comment"),
        )
        url.local(call.estate).mkdir(parents=True, exist_ok=True)
    return wire(volume)


def _list(call: Call) -> Document:
    authority = reading(call)
    name = ".".join(str(call.required(field)).lower() for field in ("catalog_name", "schema_name"))
    schema = authority.require_visible(Securable.SCHEMA, name)
    return page(call, "volumes", visible(authority, authority.securables.all(Securable.VOLUME, schema["full_name"])), key="full_name")


def _get(call: Call) -> Document:
    authority = reading(call)
    volume = authority.require_visible(Securable.VOLUME, call.path_parameters["name"])
    return wire(volume, browse_only=authority.sees(volume) == "browse")


def _update(call: Call) -> Document:
    require_something(call, "UpdateVolume", ("new_name", *_FIELDS))
    with writing(call) as (authority, securables):
        volume = changed(call, authority.require_manage(Securable.VOLUME, call.path_parameters["name"]), _FIELDS)
        securables.put(volume)
        if call.json.get("new_name"):
            volume = securables.rename(volume, valid_name("UpdateVolume", call.json["new_name"]))
    return wire(volume)


def _delete(call: Call) -> Document:
    with writing(call) as (authority, securables):
        discard(securables, authority.require_manage(Securable.VOLUME, call.path_parameters["name"]))
    sweep(call.estate)
    return {}


def _route(method: str, path: str, handler: Any) -> Route:
    return Route(method=method, path=f"{UC}/{path}", handler=handler, level="executed")


ROUTES = (
    _route("POST", "volumes", _create),
    _route("GET", "volumes", _list),
    _route("GET", "volumes/{name}", _get),
    _route("PATCH", "volumes/{name}", _update),
    _route("DELETE", "volumes/{name}", _delete),
)
