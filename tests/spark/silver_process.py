"""Silver's stream of cmdm as a process of its own, to be killed: `python -m tests.spark.silver_process FOLDER ROWS`.

Tables and checkpoints live below FOLDER, so that the next process goes on with them; the first also fills bronze with ROWS rows.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse import ddl
from lakehouse.contracts import contract
from lakehouse.ingest.bronze import bronze_rows
from lakehouse.jobs.silver import writer
from lakehouse.quality.rule_results import RESULTS
from lakehouse.schema import declared_names
from lakehouse.silver.batch import SilverTables
from tests.spark.lakehouse_fixtures import CATALOG, LocalCatalogs, local_session


def main(folder: Path, rows: int) -> None:
    catalogs = LocalCatalogs(raw=CATALOG, curated=CATALOG, marts=CATALOG, ai=CATALOG, folder=folder)
    tables = SilverTables.of("cmdm")
    with local_session(folder / "warehouse") as spark:
        if create_tables(spark, catalogs):
            land(spark, catalogs, rows)
        stream = spark.readStream.table(catalogs.table(tables.bronze).dotted).writeStream
        query = stream.foreachBatch(writer(tables, catalogs, run_id="test")).trigger(availableNow=True)
        query.option("checkpointLocation", catalogs.checkpoint(tables.silver)).start().awaitTermination()


def create_tables(spark: SparkSession, catalogs: LocalCatalogs) -> bool:
    """Names end with the session, files stay: a table whose files are there is found again. True where they were not."""
    new = False
    tables = SilverTables.of("cmdm")
    written = (tables.bronze, tables.quarantine, tables.silver, contract("cmdm.customer_history"), tables.accounting, contract(RESULTS))
    for dataset in written:
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {dataset.schema_name}")
        folder = catalogs.folder / "warehouse" / f"{dataset.schema_name}.db" / dataset.table_name
        place = f"USING DELTA LOCATION '{folder}'"
        there = (folder / "_delta_log").exists()
        made = ddl.create_table(dataset, catalogs.table(dataset)).replace("USING DELTA", place, 1)
        spark.sql(f"CREATE TABLE {catalogs.table(dataset)} {place}" if there else made)
        new = new or not there
    return new


def land(spark: SparkSession, catalogs: LocalCatalogs, rows: int) -> None:
    """Customers, of whom every tenth has no e-mail address that is one."""
    bronze = contract("cmdm.cmdm_bronze")
    number = F.col("id").cast("string")
    given = {
        "customer_id": F.concat(F.lit("C"), number),
        "email": F.when(F.col("id") % 10 == 0, "nobody").otherwise(F.concat(number, F.lit("@example.com"))),
        "updated_ts": F.lit("2025-06-02T10:00:00+10:00"),
    }
    names = [*declared_names(bronze), "_rescued_data", "_corrupt_record"]
    columns = [given.get(name, F.lit(None).cast("string")).alias(name) for name in names]
    arrived = (F.lit("customer_20250602.csv").alias("source_file"), F.current_timestamp().alias("landed_ts"))
    landed = spark.range(0, rows, 1, 2).select(*columns, *arrived)
    target = catalogs.table(bronze).dotted
    bronze_rows(landed, bronze, run_id="test").write.format("delta").mode("append").saveAsTable(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
