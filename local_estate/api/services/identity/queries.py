"""SCIM list requests: filter, sorting, paging, and which attributes come back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError

Resource = dict[str, Any]

MOST = 10_000  # resources in one page
_TERM = re.compile(r'\s*(userName|displayName|applicationId|externalId|id)\s+(eq|ne|co|sw)\s+"([^"]*)"\s*', re.IGNORECASE)
# Clients drop an object without these, so neither `attributes` nor `excludedAttributes` hides them.
_ALWAYS = {"schemas", "id", "applicationid"}

_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "eq": lambda value, wanted: value == wanted,
    "ne": lambda value, wanted: value != wanted,
    "co": lambda value, wanted: wanted in value,
    "sw": lambda value, wanted: value.startswith(wanted),
}


def _attribute(resource: Resource, name: str) -> Any:
    return next((value for each, value in resource.items() if each.lower() == name.lower()), "")


def matches(expression: str) -> Callable[[Resource], bool]:
    """Terms joined by `and`. Raises ApiError invalidFilter for what is more than that."""
    terms = []
    for part in re.split(r'\s+and\s+(?=\w+\s+\w+\s+")', expression, flags=re.IGNORECASE):
        found = _TERM.fullmatch(part)
        if found is None:
            raise ApiError("invalidFilter", f'The filter {expression!r} is not supported; use ATTRIBUTE eq|ne|co|sw "VALUE" [and …].', 400)
        terms.append((found[1], _COMPARE[found[2].lower()], found[3].lower()))
    return lambda resource: all(compare(str(_attribute(resource, name)).lower(), wanted) for name, compare, wanted in terms)


def _selection(call: Call) -> Callable[[Resource], Resource]:
    def names(parameter: str) -> set[str]:
        # `members.value` asks for members.
        return {name.strip().partition(".")[0].lower() for name in str(call.data.get(parameter, "")).split(",") if name.strip()}

    wanted, excluded = names("attributes"), names("excludedAttributes") - _ALWAYS
    return lambda resource: {
        name: value for name, value in resource.items() if name.lower() not in excluded and (not wanted or name.lower() in wanted | _ALWAYS)
    }


def listed(call: Call, resources: list[Resource]) -> Resource:
    """The ListResponse to `filter`, `sortBy`, `sortOrder`, `startIndex` (from 1), `count`, `attributes`, `excludedAttributes`."""
    if expression := call.data.get("filter"):
        resources = list(filter(matches(str(expression)), resources))
    if attribute := call.data.get("sortBy"):
        descending = str(call.data.get("sortOrder", "ascending")).lower() == "descending"
        resources = sorted(resources, key=lambda each: str(_attribute(each, str(attribute))).lower(), reverse=descending)
    start, count = max(call.number("startIndex", 1), 1), min(max(call.number("count", MOST), 0), MOST)
    page = list(map(_selection(call), resources[start - 1 : start - 1 + count]))
    return {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": len(resources),
        "startIndex": start,
        "itemsPerPage": len(page),
        "Resources": page,
    }
