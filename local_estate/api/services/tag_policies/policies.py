"""Tag policies: each makes one tag key governed, in every workspace of the account, whichever of them asks.

Who assigned a key before it was governed keeps the assignment; who deletes its policy leaves the assignments, ungoverned again.
"""

from __future__ import annotations

import base64
import re
import uuid
from datetime import UTC, datetime
from typing import Any

from local_estate import tenancy
from local_estate.api.kernel.call import Call, Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.routing import Handler, Route
from local_estate.api.kernel.store import Document, Reader
from local_estate.api.services.tag_policies import rule_sets
from local_estate.api.services.tag_policies.rule_sets import POLICY, Role

_PAGE = 1000
_MOST_VALUES = 500
_CHANGEABLE = ("description", "values")
_FORBIDDEN = re.compile(r"[*./<>%&?\\=\x00-\x1f]")  # in keys and values alike


def _invalid(reason: str) -> ApiError:
    return ApiError("INVALID_PARAMETER_VALUE", f"Tag policy is not valid: {reason}")


def _checked_name(what: str, name: Any) -> str:
    if not isinstance(name, str) or not 1 <= len(name) <= 256:
        raise _invalid(f"{what} needs 1 to 256 characters.")
    if _FORBIDDEN.search(name) or name != name.strip():
        raise _invalid(f"{what} {name!r} must not contain * . / < > % & ? \\ = or control characters, nor begin or end with white space.")
    return name


def _checked_values(given: Any) -> list[Document]:
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise _invalid("values must be a list of objects with a name.")
    names = [_checked_name("a value", each.get("name")) for each in given]
    if len(names) > _MOST_VALUES:
        raise _invalid(f"it has {len(names)} values; {_MOST_VALUES} is the most.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise _invalid(f"value {', '.join(twice)} is given more than once.")
    return [{"name": name} for name in names]


def _given(call: Call) -> Document:
    """Description and values of the body, checked; what is empty is absent."""
    description = call.json.get("description")
    if not isinstance(description, str | None) or len(description or "") > 4096:
        raise _invalid("description is a text of at most 4096 characters.")
    given = {"description": description, "values": _checked_values(call.json.get("values") or [])}
    return {name: value for name, value in given.items() if value}


def _now(call: Call) -> str:
    return datetime.fromtimestamp(call.estate.clock.now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _found(reader: Reader, key: str) -> Document:
    policy = reader.get(POLICY, key)
    if policy is None:
        raise ApiError("NOT_FOUND", f"Tag policy {key} does not exist.")
    return policy


def _create(call: Call) -> Document:
    key = _checked_name("tag_key", call.required("tag_key"))
    holder = rule_sets.Holder.calling(call)
    with call.store.transaction() as transaction:
        if not holder.creates(transaction):
            raise ApiError("PERMISSION_DENIED", f"{call.caller.name} does not have CREATE on governed tags.")
        if transaction.get(POLICY, key) is not None:
            raise ApiError("ALREADY_EXISTS", f"Tag policy already exists in account {tenancy.ACCOUNT_ID}: {key}")
        now = _now(call)
        policy = {
            "tag_key": key,
            **_given(call),
            "id": str(uuid.uuid4()),
            "account_id": tenancy.ACCOUNT_ID,
            "create_time": now,
            "update_time": now,
        }
        transaction.put(POLICY, key, policy)
        rule_sets.begin(transaction, policy["id"], holder)
    return policy


def _get(call: Call) -> Document:
    return _found(call.store.read, call.path_parameters["tag_key"])


def _list(call: Call) -> Document:
    """Every governed tag of the account, for everyone, in the order of the keys."""
    after = _after(str(call.query.get("page_token") or ""))
    asked = call.number("page_size", 0)
    size = min(asked, _PAGE) if asked > 0 else _PAGE
    policies = [policy for key, policy in call.store.read.find(POLICY) if key > after]
    answer: Document = {"tag_policies": policies[:size]}
    if len(policies) > size:
        answer["next_page_token"] = base64.urlsafe_b64encode(policies[size - 1]["tag_key"].encode()).decode()
    return answer


def _after(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except ValueError:
        raise ApiError("INVALID_PARAMETER_VALUE", f"Invalid page token: {token[:50]}") from None


def _update(call: Call) -> Document:
    mask = [field for field in str(call.required("update_mask")).split(",") if field]
    fields = _CHANGEABLE if mask == ["*"] else tuple(mask)
    if unknown := sorted(set(fields) - set(_CHANGEABLE)):
        raise ApiError("INVALID_PARAMETER_VALUE", f"update_mask names {', '.join(unknown)}; only {', '.join(_CHANGEABLE)} can be updated.")
    given = {field: value for field, value in _given(call).items() if field in fields}
    with call.store.transaction() as transaction:
        before = _manageable(call, transaction)
        kept = {field: value for field, value in before.items() if field not in fields}
        policy = {**kept, **given, "update_time": _now(call)}
        transaction.put(POLICY, policy["tag_key"], policy)
    return policy


def _manageable(call: Call, reader: Reader) -> Document:
    policy = _found(reader, call.path_parameters["tag_key"])
    if not rule_sets.Holder.calling(call).holds(reader, policy["id"], Role.MANAGER):
        raise ApiError("PERMISSION_DENIED", f"{call.caller.name} does not have MANAGE on the governed tag {policy['tag_key']}.")
    return policy


def _delete(call: Call) -> Document:
    """Policies of Unity Catalog that refer to it do not keep it; their tables cannot be read until it is back or they are changed."""
    with call.store.transaction() as transaction:
        policy = _manageable(call, transaction)
        transaction.delete(POLICY, policy["tag_key"])
        rule_sets.end(transaction, policy["id"])
    return {}


def allowed_values(estate: Estate, *, key: str) -> list[str] | None:
    """Of a governed key, none for one that stands without a value; None for an ungoverned key."""
    policy = estate.store.read.get(POLICY, key)
    return None if policy is None else [str(value["name"]) for value in policy.get("values", ())]


def may_assign(estate: Estate, *, key: str, principal_id: str) -> bool:
    """Whether the tag policy, if there is one, lets the principal assign the key and take it away: ASSIGN or MANAGE."""
    policy = estate.store.read.get(POLICY, key)
    if policy is None:
        return True
    holder = rule_sets.Holder.of(estate, principal_id, None)
    return any(holder.holds(estate.store.read, policy["id"], role) for role in (Role.ASSIGNER, Role.MANAGER))


def _route(method: str, path: str, handler: Handler) -> Route:
    return Route(method=method, path=f"/api/2.1/tag-policies{path}", handler=handler, level="executed")


ROUTES = (
    _route("POST", "", _create),
    _route("GET", "", _list),
    _route("GET", "/{tag_key}", _get),
    _route("PATCH", "/{tag_key}", _update),
    _route("DELETE", "/{tag_key}", _delete),
)
