"""The Spark session a job runs in."""

from __future__ import annotations

from pyspark.sql import SparkSession


def session() -> SparkSession:
    """The session of the cluster. Timestamps without an offset do not occur in the contracts, but DATE casts need one fixed zone.

    Times are written as Delta's protocol has them, in microseconds: Spark's own default, INT96, cannot be read at 9999-12-31 by others.
    """
    spark = SparkSession.builder.getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    spark.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
    return spark
