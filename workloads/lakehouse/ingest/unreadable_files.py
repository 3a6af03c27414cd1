"""Landing files that give no rows at all: empty ones, and ones of another format. They are recorded, not passed over."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import DatasetContract
from lakehouse.ingest.receipts import Outcome, Receipt
from lakehouse.quality.quarantine import held

_WHOLE = (Outcome.EMPTY, Outcome.OTHER_FORMAT)


def unreadable_files(
    spark: SparkSession, made: Sequence[Receipt], bronze: DatasetContract, silver: DatasetContract, *, run_id: str
) -> DataFrame | None:
    """Quarantine rows of kind `file`, one for each receipt of a file that no bronze row can come from; None where there is none."""
    whole = [receipt for receipt in made if receipt.outcome in _WHOLE]
    if not whole:
        return None
    files = [
        F.struct(F.lit(one.version.path).alias("path"), F.lit(one.bytes).cast("bigint").alias("length"), F.lit(one.reason).alias("reason"))
        for one in whole
    ]
    found = (
        spark.range(1)
        .select(F.inline(F.array(*files)))
        .select(
            F.sha2(F.to_json(F.struct(F.lit("file").alias("kind"), "path", "reason")), 256).alias("quarantine_id"),
            F.lit("file").alias("kind"),
            F.lit(silver.name).alias("dataset"),
            F.to_json(F.struct("path", "length")).alias("payload"),
            F.array("reason").alias("errors"),
            F.col("path").alias("source_file"),
            F.current_timestamp().alias("ingest_ts"),
            F.lit(run_id).alias("run_id"),
            F.current_timestamp().alias("quarantined_ts"),
        )
    )
    return held(found)
