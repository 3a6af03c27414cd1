"""Exemptions: one resource, one policy, for a reason, with a ticket, an approver and an end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

FIELDS = ("urn", "reason", "ticket", "approver", "expiry")


class BadExemption(Exception):
    """Says which field is missing or wrong."""


@dataclass(frozen=True, kw_only=True)
class Exemption:
    urn: str
    reason: str
    ticket: str
    approver: str
    expiry: date

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Exemption:
        if missing := [name for name in FIELDS if not str(row.get(name) or "").strip()]:
            raise BadExemption(f"lacks {', '.join(missing)}")
        if unknown := sorted(set(row) - set(FIELDS)):
            raise BadExemption(f"has unknown fields: {', '.join(unknown)}")
        if "*" in row["urn"] or not str(row["urn"]).startswith("urn:pulumi:"):
            raise BadExemption(f"names no single resource: '{row['urn']}' must be a whole URN")
        try:
            expiry = date.fromisoformat(str(row["expiry"]))
        except ValueError:
            raise BadExemption(f"expiry '{row['expiry']}' is not a date (YYYY-MM-DD)") from None
        return cls(urn=str(row["urn"]), reason=str(row["reason"]), ticket=str(row["ticket"]), approver=str(row["approver"]), expiry=expiry)

    def holds_on(self, today: date) -> bool:
        """The day of expiry is the last one it holds."""
        return today <= self.expiry

    def __str__(self) -> str:
        return f"{self.reason} ({self.ticket}, approved by {self.approver}, until {self.expiry})"


def readable(rows: Iterable[Mapping[str, Any]]) -> Iterator[Exemption]:
    """Those that are complete; a bad one never exempts anything, and the lint names it."""
    for row in rows:
        try:
            yield Exemption.read(row)
        except BadExemption:
            continue


def exemption_of(urn: str, rows: Iterable[Mapping[str, Any]], today: date) -> Exemption | None:
    return next((each for each in readable(rows) if each.urn == urn and each.holds_on(today)), None)
