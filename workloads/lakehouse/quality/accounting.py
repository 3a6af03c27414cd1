"""Where the rows of a batch went, by landing file: in = written + duplicate + superseded + quarantined."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from lakehouse.contracts import DatasetContract
from lakehouse.quality.rules import ERRORS, WARNINGS
from lakehouse.silver.outcome import OUTCOME, OUTCOMES


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


def accounting(rows: DataFrame, silver: DatasetContract, *, batch_id: int, run_id: str) -> DataFrame:
    """Rows with `_outcome` → one row a landing file, in the columns of platform.batch_accounting."""
    counts = rows.groupBy(F.col("_source_file").alias("source_file")).agg(
        F.count("*").alias("rows_in"),
        *[F.count_if(F.col(OUTCOME) == outcome).alias(f"rows_{outcome}") for outcome in OUTCOMES],
        F.count_if((F.size(WARNINGS) > 0) & (F.size(ERRORS) == 0)).alias("rows_warned"),
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
    )


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
