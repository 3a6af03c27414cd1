"""Kafka messages → typed rows of a contract with `_errors`, by the same rules as files."""

from __future__ import annotations

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import Column, DatasetContract, Severity
from lakehouse.contracts.platform_columns import CORRUPT, RESCUED
from lakehouse.quality.rules import ERRORS, JudgedRule, contract_rules, judged
from lakehouse.schema import declared_names, landing_schema
from lakehouse.silver.typed import typed, typing_rules

# What Kafka says of a message; kept with the row up to the table.
KAFKA = ("topic", "partition", "offset", "timestamp", "key", "value")
_TEXT = "_text"
_MESSAGE = "_message"
_VARIANT = "_variant"
_EMPTY, _BAD_TEXT, _NO_OBJECT = "message: is empty", "message: is not valid UTF-8 text", "message: is no JSON object"


def judged_messages(messages: DataFrame, topic: DatasetContract, silver: DatasetContract) -> DataFrame:
    """Each message as one row of `silver`'s sourced columns with `_errors`, `_warnings` and the KAFKA columns.

    `_source_file` is the message's `topic/partition`. Whether it is in the future is judged by the time of the message, so that reading it
    again gives the same answer, or by our clock where that of the producer is ahead of it.
    """
    read = messages.select(*KAFKA, _text().alias(_TEXT))
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": CORRUPT}
    parsed = read.select(
        *KAFKA,
        _TEXT,
        F.from_json(_TEXT, landing_schema(topic), options).alias(_MESSAGE),
        # In brackets, because both parsers stop after the first value: of two objects in a message the second would be lost without a word.
        F.try_parse_json(F.concat(F.lit("["), F.col(_TEXT), F.lit("]"))).alias(_VARIANT),
    )
    broken, mistyped, absent = _unreadable(), _mistyped(topic), F.lit(None).cast("string")
    rows = parsed.select(
        *KAFKA,
        broken.alias("_broken"),
        mistyped.alias("_mistyped"),
        *[F.col(f"{_MESSAGE}.{name}").alias(name) for name in declared_names(topic)],
        absent.alias(RESCUED),
        absent.alias(CORRUPT),
        F.concat_ws("/", "topic", F.col("partition").cast("string")).alias("source_file"),
        # A producer whose clock runs ahead would carry its own future in, and with it the watermark of every stream that follows.
        F.least("timestamp", F.current_timestamp()).alias("ingest_ts"),
    )
    checked = judged(typed(rows, topic, silver, carried=(*KAFKA, "_broken", "_mistyped")), topic)
    # One reason is enough for a message that is no message: that all its columns are missing says nothing.
    errors = F.when(F.col("_broken").isNotNull(), F.array("_broken")).otherwise(F.concat(F.col("_mistyped"), F.col(ERRORS)))
    return checked.withColumn(ERRORS, errors).drop("_broken", "_mistyped")


def message_rules(topic: DatasetContract, silver: DatasetContract) -> list[JudgedRule]:
    """Every rule that `judged_messages` judges by; what is no row at all comes first."""
    named = [("message.present", _EMPTY), ("message.utf8", _BAD_TEXT), ("message.object", _NO_OBJECT)]
    named += [(f"{column.name}.json_type", _text_reason(column)) for column in _texts(topic)]
    own = [JudgedRule(name=name, severity=Severity.ERROR, reason=reason) for name, reason in named]
    return [*own, *typing_rules(silver), *(rule for rule, _ in contract_rules(topic))]


def _text() -> SparkColumn:
    """Null where the bytes are no text."""
    text = F.col("value").cast("string")
    return F.when(F.is_valid_utf8(text), text)


def _unreadable() -> SparkColumn:
    return (
        F.when(F.col("value").isNull(), F.lit(_EMPTY))
        .when(F.col(_TEXT).isNull(), F.lit(_BAD_TEXT))
        .when(F.col(f"{_MESSAGE}.{CORRUPT}").isNotNull() | ~_is_one_object(), F.lit(_NO_OBJECT))
    )


def _is_one_object() -> SparkColumn:
    first, second = (F.try_variant_get(_VARIANT, f"$[{number}]", "variant") for number in (0, 1))
    closed = F.col(_TEXT).rlike(r"\}\s*$")
    return F.coalesce(_shape(first).startswith("OBJECT") & closed, F.lit(False)) & second.isNull()


def _mistyped(topic: DatasetContract) -> SparkColumn:
    """from_json makes text of any value, `{"contact_id": {}}` and `{"contact_id": 7}` too; the contract does not."""
    return F.array_compact(F.array(*[_text_error(column) for column in _texts(topic)]))


def _texts(topic: DatasetContract) -> list[Column]:
    return [column for column in topic.declared_columns if column.physical_type in ("STRING", "TIMESTAMP", "DATE")]


def _text_reason(column: Column) -> str:
    return f"{column.name}: is no JSON string"


def _text_error(column: Column) -> SparkColumn:
    shape = _shape(F.try_variant_get(_VARIANT, f"$[0].{column.name}", "variant"))
    return F.when(~shape.isin("STRING", "VOID"), F.lit(_text_reason(column)))


def _shape(value: SparkColumn) -> SparkColumn:
    return F.schema_of_variant(value)
