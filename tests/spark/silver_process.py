"""Silver's stream of cmdm as a process of its own, to be killed: `python -m tests.spark.silver_process FOLDER WAREHOUSE`.

Its tables are in WAREHOUSE, its checkpoint is below FOLDER, so that another process can go on with them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import contract
from lakehouse.ingest.bronze import bronze_rows
from lakehouse.jobs.silver import writer
from lakehouse.quality.rule_results import RESULTS
from lakehouse.schema import declared_names
from lakehouse.silver.batch import SilverTables
from tests.spark.found_tables import find_tables
from tests.spark.lakehouse_fixtures import CATALOG, LocalCatalogs, local_session

TABLES = SilverTables.of("cmdm")


def main(folder: Path, warehouse: Path) -> None:
    catalogs = LocalCatalogs(raw=CATALOG, curated=CATALOG, marts=CATALOG, ai=CATALOG, folder=folder)
    written = (TABLES.bronze, TABLES.quarantine, TABLES.silver, contract("cmdm.customer_history"), TABLES.accounting, contract(RESULTS))
    with local_session(warehouse) as spark:
        find_tables(spark, catalogs, written)
        to_silver(spark, catalogs)


def to_silver(spark: SparkSession, catalogs: LocalCatalogs) -> None:
    stream = spark.readStream.table(catalogs.table(TABLES.bronze).dotted).writeStream
    query = stream.foreachBatch(writer(TABLES, catalogs, run_id="test")).trigger(availableNow=True)
    query.option("checkpointLocation", catalogs.checkpoint(TABLES.silver)).start().awaitTermination()


def land(spark: SparkSession, catalogs: LocalCatalogs, rows: int) -> None:
    """Customers in bronze, of whom every tenth has no e-mail address that is one."""
    bronze = TABLES.bronze
    number = F.col("id").cast("string")
    given = {
        "customer_id": F.concat(F.lit("C"), number),
        "email": F.when(F.col("id") % 10 == 0, "nobody").otherwise(F.concat(number, F.lit("@example.com"))),
        "change_type": F.lit("UPSERT"),
        "updated_ts": F.lit("2025-06-02T10:00:00+10:00"),
    }
    names = [*declared_names(bronze), "_rescued_data", "_corrupt_record"]
    columns = [given.get(name, F.lit(None).cast("string")).alias(name) for name in names]
    arrived = (F.lit("customer_20250602.csv").alias("source_file"), F.current_timestamp().alias("landed_ts"))
    landed = spark.range(0, rows, 1, 2).select(*columns, *arrived)
    target = catalogs.table(bronze).dotted
    bronze_rows(landed, bronze, run_id="test").write.format("delta").mode("append").saveAsTable(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
