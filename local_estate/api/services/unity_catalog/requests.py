"""What every Unity Catalog handler begins and ends with: the metastore seen as the caller, wire forms, pages."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document
from local_estate.api.services.unity_catalog.authorization import Authority, Caller, metastore_of
from local_estate.api.services.unity_catalog.securables import EVERYONE, Securables, SecurableWrites

UC = "/api/2.1/unity-catalog"
_PAGE = 1000


def reading(call: Call) -> Authority:
    """The caller's view of the workspace's metastore."""
    reader = call.store.read
    return Authority(Securables(reader, metastore_of(reader, call.workspace_id)), Caller.of(call.estate, call.caller.id, call.workspace_id))


@contextmanager
def writing(call: Call) -> Iterator[tuple[Authority, SecurableWrites]]:
    """The same within a transaction, with what may change it."""
    caller = Caller.of(call.estate, call.caller.id, call.workspace_id)
    with call.store.transaction() as transaction:
        securables = SecurableWrites(transaction, metastore_of(transaction, call.workspace_id))
        yield Authority(securables, caller), securables


def wire(document: Document, *, browse_only: bool = False) -> Document:
    """Without what is ours alone."""
    shown = {name: value for name, value in document.items() if name not in ("uid", "type")}
    return {**shown, "browse_only": True} if browse_only else shown


def visible(authority: Authority, documents: Iterable[Document]) -> list[Document]:
    """Those the caller may see, in wire form."""
    seen = ((document, authority.sees(document)) for document in documents)
    return [wire(document, browse_only=how == "browse") for document, how in seen if how]


def page(call: Call, field: str, items: list[Document], *, key: str = "name") -> Document:
    """One page of `items` in the order of `key`. Without `max_results` all of them; 0 is the server's page size."""
    items = sorted(items, key=lambda item: str(item[key]))
    token = str(call.data.get("page_token", ""))
    if token:
        after = _token_value(token)
        items = [item for item in items if str(item[key]) > after]
    if "max_results" not in call.data and not token:
        return {field: items}
    size = call.number("max_results", 0)
    if size < 0:
        raise ApiError("INVALID_PARAMETER_VALUE", f"max_results must not be negative, but is {size}.")
    size = min(size or _PAGE, _PAGE)
    answer: Document = {field: items[:size]}
    if len(items) > size:
        answer["next_page_token"] = base64.urlsafe_b64encode(json.dumps(str(items[size - 1][key])).encode()).decode()
    return answer


def _token_value(token: str) -> str:
    try:
        return str(json.loads(base64.urlsafe_b64decode(token.encode())))
    except ValueError:
        raise ApiError("INVALID_PARAMETER_VALUE", f"Invalid page token: {token[:50]}") from None


def grantee(call: Call, name: Any) -> str:
    """The canonical name of a principal. Raises ApiError PRINCIPAL_DOES_NOT_EXIST."""
    if name == EVERYONE:
        return EVERYONE
    found = call.estate.ask("identity.grantee", name=str(name)) if name else None
    if found is None:
        raise ApiError("PRINCIPAL_DOES_NOT_EXIST", f"Could not find principal with name {name}")
    return str(found)


def changed(call: Call, document: Document, fields: Iterable[str]) -> Document:
    """The document with the given fields of the body over it, and who changed it when. `owner` must be a principal."""
    given = {name: call.json[name] for name in fields if name in call.json}
    if "owner" in given:
        given["owner"] = grantee(call, given["owner"])
    if all(document.get(name) == value for name, value in given.items()):
        return document
    return {**document, **given, "updated_at": call.estate.clock.now_ms(), "updated_by": call.caller.name}


def require_something(call: Call, request: str, fields: Iterable[str]) -> None:
    if not any(name in call.json for name in fields):
        raise ApiError("INVALID_PARAMETER_VALUE", f"{request} Nothing to update")
