"""Quarantined rows judged again by today's contract: those that keep it now move on into silver, once.

What moves a row is a repair: a new release of the contract, a value the owner corrects (`Corrections`), or both. Nothing here adds rows to
the account of the batch they came with: `rows_quarantined` there stays the sum of the rows still held and the rows released since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from lakehouse import merge
from lakehouse.contracts import DatasetContract
from lakehouse.contracts.platform_columns import CORRUPT, RESCUED
from lakehouse.names import Catalogs
from lakehouse.schema import declared_names
from lakehouse.silver.batch import SilverTables
from lakehouse.silver.outcome import (
    DUPLICATE,
    OUTCOME,
    QUARANTINED,
    SUPERSEDED,
    WRITTEN,
    against_target,
    prepared,
    ranked,
    version_rows,
    written_rows,
)

# Bronze column → value as it came → value as it should have been; "" stands for none.
Corrections = Mapping[str, Mapping[str, str]]

ID = "quarantine_id"
HELD = "kind = 'row' AND released_ts IS NULL"


class UnknownColumn(ValueError):
    """A correction is about a column that the source does not deliver."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """Rows that were judged again: `held` still break their contract, the others have left quarantine."""

    written: int = 0
    duplicate: int = 0
    superseded: int = 0
    held: int = 0

    @property
    def released(self) -> int:
        return self.written + self.duplicate + self.superseded


def replay(
    spark: SparkSession,
    catalogs: Catalogs,
    tables: SilverTables,
    *,
    run_id: str,
    reason: str = "",
    corrections: Corrections | None = None,
    dry_run: bool = False,
) -> Replayed:
    """Judges the held rows of a system, those only with an error that begins with `reason`. A dry run writes nothing.

    History, silver, then quarantine, each so that doing it again changes nothing: a run that broke off in between is simply run again.
    Raises UnknownColumn.
    """
    quarantine = catalogs.table(tables.quarantine)
    held = spark.read.table(quarantine.dotted).where(HELD)
    if reason:
        held = held.where(F.exists("errors", lambda error: error.startswith(reason)))
    silver = tables.silver
    judged = prepared(bronze_again(held, tables.bronze, corrections or {}), tables.bronze, silver, carried=(ID,))
    # A checkpoint, for these outcomes must not change when the table they were found against does.
    rows = against_target(ranked(judged, silver), spark.read.table(catalogs.table(silver).dotted), silver).localCheckpoint()
    counts = {row[OUTCOME]: int(row["count"]) for row in rows.groupBy(OUTCOME).count().collect()}
    found = Replayed(
        written=counts.get(WRITTEN, 0),
        duplicate=counts.get(DUPLICATE, 0),
        superseded=counts.get(SUPERSEDED, 0),
        held=counts.get(QUARANTINED, 0),
    )
    if dry_run or not found.released:
        return found
    if tables.history:
        versions = version_rows(rows, tables.history, run_id=run_id)
        merge.insert_missing(versions, catalogs.table(tables.history), tables.history.key)
    if found.written:
        winners = written_rows(rows, silver, run_id=run_id)
        merge.upsert(winners, catalogs.table(silver), silver.key, when=merge.newer(str(silver.sequence)))
    left = rows.where(F.col(OUTCOME) != QUARANTINED).select(
        ID, F.col(OUTCOME).alias("outcome"), F.current_timestamp().alias("now"), F.lit(run_id).alias("run_id")
    )
    merge.run(
        left,
        f"MERGE INTO {quarantine} t USING {{source}} s ON t.`{ID}` = s.`{ID}` WHEN MATCHED AND t.released_ts IS NULL "
        "THEN UPDATE SET released_ts = s.now, released_run_id = s.run_id, released_as = s.outcome",
    )
    return found


def bronze_again(held: DataFrame, bronze: DatasetContract, corrections: Corrections) -> DataFrame:
    """Quarantined rows → the bronze rows they were, corrected, with their quarantine id. Raises UnknownColumn.

    A column that the contract has learnt since then is in what was rescued.
    """
    names = declared_names(bronze)
    if unknown := set(corrections) - set(names):
        raise UnknownColumn(f"{bronze.name} has no column {', '.join(sorted(unknown))}; corrections are by its columns: {', '.join(names)}")
    payload = StructType([StructField(name, StringType()) for name in (*names, RESCUED, CORRUPT)])
    parsed = held.select(ID, F.from_json("payload", payload).alias("row"), "source_file", "ingest_ts")
    came = {name: F.coalesce(F.col(f"row.{name}"), F.get_json_object(f"row.{RESCUED}", f"$.{name}")) for name in names}
    values = [_corrected(value, corrections.get(name, {})).alias(name) for name, value in came.items()]
    return parsed.select(ID, *values, f"row.{RESCUED}", f"row.{CORRUPT}", "source_file", "ingest_ts")


def _corrected(value: SparkColumn, corrections: Mapping[str, str]) -> SparkColumn:
    result = value
    for wrong, right in corrections.items():
        result = F.when(F.coalesce(value, F.lit("")) == wrong, F.lit(right or None).cast("string")).otherwise(result)
    return result
