"""OPTIMIZE and VACUUM of one table."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyspark.sql import SparkSession

from lakehouse.contracts import DatasetContract
from lakehouse.maintenance.readers import hold_for_readers
from lakehouse.names import Catalogs

# Files below this are worth compacting; OPTIMIZE makes larger ones.
_SMALL = 128 * 2**20
_RETENTION = "delta.deletedFileRetentionDuration"


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """What was done to one table."""

    table: str
    files_added: int
    files_removed: int
    retention_hours: int


def maintain(spark: SparkSession, catalogs: Catalogs, dataset: DatasetContract, *, retention_hours: int) -> Upkeep:
    """Compacts small files, then deletes files that no version within the retention needs. The contract may ask for a longer retention.

    Raises ReaderBehind before it deletes what a stream has yet to read; by then small files are compacted.
    """
    table = catalogs.table(dataset)
    retention_hours = max(retention_hours, kept_hours(dataset))
    added, removed = _compact(spark, str(table), partitioned=bool(dataset.partitioned_by))
    hold_for_readers(spark, catalogs, dataset.name, retention_hours=retention_hours)
    spark.sql(f"VACUUM {table} RETAIN {retention_hours} HOURS").collect()
    return Upkeep(table=table.dotted, files_added=added, files_removed=removed, retention_hours=retention_hours)


def kept_hours(dataset: DatasetContract) -> int:
    """How long the contract keeps files that no current version needs; 0 where it does not say. Raises ValueError."""
    asked = dataset.table_properties.get(_RETENTION)
    if asked is None:
        return 0
    found = re.fullmatch(r"(?:interval )?([0-9]+) (hour|day|week)s?", asked.strip().lower())
    if found is None:
        raise ValueError(f"{dataset.file}: {_RETENTION}: {asked!r} is no time such as `interval 30 days` (hours, days or weeks)")
    return int(found[1]) * {"hour": 1, "day": 24, "week": 168}[found[2]]


def _compact(spark: SparkSession, table: str, *, partitioned: bool) -> tuple[int, int]:
    """Files written and files replaced. A table of one file, or of large ones, is left alone."""
    detail = spark.sql(f"DESCRIBE DETAIL {table}").select("numFiles", "sizeInBytes").first()
    files, size = (int(detail[0]), int(detail[1])) if detail else (0, 0)
    if files < 2 or (not partitioned and size / files >= _SMALL):
        return 0, 0
    metrics = spark.sql(f"OPTIMIZE {table}").select("metrics.numFilesAdded", "metrics.numFilesRemoved").first()
    return (int(metrics[0]), int(metrics[1])) if metrics else (0, 0)
