"""The event log over the wire: newest first, filtered and paged."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import not_supported
from local_estate.api.kernel.store import Document
from local_estate.api.services.pipelines.spec import invalid

_MOST = 250
_EQUAL = re.compile(r"(level|id|event_type)\s*=\s*'([^']*)'")
_AMONG = re.compile(r"(level)\s+in\s*\(([^)]*)\)", re.IGNORECASE)
_TIME = re.compile(r"timestamp\s*(>=|<=|>|<|=)\s*'([^']*)'")
_COMPARE: dict[str, Callable[[str, str], bool]] = {
    ">": lambda left, right: left > right,
    "<": lambda left, right: left < right,
    ">=": lambda left, right: left >= right,
    "<=": lambda left, right: left <= right,
    "=": lambda left, right: left == right,
}


def page(call: Call, found: Sequence[Document]) -> Document:
    """`found` in the order of their sequence. Raises ApiError for a filter or an order that is unknown."""
    limit, offset = call.number("max_results", 25), call.number("page_token", 0)
    if not 0 <= limit <= _MOST:
        raise invalid(f"max_results must be between 0 and {_MOST}, not {limit}.")
    order = call.data.get("order_by") or "timestamp desc"
    order = order[0] if isinstance(order, list) else order
    if order not in ("timestamp asc", "timestamp desc"):
        raise invalid(f"order_by must be 'timestamp asc' or 'timestamp desc', not {order!r}.")
    wanted = matching(str(call.data.get("filter") or ""))
    kept = [each for each in found if wanted(each)]
    ordered = kept if order == "timestamp asc" else kept[::-1]
    reply: Document = {"events": ordered[offset : offset + limit]}
    if len(ordered) > offset + limit:
        reply["next_page_token"] = str(offset + limit)
    if offset:
        reply["prev_page_token"] = str(max(0, offset - limit))
    return reply


def matching(given: str) -> Callable[[Document], bool]:
    """Clauses joined by AND. Raises ApiError NOT_IMPLEMENTED naming a clause that is none of the documented ones."""
    clauses = [_clause(each.strip()) for each in re.split(r"\s+AND\s+", given, flags=re.IGNORECASE) if each.strip()]
    return lambda event: all(clause(event) for clause in clauses)


def _clause(text: str) -> Callable[[Document], bool]:
    if match := _EQUAL.fullmatch(text):
        field, value = match.groups()
        return lambda event: event.get(field) == value
    if match := _AMONG.fullmatch(text):
        values = [value.strip().strip("'") for value in match[2].split(",")]
        return lambda event: event["level"] in values
    if match := _TIME.fullmatch(text):
        compare, moment = _COMPARE[match[1]], match[2]
        return lambda event: compare(event["timestamp"], moment)
    raise not_supported(f"the event filter {text!r}; use level, id or timestamp, joined by AND")
