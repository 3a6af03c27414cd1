"""Rows that break their contract, kept with every reason so that they can be repaired and replayed."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import DatasetContract
from lakehouse.contracts.platform_columns import QUARANTINE
from lakehouse.quality.rules import ERRORS
from lakehouse.silver.outcome import OCCURRENCE, OUTCOME, QUARANTINED
from lakehouse.silver.typed import PAYLOAD


def quarantined_rows(rows: DataFrame, silver: DatasetContract, *, run_id: str) -> DataFrame:
    """Rows with `_outcome` → rows of the quarantine table. The id is of file, payload and occurrence: a second attempt finds it there."""
    found = rows.where(F.col(OUTCOME) == QUARANTINED).select(
        F.sha2(F.to_json(F.struct("_source_file", PAYLOAD, OCCURRENCE)), 256).alias("quarantine_id"),
        F.lit("row").alias("kind"),
        F.lit(silver.name).alias("dataset"),
        F.col(PAYLOAD).alias("payload"),
        F.col(ERRORS).alias("errors"),
        F.col("_source_file").alias("source_file"),
        F.col("_ingest_ts").alias("ingest_ts"),
        F.lit(run_id).alias("run_id"),
        F.current_timestamp().alias("quarantined_ts"),
    )
    return held(found)


def held(rows: DataFrame) -> DataFrame:
    """Rows in the columns of a quarantine table, none of them released yet."""
    released = {column.name: F.lit(None).cast(column.physical_type) for column in QUARANTINE if column.name.startswith("released_")}
    return rows.withColumns(released).select(*[column.name for column in QUARANTINE])
