"""The Spark session a job runs in."""

from __future__ import annotations

from pyspark.sql import SparkSession


def session() -> SparkSession:
    """The session of the cluster. Timestamps without an offset do not occur in the contracts, but DATE casts need one fixed zone."""
    spark = SparkSession.builder.getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    return spark
