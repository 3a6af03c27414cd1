"""OPTIMIZE and VACUUM of one table."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import SparkSession

from lakehouse.names import TableName


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """What was done to one table."""

    table: str
    files_added: int
    files_removed: int
    retention_hours: int


def maintain(spark: SparkSession, table: TableName, *, retention_hours: int) -> Upkeep:
    """Compacts small files, then deletes files that no version within the retention needs."""
    metrics = spark.sql(f"OPTIMIZE {table}").select("metrics.numFilesAdded", "metrics.numFilesRemoved").first()
    spark.sql(f"VACUUM {table} RETAIN {retention_hours} HOURS").collect()
    added, removed = (int(metrics[0]), int(metrics[1])) if metrics else (0, 0)
    return Upkeep(table=table.dotted, files_added=added, files_removed=removed, retention_hours=retention_hours)
