"""One template for every source system: landing files become bronze rows, as they came."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import DatasetContract
from lakehouse.contracts.platform_columns import RESCUED
from lakehouse.ingest.headers import with_problems
from lakehouse.schema import column_names, landing_schema

_FORMAT_OPTIONS = {
    # Columns go by the header's names; a quote inside a quoted value is written twice, as spreadsheets and Salesforce do. With `multiLine`
    # a quoted value may hold line breaks, and lines may end in CR LF.
    "csv": {"header": "true", "escape": '"', "multiLine": "true"},
    "json": {},
}


def reader_options(bronze: DatasetContract) -> dict[str, str]:
    """Auto Loader options: the contract's schema, everything that does not fit it rescued, nothing that stops the stream."""
    landing = _landing_of(bronze)
    return {
        "cloudFiles.format": landing,
        "rescuedDataColumn": RESCUED,
        "columnNameOfCorruptRecord": "_corrupt_record",
        "mode": "PERMISSIVE",
        "pathGlobFilter": f"*.{landing}",
        **_FORMAT_OPTIONS[landing],
    }


def landing_stream(spark: SparkSession, bronze: DatasetContract, landing: str) -> DataFrame:
    """The new files below `landing`. A file name is read once, however often it is delivered."""
    reader = spark.readStream.format("cloudFiles").options(**reader_options(bronze)).schema(landing_schema(bronze))
    return reader.load(landing).select(
        "*", F.col("_metadata.file_path").alias("source_file"), F.col("_metadata.file_modification_time").alias("landed_ts")
    )


def bronze_rows(rows: DataFrame, bronze: DatasetContract, *, run_id: str, problems: Mapping[str, str] | None = None) -> DataFrame:
    """Rows of the landing files plus `source_file` and `landed_ts`, in the columns of the bronze table.

    `problems` says by path what is wrong with a file's header.
    """
    stamped = with_problems(rows, problems or {}).withColumn("ingest_ts", F.current_timestamp()).withColumn("run_id", F.lit(run_id))
    return stamped.select(*column_names(bronze))


def _landing_of(bronze: DatasetContract) -> str:
    if bronze.landing is None:
        raise ValueError(f"{bronze.name} is filled from no landing files")
    return bronze.landing.format
