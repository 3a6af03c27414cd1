"""The rules that contracts name, as Spark expressions: each is true where a row breaks it. A null breaks only `required`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import Column, DatasetContract, Severity

ERRORS = "_errors"
WARNINGS = "_warnings"

# A postcode is valid where it is known to be of a state: ranges of Australia Post, the LVR and PO box ones included.
_POSTCODES = {
    "NSW": ((1000, 2599), (2619, 2899), (2921, 2999)),
    "ACT": ((200, 299), (2600, 2618), (2900, 2920)),
    "VIC": ((3000, 3999), (8000, 8999)),
    "QLD": ((4000, 4999), (9000, 9999)),
    "SA": ((5000, 5999),),
    "WA": ((6000, 6999),),
    "TAS": ((7000, 7999),),
    "NT": ((800, 999),),
}
# Places that Australia Post serves from across a border, e.g. 0872 (NT, SA, WA), 2620 (ACT, NSW), 4383 (QLD, NSW).
_BORDER = {
    "NSW": (2611, 2618, 2620, 3644, 3691, 3707, 4377, 4383, 4385),
    "ACT": (2540,),
    "SA": (872,),
    "WA": (872,),
    "QLD": (2406,),
    "NT": (4825,),
}

Rule = Callable[[Column, Mapping[str, Any]], tuple[SparkColumn, str]]


def _valid_values(column: Column, arguments: Mapping[str, Any]) -> tuple[SparkColumn, str]:
    values = [str(value) for value in arguments["validValues"]]
    return ~F.col(column.name).isin(values), f"is not one of {', '.join(values)}"


def _matches(column: Column, arguments: Mapping[str, Any]) -> tuple[SparkColumn, str]:
    pattern = str(arguments["pattern"])
    return ~F.col(column.name).rlike(pattern), f"does not match {pattern}"


def _valid_email(column: Column, _: Mapping[str, Any]) -> tuple[SparkColumn, str]:
    return ~F.col(column.name).rlike(r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$"), "is no e-mail address"


def _valid_phone(column: Column, _: Mapping[str, Any]) -> tuple[SparkColumn, str]:
    return ~F.col(column.name).rlike(r"^\+61[2-478][0-9]{8}$"), "is no Australian phone number"


def _not_in_future(column: Column, _: Mapping[str, Any]) -> tuple[SparkColumn, str]:
    """Against the time of ingestion, not of processing, so that a replay judges as the first run did; days are Sydney's."""
    value = F.col(column.name)
    if column.physical_type == "DATE":
        return value > F.to_date(F.from_utc_timestamp("_ingest_ts", "Australia/Sydney")), "is in the future"
    # Sources' clocks run ahead of ours by seconds, seldom by minutes.
    return value > F.col("_ingest_ts") + F.expr("INTERVAL 15 MINUTES"), "is in the future"


def _not_before(column: Column, arguments: Mapping[str, Any]) -> tuple[SparkColumn, str]:
    other = str(arguments["column"])
    return F.col(column.name) < F.col(other), f"is before {other}"


def _not_negative(column: Column, _: Mapping[str, Any]) -> tuple[SparkColumn, str]:
    return F.col(column.name) < 0, "is negative"


def _postcode_of_state(column: Column, arguments: Mapping[str, Any]) -> tuple[SparkColumn, str]:
    state = F.col(str(arguments.get("state", "state")))
    # Four digits only: a postcode of another form breaks `matches`, and one reason is enough.
    number = F.when(F.col(column.name).rlike("^[0-9]{4}$"), F.col(column.name)).try_cast("int")
    fits = F.lit(False)
    for name, ranges in _POSTCODES.items():
        of_state = F.lit(False)
        for low, high in ranges:
            of_state = of_state | number.between(low, high)
        of_state = of_state | number.isin(*_BORDER[name]) if name in _BORDER else of_state
        fits = fits | ((state == name) & of_state)
    return state.isin(*_POSTCODES) & number.isNotNull() & ~fits, "is no postcode of the state"


RULES: dict[str, Rule] = {
    "valid_values": _valid_values,
    "matches": _matches,
    "valid_email": _valid_email,
    "valid_phone": _valid_phone,
    "not_in_future": _not_in_future,
    "not_before": _not_before,
    "not_negative": _not_negative,
    "postcode_of_state": _postcode_of_state,
}


@dataclass(frozen=True, kw_only=True)
class JudgedRule:
    """A rule that rows are judged by: `name` is `column.rule`, `reason` what `_errors` or `_warnings` hold of a row that breaks it."""

    name: str
    severity: Severity
    reason: str


def contract_rules(dataset: DatasetContract) -> list[tuple[JudgedRule, SparkColumn]]:
    """What the contract requires and every rule it names, each with the condition that is true where a row breaks it.

    A second rule of the same name on a column has its number in the name, too.
    """
    found: list[tuple[JudgedRule, SparkColumn]] = []
    for column in dataset.declared_columns:
        if column.required:
            typed = F.exists(F.col(ERRORS), _is_about(column.name))
            rule = JudgedRule(name=f"{column.name}.required", severity=Severity.ERROR, reason=f"{column.name}: is required")
            found.append((rule, F.col(column.name).isNull() & ~typed))
        for position, declared in enumerate(column.quality):
            broken, what = RULES[declared.implementation](column, declared.arguments)
            number = sum(other.implementation == declared.implementation for other in column.quality[:position])
            name = f"{column.name}.{declared.implementation}{f'#{number}' if number else ''}"
            found.append((JudgedRule(name=name, severity=declared.severity, reason=f"{column.name}: {what}"), broken))
    return found


def judged(rows: DataFrame, dataset: DatasetContract) -> DataFrame:
    """Rows with typing errors in `_errors` (array) → the same with the reason of every broken rule appended there, or to `_warnings`.

    Needs `_ingest_ts`. A column that already has a typing error is not reported missing as well.
    """
    errors: list[SparkColumn] = []
    warnings: list[SparkColumn] = []
    for rule, broken in contract_rules(dataset):
        (errors if rule.severity.refuses else warnings).append(F.when(broken, F.lit(rule.reason)))
    return rows.withColumns(
        {ERRORS: F.concat(F.col(ERRORS), _present(errors)), WARNINGS: _present(warnings)},
    )


def _is_about(name: str) -> Callable[[SparkColumn], SparkColumn]:
    """Also where the file's header is to blame: then every row would repeat what its receipt says once."""
    return lambda error: error.startswith(f"{name}: ") | error.startswith("header: ")


def _present(messages: list[SparkColumn]) -> SparkColumn:
    return F.array_compact(F.array(*messages)) if messages else F.array().cast("array<string>")
