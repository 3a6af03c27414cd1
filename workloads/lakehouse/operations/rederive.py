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
from lakehouse.schema import column_names, declared_names
from lakehouse.silver.batch import SilverTables
from lakehouse.silver.outcome import OUTCOME, QUARANTINED, WRITTEN, prepared, ranked, version_rows

_GONE = "_gone"
# Marts of versions, by the history they are a function of. Their streams only add: what history takes back, we take back there.
_VERSIONS = {"cmdm.customer_history": "customer.dim_customer_scd2"}


def delivered(source_file: str = "source_file") -> SparkColumn:
    """The day of a delivery: landing files are `<prefix>_YYYYMMDD.<format>`. Null for a file of another name."""
    return F.to_date(F.nullif(F.regexp_extract(source_file, r"_([0-9]{8})\.[a-z]+$", 1), F.lit("")), "yyyyMMdd")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """`rows` with their outcomes among all that bronze has of `keys`; both are checkpoints."""

    keys: DataFrame
    rows: DataFrame


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What deriving a day again came to: keys its rows speak of, rows of bronze judged for them, rows of silver that changed."""

    keys: int
    rows_judged: int
    rows_changed: int


def judge_day(spark: SparkSession, catalogs: Catalogs, tables: SilverTables, day: date) -> Judged:
    """Judges what was delivered on the day, and every other row of the same keys. Writes nothing."""
    bronze = spark.read.table(catalogs.table(tables.bronze).dotted)
    silver, key = tables.silver, list(tables.silver.key)
    of_day = prepared(bronze.where(delivered() == F.lit(day)), tables.bronze, silver)
    keyed = " AND ".join(f"`{name}` IS NOT NULL" for name in key)
    keys = of_day.where(keyed).select(*key).distinct().localCheckpoint()
    theirs = prepared(bronze, tables.bronze, silver).join(keys, key, "left_semi")
    # Rows without a key are nobody's; they go back into quarantine, where they are.
    rows = ranked(theirs.unionByName(of_day.where(f"NOT ({keyed})")), silver).localCheckpoint()
    return Judged(keys=keys, rows=rows)


def settle(judged: Judged, catalogs: Catalogs, tables: SilverTables, *, run_id: str) -> Settled:
    """Brings quarantine, history and silver to what was judged. What a replay repaired stays: bronze does not know of it.

    Each step leaves alone what is right, so one that broke off is done again. Not side by side with others that write these tables.
    """
    rows, spark = judged.rows, judged.rows.sparkSession
    counted = rows.select(F.count("*"), F.count_if(F.col(OUTCOME) == QUARANTINED)).first()
    repaired = _repairs(spark, catalogs.table(tables.quarantine))
    if counted and counted[1]:
        merge.insert_missing(quarantined_rows(rows, tables.silver, run_id=run_id), catalogs.table(tables.quarantine), ["quarantine_id"])
    if tables.history:
        _settle_history(judged, tables.history, catalogs, repaired, run_id=run_id)
    changed = _settle_silver(judged, tables.silver, catalogs.table(tables.silver), repaired, run_id=run_id)
    return Settled(keys=judged.keys.count(), rows_judged=int(counted[0]) if counted else 0, rows_changed=changed)


def _repairs(spark: SparkSession, quarantine: TableName) -> str:
    """The runs of replay, as a list of SQL literals."""
    runs = spark.read.table(quarantine.dotted).where("released_run_id IS NOT NULL").select("released_run_id").distinct().collect()
    return ", ".join(sorted(ddl.literal(row["released_run_id"]) for row in runs))


def _settle_silver(judged: Judged, silver: DatasetContract, target: TableName, repaired: str, *, run_id: str) -> int:
    winners = judged.rows.where(F.col(OUTCOME) == WRITTEN).withColumn("_run_id", F.lit(run_id)).select(*column_names(silver))
    rows = judged.keys.join(winners, list(silver.key), "left").withColumn(_GONE, F.col("_row_hash").isNull())
    same = " AND ".join(f"t.`{name}` = s.`{name}`" for name in silver.key)
    # Where a row came from may differ without a difference: of two equal deliveries either will do.
    differs = merge.any_differs([*declared_names(silver), "_row_hash", "_warnings"])
    ours = f"t._run_id NOT IN ({repaired})" if repaired else "true"
    result = judged.rows.sparkSession.sql(
        f"MERGE INTO {target} t USING {{source}} s ON {same} WHEN MATCHED AND s.{_GONE} AND {ours} THEN DELETE "
        f"WHEN MATCHED AND NOT s.{_GONE} AND {differs} AND ({ours} OR {merge.newer(str(silver.sequence))}) THEN UPDATE SET * "
        f"WHEN NOT MATCHED AND NOT s.{_GONE} THEN INSERT *",
        source=rows,
    ).first()
    return int(result["num_affected_rows"]) if result else 0


def _settle_history(judged: Judged, history: DatasetContract, catalogs: Catalogs, repaired: str, *, run_id: str) -> None:
    target, key = catalogs.table(history), [*history.key, "_row_hash"]
    versions = version_rows(judged.rows, history, run_id=run_id)
    merge.insert_missing(versions, target, key)
    there = judged.rows.sparkSession.read.table(target.dotted).join(judged.keys, list(judged.keys.columns), "left_semi")
    ours = there.where(f"_run_id NOT IN ({repaired})") if repaired else there
    stale = ours.join(versions, key, "left_anti").select(*key).localCheckpoint()
    if not stale.isEmpty():
        same = " AND ".join(f"t.`{name}` = s.`{name}`" for name in key)
        merge.run(stale, f"MERGE INTO {target} t USING {{source}} s ON {same} WHEN MATCHED THEN DELETE")
    if mart := _VERSIONS.get(history.name):
        _settle_versions(there, judged.keys, catalogs.table(contract(mart)))


def _settle_versions(history: DataFrame, touched: DataFrame, target: TableName) -> None:
    """Also where nothing was stale: a run that broke off here may have left versions of what it took from history."""
    versions = customer_versions(history)
    forget_versions(versions, touched, target)
    write_versions(versions, target)
