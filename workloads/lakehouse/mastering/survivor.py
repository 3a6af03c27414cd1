"""Which value of a field survives, and why: plain Python, the unit of truth that survivorship.py repeats in Spark."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lakehouse.mastering.rules import Criterion, FieldRule

# Reasons besides the criteria's names.
ONLY_VALUE = "only_value"
AGREED = "agreed"
RECORD_ID = "record_id"


@dataclass(frozen=True, kw_only=True)
class Record:
    """What one system says of a customer."""

    source: str
    record_id: str
    updated: datetime
    values: Mapping[str, str | None]

    @property
    def name(self) -> str:
        return f"{self.source}:{self.record_id}"

    @property
    def filled(self) -> int:
        return sum(value is not None for value in self.values.values())


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The value of a field, the record it is from, and why: a criterion, or that nobody gave another value.

    `lost` are the records with another value, each with what decided against it, best first.
    """

    field: str
    value: str
    record: Record
    reason: str
    lost: tuple[tuple[Record, str], ...]


def survivor(field: str, rule: FieldRule, records: Sequence[Record]) -> Decision | None:
    """None where no record of an allowed source has a value. The order of `records` makes no difference."""
    candidates = [record for record in records if record.source in rule.sources and record.values.get(field) is not None]
    if not candidates:
        return None
    ranked = sorted(candidates, key=lambda record: _rank(field, rule, record))
    winner = ranked[0]
    lost = tuple((record, _difference(field, rule, winner, record)) for record in ranked if record.values[field] != winner.values[field])
    nobody_else = ONLY_VALUE if len(ranked) == 1 else AGREED
    reason = lost[0][1] if lost else nobody_else
    return Decision(field=field, value=str(winner.values[field]), record=winner, reason=reason, lost=lost)


def _rank(field: str, rule: FieldRule, record: Record) -> tuple[object, ...]:
    """Smaller is better; total, for source and record id end it."""
    return (*(_score(criterion, field, rule, record) for criterion in rule.order), record.source, record.record_id)


def _score(criterion: Criterion, field: str, rule: FieldRule, record: Record) -> float:
    if criterion is Criterion.SOURCE:
        return rule.sources.index(record.source)
    if criterion is Criterion.RECENCY:
        return -record.updated.timestamp()
    if criterion is Criterion.COMPLETENESS:
        return -record.filled
    return 0 if re.search(str(rule.valid), str(record.values[field])) else 1


def _difference(field: str, rule: FieldRule, winner: Record, other: Record) -> str:
    for criterion in rule.order:
        if _score(criterion, field, rule, winner) != _score(criterion, field, rule, other):
            return str(criterion)
    return RECORD_ID
