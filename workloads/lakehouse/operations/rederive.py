"""Silver and history of some keys, derived anew from all that bronze has of them.

The daily stream adds to what is there. This makes it equal to what today's contract and code say of bronze, so it also takes back what they
no longer say. Whatever the order of days and however often it is done, the result is the same: it is a function of bronze.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse import ddl, merge
from lakehouse.contracts import DatasetContract, contract
from lakehouse.gold.scd2 import customer_versions, forget_versions, write_versions
from lakehouse.names import Catalogs, TableName
from lakehouse.quality.quarantine import quarantined_rows
from lakehouse.quality.replay import HELD
from lakehouse.quality.rules import ERRORS
from lakehouse.schema import column_names, declared_names
from lakehouse.silver.batch import SilverTables
from lakehouse.silver.outcome import OUTCOME, QUARANTINED, WRITTEN, prepared, ranked, version_rows
from lakehouse.silver.typed import PAYLOAD

# What `released_as` of a quarantined row says when it keeps its contract now, and a backfill rather than a replay found so.
DERIVED = "derived"
_GONE = "_gone"
_OUTLIVES = "_outlives"
# Marts of versions, by the history they are a function of. Their streams only add: what history takes back, we take back there.
_VERSIONS = {"cmdm.customer_history": "customer.dim_customer_scd2"}


def delivered(source_file: str = "source_file") -> SparkColumn:
    """The day of a delivery: landing files are `<prefix>_YYYYMMDD.<format>`. Null for a file of another name or of no such day."""
    digits = F.nullif(F.regexp_extract(source_file, r"_([0-9]{8})\.[a-z]+$", 1), F.lit(""))
    return F.try_to_timestamp(digits, F.lit("yyyyMMdd")).cast("date")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """`rows` with their outcomes among all that bronze has of `keys`, up to what it took in at `until` (microseconds since 1970).

    `files` are the landing files that bronze has rows of. All three are checkpoints.
    """

    keys: DataFrame
    rows: DataFrame
    files: DataFrame
    until: int


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What deriving a day again came to: keys its rows speak of, rows of bronze judged for them, rows of silver that changed."""

    keys: int
    rows_judged: int
    rows_changed: int


def judge_day(spark: SparkSession, catalogs: Catalogs, tables: SilverTables, day: date) -> Judged:
    """Judges what was delivered on the day, and every other row of the same keys. Writes nothing."""
    bronze = spark.read.table(catalogs.table(tables.bronze).dotted)
    # Bronze may grow while we read it several times; its rows are stamped in the order in which they are committed.
    newest = bronze.agg(F.unix_micros(F.max("ingest_ts")).alias("until")).first()
    until = int(newest["until"]) if newest and newest["until"] is not None else 0
    bronze = bronze.where(F.unix_micros("ingest_ts") <= until)
    silver, key = tables.silver, list(tables.silver.key)
    of_day = prepared(bronze.where(delivered() == F.lit(day)), tables.bronze, silver)
    keyed = " AND ".join(f"`{name}` IS NOT NULL" for name in key)
    # Also the keys of what we made of the day before, for bronze may have lost a row since, or a rule may spell its key otherwise.
    keys = of_day.where(keyed).select(*key)
    for made in [silver, *([tables.history] if tables.history else [])]:
        there = spark.read.table(catalogs.table(made).dotted)
        keys = keys.unionByName(there.where(delivered("_source_file") == F.lit(day)).select(*key))
    keys = keys.distinct().localCheckpoint()
    theirs = prepared(bronze, tables.bronze, silver).join(keys, key, "left_semi")
    # Rows without a key are nobody's; they go back into quarantine, where they are.
    rows = ranked(theirs.unionByName(of_day.where(f"NOT ({keyed})")), silver).localCheckpoint()
    files = bronze.select(F.col("source_file").alias("_source_file")).distinct().localCheckpoint()
    return Judged(keys=keys, rows=rows, files=files, until=until)


def settle(judged: Judged, catalogs: Catalogs, tables: SilverTables, *, run_id: str) -> Settled:
    """Brings quarantine, history and silver to what was judged.

    Three kinds of rows are not taken back: what a replay repaired, for bronze does not know of it; what came after `judged.until`; and
    what came in a file of which bronze has no row any more, for silver keeps rows longer than bronze does.
    Each step leaves alone what is right, so one that broke off is done again. Not side by side with others that write these tables.
    """
    rows, spark = judged.rows, judged.rows.sparkSession
    counted = rows.select(F.count("*"), F.count_if(F.col(OUTCOME) == QUARANTINED)).first()
    quarantine = catalogs.table(tables.quarantine)
    ours = _ours(_repairs(spark, quarantine), judged.until)
    if counted and counted[1]:
        _quarantine(quarantined_rows(rows, tables.silver, run_id=run_id), quarantine)
    if tables.history:
        _settle_history(judged, tables.history, catalogs, ours, run_id=run_id)
    changed = _settle_silver(judged, tables.silver, catalogs.table(tables.silver), ours, run_id=run_id)
    # Last: a row that is out of quarantine is in silver.
    _release(rows, quarantine, run_id=run_id)
    return Settled(keys=judged.keys.count(), rows_judged=int(counted[0]) if counted else 0, rows_changed=changed)


def _quarantine(broken: DataFrame, quarantine: TableName) -> None:
    """Adds the rows that are not there; what an earlier backfill released is held again."""
    merge.run(
        broken,
        f"MERGE INTO {quarantine} t USING {{source}} s ON t.quarantine_id = s.quarantine_id WHEN MATCHED AND t.released_as = '{DERIVED}' "
        "THEN UPDATE SET released_ts = NULL, released_run_id = NULL, released_as = NULL WHEN NOT MATCHED THEN INSERT *",
    )


def _repairs(spark: SparkSession, quarantine: TableName) -> list[str]:
    """The runs of replay that moved rows on."""
    released = spark.read.table(quarantine.dotted).where(f"released_run_id IS NOT NULL AND released_as <> '{DERIVED}'")
    return sorted(row["released_run_id"] for row in released.select("released_run_id").distinct().collect())


def _ours(repairs: list[str], until: int) -> str:
    """The condition on a row of the target, alias `t`, under which it may be taken back: bronze was asked about it."""
    condition = f"t._ingest_ts <= timestamp_micros({until})"
    return f"{condition} AND t._run_id NOT IN ({', '.join(map(ddl.literal, repairs))})" if repairs else condition


def _settle_silver(judged: Judged, silver: DatasetContract, target: TableName, ours: str, *, run_id: str) -> int:
    key = list(silver.key)
    winners = judged.rows.where(F.col(OUTCOME) == WRITTEN).withColumn("_run_id", F.lit(run_id)).select(*column_names(silver))
    outlived = _of_keys(judged, target).join(judged.files, "_source_file", "left_anti").select(*key, F.lit(True).alias(_OUTLIVES))
    rows = judged.keys.join(winners, key, "left").join(outlived, key, "left").withColumn(_GONE, F.col("_row_hash").isNull())
    same = " AND ".join(f"t.`{name}` = s.`{name}`" for name in key)
    # Where a row came from may differ without a difference: of two equal deliveries either will do.
    differs = merge.any_differs([*declared_names(silver), "_row_hash", "_warnings"])
    ours = f"({ours} AND s.{_OUTLIVES} IS NULL)"
    result = judged.rows.sparkSession.sql(
        f"MERGE INTO {target} t USING {{source}} s ON {same} WHEN MATCHED AND s.{_GONE} AND {ours} THEN DELETE "
        f"WHEN MATCHED AND NOT s.{_GONE} AND {differs} AND ({ours} OR {merge.newer(str(silver.sequence))}) THEN UPDATE SET * "
        f"WHEN NOT MATCHED AND NOT s.{_GONE} THEN INSERT *",
        source=rows.localCheckpoint(),
    ).first()
    return int(result["num_affected_rows"]) if result else 0


def _settle_history(judged: Judged, history: DatasetContract, catalogs: Catalogs, ours: str, *, run_id: str) -> None:
    target, key = catalogs.table(history), list(history.key)
    versions = version_rows(judged.rows, history, run_id=run_id)
    merge.insert_missing(versions, target, key)
    there = _of_keys(judged, target).join(judged.files, "_source_file", "left_semi").alias("t").where(ours)
    stale = there.join(versions, key, "left_anti").select(*key).localCheckpoint()
    if not stale.isEmpty():
        same = " AND ".join(f"t.`{name}` = s.`{name}`" for name in key)
        merge.run(stale, f"MERGE INTO {target} t USING {{source}} s ON {same} WHEN MATCHED THEN DELETE")
    if mart := _VERSIONS.get(history.name):
        _settle_versions(_of_keys(judged, target), judged.keys, catalogs.table(contract(mart)))


def _of_keys(judged: Judged, table: TableName) -> DataFrame:
    """The rows that the table has of the judged keys now."""
    return judged.keys.sparkSession.read.table(table.dotted).join(judged.keys, list(judged.keys.columns), "left_semi")


def _settle_versions(history: DataFrame, touched: DataFrame, target: TableName) -> None:
    """Also where nothing was stale: a run that broke off here may have left versions of what it took from history."""
    versions = customer_versions(history)
    forget_versions(versions, touched, target)
    write_versions(versions, target)


def _release(rows: DataFrame, quarantine: TableName, *, run_id: str) -> None:
    """Marks held rows that keep their contract now. By file and payload, for the id counts occurrences among broken rows."""
    kept = rows.where(F.size(ERRORS) == 0).select(F.col("_source_file").alias("source_file"), F.col(PAYLOAD).alias("payload"))
    held = rows.sparkSession.read.table(quarantine.dotted).where(HELD).select("quarantine_id", "source_file", "payload")
    free = held.join(kept, ["source_file", "payload"], "left_semi").select("quarantine_id").localCheckpoint()
    if free.isEmpty():
        return
    merge.run(
        free.withColumns({"now": F.current_timestamp(), "run_id": F.lit(run_id)}),
        f"MERGE INTO {quarantine} t USING {{source}} s ON t.quarantine_id = s.quarantine_id WHEN MATCHED AND t.released_ts IS NULL "
        f"THEN UPDATE SET released_ts = s.now, released_run_id = s.run_id, released_as = '{DERIVED}'",
    )
