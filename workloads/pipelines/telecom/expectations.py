"""Expectations from a contract: one for each column it has rules for, as conditions on the reasons the wheel gives a row."""

from __future__ import annotations

from lakehouse.contracts import DatasetContract, Severity
from lakehouse.ddl import literal
from lakehouse.quality.rules import ERRORS, WARNINGS, contract_rules


def must_hold(silver: DatasetContract) -> dict[str, str]:
    """For expect_all_or_drop: the row can be read, and no column breaks a type, a required or a rule of severity error or stop."""
    ruled = [column for column in silver.declared_columns if column.source or column.required or column.quality]
    return {"readable_row": _free_of(ERRORS, "row"), **{f"valid_{column.name}": _free_of(ERRORS, column.name) for column in ruled}}


def must_never_break(silver: DatasetContract) -> dict[str, str]:
    """For expect_all_or_fail: a row that breaks a rule of severity stop ends the update."""
    stops = [rule for rule, _ in contract_rules(silver) if rule.severity is Severity.STOP]
    return {f"stop_{rule.name.replace('.', '_')}": f"NOT array_contains({ERRORS}, {literal(rule.reason)})" for rule in stops}


def should_hold(silver: DatasetContract) -> dict[str, str]:
    """For expect_all: rules of severity warning are counted and let the row pass."""
    warned = [column for column in silver.declared_columns if any(rule.severity is Severity.WARNING for rule in column.quality)]
    return {f"likely_{column.name}": _free_of(WARNINGS, column.name) for column in warned}


def _free_of(reasons: str, about: str) -> str:
    """The wheel words a reason `column: what is wrong`."""
    return f"NOT exists({reasons}, reason -> startswith(reason, '{about}: '))"
