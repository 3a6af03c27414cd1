"""What becomes of each row of a batch: written, duplicate, superseded or quarantined. Every row gets exactly one outcome."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.contracts import DatasetContract
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


def prepared(rows: DataFrame, bronze: DatasetContract, silver: DatasetContract, *, carried: Sequence[str] = ()) -> DataFrame:
    """Bronze rows → typed, standardised and judged rows with `_errors`, `_warnings` and `_row_hash`; `carried` columns stay as they are."""
    standardise = STANDARDISE.get(silver.system, lambda frame: frame)
    checked = judged(standardise(typed(rows, bronze, silver, carried=carried)), silver)
    # JSON keeps names, so a null that moves to the next column, or a separator in a value, changes the hash.
    return checked.withColumn("_row_hash", F.sha2(F.to_json(F.struct(*declared_names(silver))), 256))


def ranked(rows: DataFrame, silver: DatasetContract) -> DataFrame:
    """Prepared rows → with `_outcome` as far as the batch alone decides it.

    The order is total (sequence, then hash), so the winner does not depend on the order of arrival. `_occurrence` numbers equal
    rows in quarantine; `_repeats` marks a valid row whose equal was there before.
    """
    valid = F.size(ERRORS) == 0
    # Rows in quarantine may lack their key; grouped by payload they spread over partitions and number their repetitions.
    group = F.when(valid, F.to_json(F.struct(*silver.key))).otherwise(F.sha2(F.concat_ws("\n", "_source_file", PAYLOAD), 256))
    order = Window.partitionBy("_group").orderBy(
        F.desc(str(silver.sequence)), F.desc("_row_hash"), F.asc("_source_file"), F.asc("_ingest_ts")
    )
    numbered = rows.withColumn("_group", group).withColumns(
        {OCCURRENCE: F.row_number().over(order), REPEATS: F.coalesce(F.col("_row_hash") == F.lag("_row_hash").over(order), F.lit(False))}
    )
    outcome = (
        F.when(~valid, F.lit(QUARANTINED))
        .when(F.col(REPEATS), F.lit(DUPLICATE))
        .when(F.col(OCCURRENCE) == 1, F.lit(WRITTEN))
        .otherwise(F.lit(SUPERSEDED))
    )
    return numbered.withColumn(OUTCOME, outcome).drop("_group")


def against_target(rows: DataFrame, target: DataFrame, silver: DatasetContract) -> DataFrame:
    """Ranked rows → a winner of the batch that the target already has is a duplicate, one older than the target's is superseded.

    `target` needs the key columns, the sequence and `_row_hash`.
    """
    sequence = str(silver.sequence)
    current = target.select(
        *[F.col(name).alias(f"_t_{name}") for name in silver.key],
        F.col(sequence).alias("_t_sequence"),
        F.col("_row_hash").alias("_t_hash"),
    )
    same_key = [F.col(name) == F.col(f"_t_{name}") for name in silver.key]
    joined = rows.join(current, [*same_key, F.col(OUTCOME) == WRITTEN], "left")
    newer = (F.col(sequence) > F.col("_t_sequence")) | ((F.col(sequence) == F.col("_t_sequence")) & (F.col("_row_hash") > F.col("_t_hash")))
    outcome = (
        F.when(F.col("_t_hash").isNull(), F.col(OUTCOME))
        .when(F.col("_row_hash") == F.col("_t_hash"), F.lit(DUPLICATE))
        .when(newer, F.lit(WRITTEN))
        .otherwise(F.lit(SUPERSEDED))
    )
    return joined.withColumn(OUTCOME, outcome).drop(*[f"_t_{name}" for name in silver.key], "_t_sequence", "_t_hash")


def written_rows(rows: DataFrame, silver: DatasetContract, *, run_id: str) -> DataFrame:
    """The rows to merge into the silver table, in its columns; one a key."""
    return rows.where(F.col(OUTCOME) == WRITTEN).withColumn("_run_id", F.lit(run_id)).select(*column_names(silver))


def version_rows(rows: DataFrame, history: DatasetContract, *, run_id: str) -> DataFrame:
    """Every valid version of the batch once, winner or not, in the columns of the history table."""
    versions = rows.where((F.size(ERRORS) == 0) & ~F.col(REPEATS))
    return versions.withColumn("_run_id", F.lit(run_id)).select(*column_names(history))
