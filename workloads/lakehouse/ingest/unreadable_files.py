"""Landing files that give no rows at all: empty ones, and ones of another format. They are recorded, not passed over."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import DatasetContract
from lakehouse.quality.quarantine import held


def listing(spark: SparkSession, landing: str) -> DataFrame:
    """`path` and `length` of every file below `landing`. Only the listing is read: the content column is pruned."""
    return spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(landing).select("path", "length")


def unreadable_files(files: DataFrame, bronze: DatasetContract, silver: DatasetContract, *, run_id: str) -> DataFrame:
    """Quarantine rows of kind `file`, one for each file of `path, length` that no bronze row can come from."""
    suffix = f".{bronze.landing.format}" if bronze.landing else ""
    reason = F.when(F.col("length") == 0, F.lit("file: is empty")).when(
        ~F.lower("path").endswith(suffix), F.lit(f"file: is no {suffix} file, as the contract of {bronze.name} has it")
    )
    found = files.withColumn("reason", reason).where("reason IS NOT NULL")
    rows = found.select(
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
    return held(rows)
