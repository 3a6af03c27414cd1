"""Tables of the test's session, found by a process of its own: one warehouse for both; Delta keeps all it knows beside the files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pyspark.sql import SparkSession

from lakehouse.contracts import DatasetContract
from lakehouse.names import Catalogs


def warehouse_of(spark: SparkSession) -> Path:
    return Path(str(spark.conf.get("spark.sql.warehouse.dir")).removeprefix("file:"))


def find_tables(spark: SparkSession, catalogs: Catalogs, datasets: Iterable[DatasetContract]) -> None:
    """Names end with a session, files stay."""
    for dataset in datasets:
        folder = warehouse_of(spark) / f"{dataset.schema_name}.db" / dataset.table_name
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {dataset.schema_name}")
        spark.sql(f"CREATE TABLE {catalogs.table(dataset)} USING DELTA LOCATION '{folder}'")


def forget(spark: SparkSession) -> None:
    """As on a cluster that has just started: nothing of any table is cached."""
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
