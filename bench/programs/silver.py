"""A job: batches into a silver table of a size. Arguments: catalog, rows of the table, rows of the batch, rounds.

What is timed is what job silver_standardize does with a batch. Prints seconds as JSON.
"""

import json
import sys
import time

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.append import MicroBatch
from lakehouse.contracts import DatasetContract
from lakehouse.ddl import create_table
from lakehouse.names import Catalogs, TableName
from lakehouse.silver.batch import SilverTables, write_batch

TABLES = SilverTables.of("jarvis")
spark = SparkSession.builder.getOrCreate()


class BenchCatalogs(Catalogs):
    """Every table in one schema of its own."""

    def table(self, dataset: DatasetContract) -> TableName:
        return TableName(catalog=self.ai, schema="bench", table=f"silver_{dataset.table_name}")


def delivered(services: DataFrame, number: int) -> DataFrame:
    """Rows of jarvis_bronze for the ids of `services`, as changed in round `number`."""
    told = {
        "service_id": F.format_string("SV%09d", "id"),
        "account_id": F.format_string("CU%09d", F.col("id") % 1_000_000),
        "service_type": F.lit("MOBILE"),
        "plan_cd": F.concat(F.lit("P"), F.col("id") % 50),
        "status": F.lit("ACTIVE"),
        "start_dt": F.lit("2024-01-15"),
        "updated_ts": F.lit(f"2025-06-{number + 1:02d}T00:00:00Z"),
        "source_file": F.lit(f"/Volumes/bench/jarvis/landing/service_{number}.csv"),
        "ingest_ts": F.current_timestamp(),
        "run_id": F.lit("bench"),
    }
    columns = [
        told[column.name].alias(column.name) if column.name in told else F.lit(None).cast(column.physical_type).alias(column.name)
        for column in TABLES.bronze.columns
    ]
    return services.select(*columns)


def main(catalog: str, size: int, batch: int, rounds: int) -> None:
    catalogs = BenchCatalogs(raw=catalog, curated=catalog, marts=catalog, ai=catalog)
    datasets = (TABLES.silver, TABLES.quarantine, TABLES.accounting)
    for dataset in datasets:
        spark.sql(f"DROP TABLE IF EXISTS {catalogs.table(dataset)}")
        spark.sql(create_table(dataset, catalogs.table(dataset)))
    write_batch(delivered(spark.range(size), 0), MicroBatch(stream_id="bench", batch_id=0), TABLES, catalogs, run_id="bench")
    found = []
    for number in range(1, rounds + 1):
        # Neighbours in time are no neighbours in the table: the batch's keys are spread over all of it.
        kept = delivered(spark.range(number, size, size // batch).limit(batch), number).localCheckpoint()
        started = time.perf_counter()
        sums = write_batch(kept, MicroBatch(stream_id="bench", batch_id=number), TABLES, catalogs, run_id="bench")
        found.append(time.perf_counter() - started)
        if sums is None or not sums.written or sums.written != sums.rows_in:
            raise RuntimeError(f"every row of the batch is news, but {sums}")
    for dataset in datasets:
        spark.sql(f"DROP TABLE {catalogs.table(dataset)}")
    print("FOUND " + json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
