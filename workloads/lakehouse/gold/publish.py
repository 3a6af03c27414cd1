"""Writes the rows of a mart whose keys may have changed, and no others."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import merge
from lakehouse.contracts import DatasetContract
from lakehouse.names import Catalogs
from lakehouse.schema import column_names

GONE = "_gone"


def publish(rows: DataFrame, touched: DataFrame, dataset: DatasetContract, catalogs: Catalogs) -> None:
    """Of the keys in `touched` (the mart's key columns), those in `rows` are inserted, or updated where a column differs; the others are
    deleted. Keys that are not in `touched` stay as they are."""
    if _first(rows, dataset, catalogs):
        return
    here = rows.select(*column_names(dataset)).withColumn("_here", F.lit(True))
    apply(touched.join(here, list(dataset.key), "left").withColumn(GONE, F.col("_here").isNull()), dataset, catalogs)


def apply(rows: DataFrame, dataset: DatasetContract, catalogs: Catalogs) -> None:
    """Rows of the mart with `_gone`: true deletes the key, false brings it to what the row says."""
    if _first(rows.where(~F.col(GONE)), dataset, catalogs):
        return
    same = " AND ".join(f"t.`{name}` = s.`{name}`" for name in dataset.key)
    merge.run(
        rows,
        f"MERGE INTO {catalogs.table(dataset)} t USING {{source}} s ON {same} WHEN MATCHED AND s.{GONE} THEN DELETE "
        f"WHEN MATCHED AND {merge.any_differs(column_names(dataset))} THEN UPDATE SET * WHEN NOT MATCHED AND NOT s.{GONE} THEN INSERT *",
    )


def replace(rows: DataFrame, dataset: DatasetContract, catalogs: Catalogs) -> None:
    """Makes the mart equal to `rows`; rows that are right stay untouched."""
    if not _first(rows, dataset, catalogs):
        merge.synchronise(rows, catalogs.table(dataset), dataset.key, differs=merge.any_differs(column_names(dataset)))


def _first(rows: DataFrame, dataset: DatasetContract, catalogs: Catalogs) -> bool:
    """Appends the rows where the mart has none yet, for a fraction of a MERGE. A batch that is tried again finds them there and merges."""
    table = catalogs.table(dataset).dotted
    empty: bool = rows.sparkSession.read.table(table).isEmpty()
    if empty:
        rows.select(*column_names(dataset)).write.format("delta").mode("append").saveAsTable(table)
    return empty
