"""The surviving values of every customer, with their provenance: survivor.py for whole tables."""

from __future__ import annotations

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.mastering.identity import CUSTOMER_ID
from lakehouse.mastering.records import NAME, RECORD_ID, SOURCE, UPDATED
from lakehouse.mastering.rules import Criterion, FieldRule, Rules
from lakehouse.mastering.survivor import AGREED, ONLY_VALUE
from lakehouse.mastering.survivor import RECORD_ID as BY_RECORD_ID


def survivors(records: DataFrame, rules: Rules) -> DataFrame:
    """Resolved records → one row a customer: each field with `<field>_from` and `<field>_reason`, `records`, `updated_ts`."""
    filled = sum((F.col(name).isNotNull().cast("int") for name in rules.fields), F.lit(0))
    said = F.struct(SOURCE, RECORD_ID, NAME, UPDATED, filled.alias("_filled"), *rules.fields)
    people = (
        records.where(F.col(CUSTOMER_ID).isNotNull())
        .groupBy(F.col(CUSTOMER_ID).alias("customer_id"))
        .agg(F.collect_list(said).alias("_said"), F.max(UPDATED).alias(UPDATED))
    )
    ranked = people.withColumns({f"_{name}": _ranked(name, rule) for name, rule in rules.fields.items()})
    columns: dict[str, SparkColumn] = {}
    for name, rule in rules.fields.items():
        winner = F.get(F.col(f"_{name}"), F.lit(0))
        columns |= {name: winner["value"], f"{name}_from": winner["record"], f"{name}_reason": _reason(f"_{name}", rule)}
    names = F.array_sort(F.transform("_said", lambda record: record[NAME]))
    return ranked.withColumns({**columns, "records": names}).drop("_said", *[f"_{name}" for name in rules.fields])


def _ranked(field: str, rule: FieldRule) -> SparkColumn:
    """The candidates for a field, best first: structs compare column by column, and names at the end make the order total."""
    candidates = F.filter("_said", lambda record: record[SOURCE].isin(*rule.sources) & record[field].isNotNull())
    return F.array_sort(
        F.transform(
            candidates,
            lambda record: F.struct(
                *[_score(criterion, field, rule, record).alias(str(criterion)) for criterion in rule.order],
                record[SOURCE].alias("_source"),
                record[RECORD_ID].alias("_record_id"),
                record[field].alias("value"),
                record[NAME].alias("record"),
            ),
        )
    )


def _score(criterion: Criterion, field: str, rule: FieldRule, record: SparkColumn) -> SparkColumn:
    if criterion is Criterion.SOURCE:
        return F.array_position(F.array(*[F.lit(source) for source in rule.sources]), record[SOURCE])
    if criterion is Criterion.RECENCY:
        return -F.unix_micros(record[UPDATED])
    if criterion is Criterion.COMPLETENESS:
        return -record["_filled"]
    return F.when(record[field].rlike(str(rule.valid)), F.lit(0)).otherwise(F.lit(1))


def _reason(ranked: str, rule: FieldRule) -> SparkColumn:
    """The first criterion on which the winner differs from the best record with another value."""
    winner = F.get(F.col(ranked), F.lit(0))
    other = F.get(F.filter(ranked, lambda record: record["value"] != winner["value"]), F.lit(0))
    decided = F.coalesce(*[F.when(winner[str(name)] != other[str(name)], F.lit(str(name))) for name in rule.order], F.lit(BY_RECORD_ID))
    nobody = F.when(F.size(ranked) == 1, F.lit(ONLY_VALUE)).when(F.size(ranked) > 1, F.lit(AGREED))
    return F.when(other.isNull(), nobody).otherwise(decided)
