"""Bronze text → typed columns of a silver contract. What cannot be typed is an error of the row, never a silent null."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import Column, DatasetContract, Severity
from lakehouse.contracts.platform_columns import CORRUPT, RESCUED
from lakehouse.ingest.headers import header_problem
from lakehouse.quality.rules import ERRORS, JudgedRule
from lakehouse.schema import declared_names

PAYLOAD = "_payload"
# No source of ours speaks of anything older; 0001-01-01 is how some systems write that they have no time.
_YEAR, _NO_YEAR = r"(19|[2-9]\d)\d{2}", r"(0\d|1[0-8])\d{2}"
_ISO = {
    "TIMESTAMP": r"^{year}-\d{{2}}-\d{{2}}[T ]\d{{2}}:\d{{2}}:\d{{2}}(\.\d{{1,9}})?(Z|[+-]\d{{2}}:\d{{2}})$",
    "DATE": r"^{year}-\d{{2}}-\d{{2}}$",
}
_REPLACEMENT = "\ufffd"
_UNREADABLE, _BAD_TEXT = "row: cannot be parsed", "row: is not valid UTF-8 text"
_UNCLOSED = "row: a quote is not closed, so the lines after it became part of a value"
_HEADER = "header: of the file lacks what the contract requires, as its receipt says"
# Blanks of other kinds become plain ones; what has no width and no meaning goes.
_BLANKS = "\u00a0\u2007\u202f\u3000"
_NO_WIDTH = "\ufeff\u200b"


def typing_rules(silver: DatasetContract) -> list[JudgedRule]:
    """What `typed` itself judges a row by."""
    types = [(f"{column.name}.type", _typing_reason(column)) for column in _sourced(silver) if column.physical_type != "STRING"]
    years = [(f"{column.name}.year", _year_reason(column)) for column in _sourced(silver) if column.physical_type in _ISO]
    rows = [("row.readable", _UNREADABLE), ("row.quotes", _UNCLOSED), ("row.header", _HEADER), ("row.utf8", _BAD_TEXT)]
    named = [*rows, *types, *years]
    return [JudgedRule(name=name, severity=Severity.ERROR, reason=reason) for name, reason in named]


def typed(rows: DataFrame, bronze: DatasetContract, silver: DatasetContract, *, carried: Sequence[str] = ()) -> DataFrame:
    """The silver columns that come from one bronze column each, `_errors`, `_payload` (the bronze row as JSON) and provenance.

    Blank text is null. Derived columns are not there yet; `carried` ones stay as they are.
    """
    sourced = _sourced(silver)
    payload = F.to_json(F.struct(*declared_names(bronze), RESCUED, CORRUPT))
    errors = [*_row_errors(bronze), *[_typing_error(column) for column in sourced if column.physical_type != "STRING"]]
    return rows.select(
        *[_value(column).alias(column.name) for column in sourced],
        F.array_compact(F.array(*errors, _encoding_error(bronze))).alias(ERRORS),
        payload.alias(PAYLOAD),
        F.col("source_file").alias("_source_file"),
        F.col("ingest_ts").alias("_ingest_ts"),
        *carried,
    )


def _sourced(silver: DatasetContract) -> list[Column]:
    return [column for column in silver.declared_columns if column.source]


def text(name: str) -> SparkColumn:
    """Trimmed, and null where nothing is left. Blanks that do not break a line are blanks, at the ends and within."""
    plain = F.translate(F.col(name), _BLANKS + _NO_WIDTH, " " * len(_BLANKS))
    return F.nullif(F.regexp_replace(plain, r"^\s+|\s+$", ""), F.lit(""))


def _value(column: Column) -> SparkColumn:
    """Spark's cast also takes `2025-06` or a time without an offset; a line cut off in mid-value must not become a valid one.

    Of a second's fraction it keeps microseconds and drops what is finer.
    """
    value = text(str(column.source))
    if column.physical_type == "STRING":
        return value
    iso = _ISO.get(column.physical_type)
    return (F.when(value.rlike(iso.format(year=_YEAR)), value) if iso else value).try_cast(column.physical_type)


def _typing_error(column: Column) -> SparkColumn:
    given, reason = text(str(column.source)), F.lit(_typing_reason(column))
    if iso := _ISO.get(column.physical_type):
        reason = F.when(given.rlike(iso.format(year=_NO_YEAR)), F.lit(_year_reason(column))).otherwise(reason)
    return F.when(given.isNotNull() & _value(column).isNull(), reason)


def _year_reason(column: Column) -> str:
    return f"{column.name}: is before the year 1900"


def _typing_reason(column: Column) -> str:
    names = {"TIMESTAMP": "an ISO 8601 time with offset", "DATE": "a date yyyy-MM-dd"}
    return f"{column.name}: is not {names.get(column.physical_type, f'of type {column.physical_type}')}"


def _row_errors(bronze: DatasetContract) -> list[SparkColumn]:
    """What is wrong with the row as a whole."""
    unreadable = F.col(CORRUPT).isNotNull()
    if bronze.landing is None or bronze.landing.format != "csv":
        return [F.when(unreadable, F.lit(_UNREADABLE))]
    unclosed = F.coalesce(F.col(CORRUPT).contains("\n"), F.lit(False)) | _swallowed(bronze)
    return [
        F.when(unclosed, F.lit(_UNCLOSED)).when(unreadable, F.lit(_UNREADABLE)),
        F.when(header_problem().isNotNull(), F.lit(_HEADER)),
    ]


def _swallowed(bronze: DatasetContract) -> SparkColumn:
    """Whether a value holds the end of its line and the beginning of another.

    A quote that is not closed ends at the next one. Where that stands in the same column of a later line the row has as many values as the
    header; all separators of a line, those between its columns, are then within the one value, together with a line break.
    """
    names = declared_names(bronze)

    def holds_lines(value: SparkColumn) -> SparkColumn:
        separators = F.length(value) - F.length(F.replace(value, F.lit(",")))
        return value.contains("\n") & (separators >= len(names) - 1)

    return F.exists(F.array(*names), holds_lines)


def _encoding_error(bronze: DatasetContract) -> SparkColumn:
    """Readers put U+FFFD where bytes are not UTF-8; nothing our sources write contains it or a NUL.

    The six characters `\\u0000` are text like any other. What was rescued is JSON, where a NUL is written so, they with one more.
    """
    values = F.array(*declared_names(bronze), RESCUED, CORRUPT)
    bad = F.exists(values, lambda value: value.contains(_REPLACEMENT) | value.contains("\x00"))
    rescued = F.col(RESCUED).contains("\\u0000") & F.col(RESCUED).rlike(r"(?<!\\)(\\\\)*\\u0000")
    return F.when(F.coalesce(bad, F.lit(False)) | F.coalesce(rescued, F.lit(False)), F.lit(_BAD_TEXT))
