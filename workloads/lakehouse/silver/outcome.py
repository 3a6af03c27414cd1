"""What becomes of each row of a batch: written, duplicate, superseded or quarantined. Every row gets exactly one outcome."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.contracts import DatasetContract
from lakehouse.merge import DELIVERY
from lakehouse.quality.rules import ERRORS, judged
from lakehouse.schema import column_names, declared_names
from lakehouse.silver.standardise import STANDARDISE
from lakehouse.silver.typed import PAYLOAD, typed

WRITTEN = "written"
DUPLICATE = "duplicate"
SUPERSEDED = "superseded"
QUARANTINED = "quarantined"
OUTCOMES = (WRITTEN, DUPLICATE, SUPERSEDED, QUARANTINED)

OUTCOME = "_outcome"
OCCURRENCE = "_occurrence"
REPEATS = "_repeats"
TIED = "_tied"


def prepared(rows: DataFrame, bronze: DatasetContract, silver: DatasetContract, *, carried: Sequence[str] = ()) -> DataFrame:
    """Bronze rows → typed, standardised and judged rows with `_errors`, `_warnings` and `_row_hash`; `carried` columns stay as they are."""
    standardise = STANDARDISE.get(silver.system, lambda frame: frame)
    checked = judged(standardise(typed(rows, bronze, silver, carried=carried)), silver)
    # JSON keeps names, so a null that moves to the next column, or a separator in a value, changes the hash.
    return checked.withColumn("_row_hash", F.sha2(F.to_json(F.struct(*declared_names(silver))), 256))


def ranked(rows: DataFrame, silver: DatasetContract) -> DataFrame:
    """Prepared rows → with `_outcome` as far as the batch alone decides it.

    The order is total: sequence, then delivery (`merge.DELIVERY`), then hash, for within one file nothing else tells two rows of one time
    apart. A row counts from its first delivery; its repeats are none. `_occurrence` numbers equal rows in quarantine; `_repeats` marks a
    valid row whose equal was there before.
    """
    valid = F.size(ERRORS) == 0
    # Rows in quarantine may lack their key; grouped by payload they spread over partitions and number their repetitions.
    group = F.when(valid, F.to_json(F.struct(*silver.key))).otherwise(F.sha2(F.concat_ws("\n", "_source_file", PAYLOAD), 256))
    order = Window.partitionBy("_group").orderBy(F.desc(str(silver.sequence)), F.desc("_row_hash"), *map(F.asc, DELIVERY))
    numbered = rows.withColumn("_group", group).withColumns(
        {OCCURRENCE: F.row_number().over(order), REPEATS: F.coalesce(F.col("_row_hash") == F.lag("_row_hash").over(order), F.lit(False))}
    )
    # Over the same partitions, so that Spark need not shuffle or sort again.
    latest = F.max(F.when(~F.col(REPEATS), F.struct(str(silver.sequence), *DELIVERY, "_row_hash"))).over(Window.partitionBy("_group"))
    outcome = (
        F.when(~valid, F.lit(QUARANTINED))
        .when(F.col(REPEATS), F.lit(DUPLICATE))
        .when(F.col("_row_hash") == F.col("_latest._row_hash"), F.lit(WRITTEN))
        .otherwise(F.lit(SUPERSEDED))
    )
    return numbered.withColumn("_latest", latest).withColumn(OUTCOME, outcome).drop("_group", "_latest")


def against_target(rows: DataFrame, target: DataFrame, silver: DatasetContract) -> DataFrame:
    """Ranked rows → a winner of the batch that the target already has is a duplicate, one older than the target's is superseded.

    `target` needs the key columns, the sequence, the delivery and `_row_hash`. `_tied` marks a winner that only its delivery decided.
    """
    sequence = str(silver.sequence)
    current = target.select(
        *[F.col(name).alias(f"_t_{name}") for name in silver.key],
        F.struct(sequence, *DELIVERY, "_row_hash").alias("_t"),
    )
    same_key = [F.col(name) == F.col(f"_t_{name}") for name in silver.key]
    joined = rows.join(current, [*same_key, F.col(OUTCOME) == WRITTEN], "left")
    outcome = (
        F.when(F.col("_t").isNull(), F.col(OUTCOME))
        .when(F.col("_row_hash") == F.col("_t._row_hash"), F.lit(DUPLICATE))
        .when(F.struct(sequence, *DELIVERY, "_row_hash") > F.col("_t"), F.lit(WRITTEN))
        .otherwise(F.lit(SUPERSEDED))
    )
    tied = F.coalesce((F.col(OUTCOME) == WRITTEN) & (F.col(sequence) == F.col(f"_t.{sequence}")), F.lit(False))
    return joined.withColumn(OUTCOME, outcome).withColumn(TIED, tied).drop(*[f"_t_{name}" for name in silver.key], "_t")


def remembered(rows: DataFrame, history: DataFrame, silver: DatasetContract) -> DataFrame:
    """Rows after `against_target` → a winner of a tie that history has from an earlier delivery is a duplicate.

    Without this a file that is delivered again would undo what came after it with the same time. By delivery, for a batch that is tried
    again finds its own rows in history.
    """
    known = history.select(
        *[F.col(name).alias(f"_h_{name}") for name in silver.key], F.col("_row_hash").alias("_h_hash"), F.struct(*DELIVERY).alias("_h")
    )
    same = [F.col(name) == F.col(f"_h_{name}") for name in silver.key]
    earlier = [F.col(TIED), F.col("_row_hash") == F.col("_h_hash"), F.struct(*DELIVERY) > F.col("_h")]
    joined = rows.join(known, [*same, *earlier], "left")
    outcome = F.when(F.col("_h").isNotNull(), F.lit(DUPLICATE)).otherwise(F.col(OUTCOME))
    return joined.withColumn(OUTCOME, outcome).drop(*[f"_h_{name}" for name in silver.key], "_h_hash", "_h")


def written_rows(rows: DataFrame, silver: DatasetContract, *, run_id: str) -> DataFrame:
    """The rows to merge into the silver table, in its columns; one a key."""
    return rows.where(F.col(OUTCOME) == WRITTEN).withColumn("_run_id", F.lit(run_id)).select(*column_names(silver))


def version_rows(rows: DataFrame, history: DatasetContract, *, run_id: str) -> DataFrame:
    """Every valid version of the batch once, winner or not, in the columns of the history table."""
    versions = rows.where((F.size(ERRORS) == 0) & ~F.col(REPEATS))
    return versions.withColumn("_run_id", F.lit(run_id)).select(*column_names(history))
