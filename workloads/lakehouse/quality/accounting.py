"""Where the rows of a batch went, by landing file: in = written + duplicate + superseded + quarantined. And which rules they broke.

All of it is one aggregation over the judged rows, so that the figures of the rules cost no second look at the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from lakehouse.contracts import DatasetContract, Severity
from lakehouse.quality.rules import ERRORS, WARNINGS, JudgedRule
from lakehouse.silver.outcome import OUTCOME, OUTCOMES

# Rows that break each rule, in the order of the rules; and the least key among those that break each rule of severity stop.
FAILED = "_failed"
EXAMPLES = "_examples"
LANDED = "landed_ts"


class RowsLost(RuntimeError):
    """The outcomes of a batch do not add up to the rows it read."""


@dataclass(frozen=True, kw_only=True)
class BatchTotals:
    """Rows of one batch over all its files."""

    rows_in: int
    written: int
    duplicate: int
    superseded: int
    quarantined: int


def accounting(rows: DataFrame, silver: DatasetContract, rules: Sequence[JudgedRule], *, batch_id: int, run_id: str) -> DataFrame:
    """Rows with `_outcome` → one row a landing file, in the columns of platform.batch_accounting, with `_failed` and `_examples`."""
    stops = [rule for rule in rules if rule.severity is Severity.STOP]
    example = F.to_json(F.struct(*[name for name in silver.key if silver.column(name).pii is None]))
    counts = rows.groupBy(F.col("_source_file").alias("source_file")).agg(
        F.count("*").alias("rows_in"),
        *[F.count_if(F.col(OUTCOME) == outcome).alias(f"rows_{outcome}") for outcome in OUTCOMES],
        F.count_if((F.size(WARNINGS) > 0) & (F.size(ERRORS) == 0)).alias("rows_warned"),
        (F.max(LANDED) if LANDED in rows.columns else F.lit(None).cast("timestamp")).alias(LANDED),
        F.array(*[F.count_if(_breaks(rule)) for rule in rules]).cast("array<bigint>").alias(FAILED),
        F.array(*[F.min(F.when(_breaks(rule), example)) for rule in stops]).cast("array<string>").alias(EXAMPLES),
    )
    return counts.select(
        F.lit(silver.system).alias("system"),
        F.lit(silver.name).alias("dataset"),
        "source_file",
        F.lit(batch_id).cast("bigint").alias("batch_id"),
        "rows_in",
        *[f"rows_{outcome}" for outcome in OUTCOMES],
        "rows_warned",
        F.lit(run_id).alias("run_id"),
        F.current_timestamp().alias("recorded_ts"),
        LANDED,
        FAILED,
        EXAMPLES,
    )


def _breaks(rule: JudgedRule) -> Column:
    return F.array_contains(ERRORS if rule.severity.refuses else WARNINGS, rule.reason)


def recorded(files: list[Row], account: DataFrame) -> DataFrame:
    """Collected rows of `account` as a DataFrame again, so that writing them does not count the batch a second time.

    Literals, since createDataFrame() would start Python workers for a handful of rows.
    """
    types = account.schema
    rows = [F.struct(*[F.lit(row[field.name]).cast(field.dataType).alias(field.name) for field in types]) for row in files]
    return account.sparkSession.range(1).select(F.inline(F.array(*rows)))


def totals(files: list[Row]) -> BatchTotals:
    """Sums accounting rows. Raises RowsLost when they do not balance: then a rule gave a row no outcome, and nothing may be written."""
    sums = {name: sum(int(row[f"rows_{name}"]) for row in files) for name in ("in", *OUTCOMES)}
    if sums["in"] != sum(sums[outcome] for outcome in OUTCOMES):
        raise RowsLost(f"{sums['in']} rows came in, but the outcomes are {sums}; nothing of this batch was written")
    return BatchTotals(
        rows_in=sums["in"],
        written=sums["written"],
        duplicate=sums["duplicate"],
        superseded=sums["superseded"],
        quarantined=sums["quarantined"],
    )
