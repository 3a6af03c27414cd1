"""Tags on catalogs, schemas, tables, volumes and columns. They follow their entity through a rename and go with it.

A key that a tag policy of the account governs takes its values from there, and is assigned by whom the policy lets.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.routing import Route
from local_estate.api.kernel.store import Document
from local_estate.api.services.unity_catalog.authorization import Authority
from local_estate.api.services.unity_catalog.requests import UC, page, reading, writing
from local_estate.api.services.unity_catalog.securables import TAGS, Securable, Securables, SecurableWrites

_TYPES = {
    "catalogs": Securable.CATALOG,
    "schemas": Securable.SCHEMA,
    "tables": Securable.TABLE,
    "volumes": Securable.VOLUME,
    "columns": Securable.TABLE,
}


def tags_of(securables: Securables, document: Document, column: str = "") -> dict[str, Document]:
    """By key; `column` in lower case, "" for the securable itself."""
    stored = securables.reader.get(TAGS, document["uid"]) or {}
    return dict(stored.get(column, {}))


def values(tags: dict[str, Document]) -> dict[str, str]:
    return {key: str(tag.get("tag_value") or "") for key, tag in tags.items()}


@dataclass(frozen=True, kw_only=True)
class _Entity:
    """What is tagged: a securable, or one column of a table."""

    type: str
    name: str
    securable: Securable
    full_name: str
    column: str = ""

    @classmethod
    def named(cls, type_: str, name: str) -> _Entity:
        """Raises ApiError INVALID_PARAMETER_VALUE for what cannot be tagged."""
        if type_ not in _TYPES:
            raise ApiError("INVALID_PARAMETER_VALUE", f"entity_type {type_!r} is not one of {', '.join(_TYPES)}.")
        table, _, column = name.rpartition(".")
        if type_ != "columns":
            return cls(type=type_, name=name, securable=_TYPES[type_], full_name=name.lower())
        if name.count(".") != 3:
            raise ApiError("INVALID_PARAMETER_VALUE", f"'{name}' is not the name of a column: catalog.schema.table.column.")
        return cls(type=type_, name=name, securable=Securable.TABLE, full_name=table.lower(), column=column.lower())

    def found(self, authority: Authority) -> Document:
        document = authority.require_visible(self.securable, self.full_name)
        if self.column and self.column not in {str(each["name"]).lower() for each in document.get("columns", ())}:
            raise ApiError("COLUMN_DOES_NOT_EXIST", f"Column '{self.column}' does not exist in table '{document['full_name']}'.")
        return document

    def wire(self, tag: Document) -> Document:
        return {"entity_type": self.type, "entity_name": self.name, **tag}


def _entity(call: Call) -> _Entity:
    return _Entity.named(call.path_parameters["entity_type"], call.path_parameters["entity_name"])


@contextmanager
def _changing(call: Call, entity: _Entity, key: str) -> Iterator[dict[str, Document]]:
    """The tags of the entity by key, to change in place; for its owner, who manages it, or who has APPLY TAG.

    A governed key needs ASSIGN or MANAGE on its tag policy besides, from owners too.
    """
    with writing(call) as (authority, securables):
        document = entity.found(authority)
        if not authority.manages(document):
            authority.require("APPLY_TAG", entity.securable, entity.full_name)
        if not call.estate.ask("tag_policies.may_assign", key=key, principal_id=call.caller.id):
            raise ApiError(
                "PERMISSION_DENIED",
                f"User does not have ASSIGN on governed tag '{key}'. Who manages it grants roles/tagPolicy.assigner in its rule set.",
            )
        tags = tags_of(securables, document, entity.column)
        yield tags
        _store(securables, document, entity.column, tags)


def _store(securables: SecurableWrites, document: Document, column: str, tags: dict[str, Document]) -> None:
    stored = {**(securables.reader.get(TAGS, document["uid"]) or {}), column: tags}
    securables.transaction.put(TAGS, document["uid"], {name: held for name, held in stored.items() if held})


def _tag(call: Call, key: str, value: Any) -> Document:
    if not key or len(key) > 255 or len(str(value or "")) > 1000:
        raise ApiError("INVALID_PARAMETER_VALUE", "tag_key needs 1 to 255 characters, tag_value at most 1000.")
    now = datetime.fromtimestamp(call.estate.clock.now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"tag_key": key, "tag_value": str(value or ""), "updated_by": call.caller.name, "update_time": now}


def _require_allowed(call: Call, tag: Document) -> None:
    """A governed tag without allowed values stands alone; with some, it takes one of them."""
    allowed = call.estate.ask("tag_policies.allowed_values", key=tag["tag_key"])
    if allowed is not None and tag["tag_value"] not in (allowed or [""]):
        raise ApiError(
            "INVALID_PARAMETER_VALUE",
            f"Tag value {tag['tag_value']} is not an allowed value for tag policy key {tag['tag_key']}. "
            f"Allowed values: [{', '.join(allowed)}]",
        )


def _create(call: Call) -> Document:
    entity = _Entity.named(str(call.required("entity_type")), str(call.required("entity_name")))
    tag = _tag(call, str(call.required("tag_key")), call.json.get("tag_value"))
    with _changing(call, entity, tag["tag_key"]) as tags:
        if tag["tag_key"] in tags:
            raise ApiError("ALREADY_EXISTS", f"Tag '{tag['tag_key']}' is already assigned to {entity.type} '{entity.name}'.")
        _require_allowed(call, tag)
        tags[tag["tag_key"]] = tag
    return entity.wire(tag)


def _list(call: Call) -> Document:
    entity, authority = _entity(call), reading(call)
    tags = tags_of(authority.securables, entity.found(authority), entity.column)
    return page(call, "tag_assignments", [entity.wire(tag) for tag in tags.values()], key="tag_key")


def _existing(entity: _Entity, tags: dict[str, Document], key: str) -> Document:
    if key not in tags:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Tag '{key}' is not assigned to {entity.type} '{entity.name}'.")
    return tags[key]


def _get(call: Call) -> Document:
    entity, authority = _entity(call), reading(call)
    tags = tags_of(authority.securables, entity.found(authority), entity.column)
    return entity.wire(_existing(entity, tags, call.path_parameters["tag_key"]))


def _update(call: Call) -> Document:
    entity, key = _entity(call), call.path_parameters["tag_key"]
    tag = _tag(call, key, call.json.get("tag_value"))
    with _changing(call, entity, key) as tags:
        _existing(entity, tags, key)
        _require_allowed(call, tag)
        tags[key] = tag
    return entity.wire(tags[key])


def _delete(call: Call) -> Document:
    entity, key = _entity(call), call.path_parameters["tag_key"]
    with _changing(call, entity, key) as tags:
        _existing(entity, tags, key)
        del tags[key]
    return {}


def _route(method: str, path: str, handler: Any) -> Route:
    return Route(method=method, path=f"{UC}/entity-tag-assignments{path}", handler=handler, level="executed")


ROUTES = (
    _route("POST", "", _create),
    _route("GET", "/{entity_type}/{entity_name}/tags", _list),
    _route("GET", "/{entity_type}/{entity_name}/tags/{tag_key}", _get),
    _route("PATCH", "/{entity_type}/{entity_name}/tags/{tag_key}", _update),
    _route("DELETE", "/{entity_type}/{entity_name}/tags/{tag_key}", _delete),
)

__all__ = ["ROUTES", "tags_of", "values"]
