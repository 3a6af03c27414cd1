"""Bronze text → typed columns of a silver contract. What cannot be typed is an error of the row, never a silent null."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import Column, DatasetContract, Severity
from lakehouse.contracts.platform_columns import CORRUPT, RESCUED
from lakehouse.quality.rules import ERRORS, JudgedRule
from lakehouse.schema import declared_names

PAYLOAD = "_payload"
_ISO_TIMESTAMP = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})$"
_ISO_DATE = r"^\d{4}-\d{2}-\d{2}$"
_REPLACEMENT = "\ufffd"
_UNREADABLE, _BAD_TEXT = "row: cannot be parsed", "row: is not valid UTF-8 text"


def typing_rules(silver: DatasetContract) -> list[JudgedRule]:
    """What `typed` itself judges a row by."""
    types = [(f"{column.name}.type", _typing_reason(column)) for column in _sourced(silver) if column.physical_type != "STRING"]
    named = [("row.readable", _UNREADABLE), ("row.utf8", _BAD_TEXT), *types]
    return [JudgedRule(name=name, severity=Severity.ERROR, reason=reason) for name, reason in named]


def typed(rows: DataFrame, bronze: DatasetContract, silver: DatasetContract, *, carried: Sequence[str] = ()) -> DataFrame:
    """The silver columns that come from one bronze column each, `_errors`, `_payload` (the bronze row as JSON) and provenance.

    Blank text is null. Derived columns are not there yet; `carried` ones stay as they are.
    """
    sourced = _sourced(silver)
    payload = F.to_json(F.struct(*declared_names(bronze), RESCUED, CORRUPT))
    errors = [_line_error(), *[_typing_error(column) for column in sourced if column.physical_type != "STRING"]]
    return rows.select(
        *[_value(column).alias(column.name) for column in sourced],
        F.array_compact(F.array(*errors, _encoding_error(payload))).alias(ERRORS),
        payload.alias(PAYLOAD),
        F.col("source_file").alias("_source_file"),
        F.col("ingest_ts").alias("_ingest_ts"),
        *carried,
    )


def _sourced(silver: DatasetContract) -> list[Column]:
    return [column for column in silver.declared_columns if column.source]


def text(name: str) -> SparkColumn:
    """Trimmed, and null where nothing is left. The regular expression also takes tabs and no-break spaces, which trim() leaves."""
    return F.nullif(F.regexp_replace(F.col(name), r"^[\s\u00a0]+|[\s\u00a0]+$", ""), F.lit(""))


def _value(column: Column) -> SparkColumn:
    value = text(str(column.source))
    if column.physical_type == "STRING":
        return value
    pattern = {"TIMESTAMP": _ISO_TIMESTAMP, "DATE": _ISO_DATE}.get(column.physical_type)
    # Spark's cast also takes `2025-06` or a time without an offset; a line cut off in mid-value must not become a valid one.
    checked = F.when(value.rlike(pattern), value) if pattern else value
    return checked.try_cast(column.physical_type)


def _typing_error(column: Column) -> SparkColumn:
    broken = text(str(column.source)).isNotNull() & _value(column).isNull()
    return F.when(broken, F.lit(_typing_reason(column)))


def _typing_reason(column: Column) -> str:
    names = {"TIMESTAMP": "an ISO 8601 time with offset", "DATE": "a date yyyy-MM-dd"}
    return f"{column.name}: is not {names.get(column.physical_type, f'of type {column.physical_type}')}"


def _line_error() -> SparkColumn:
    return F.when(F.col(CORRUPT).isNotNull(), F.lit(_UNREADABLE))


def _encoding_error(payload: SparkColumn) -> SparkColumn:
    """Readers put U+FFFD where bytes are not UTF-8; nothing our sources write contains it or a NUL."""
    bad = payload.contains(_REPLACEMENT) | payload.contains("\\u0000")
    return F.when(bad, F.lit(_BAD_TEXT))
