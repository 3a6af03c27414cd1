"""Brings the new bronze rows of one system into its silver table, its quarantine and the account."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame, SparkSession

from lakehouse.append import MicroBatch, stream_id
from lakehouse.ingest.receipts import settle
from lakehouse.jobs.parameters import parse
from lakehouse.jobs.session import session
from lakehouse.jobs.streams import begin, finish
from lakehouse.names import Catalogs
from lakehouse.silver.batch import SilverTables, write_batch


def main() -> None:
    parameters = parse("silver", system=True)
    spark = session()
    catalogs = parameters.catalogs
    tables = SilverTables.of(parameters.system)
    read = to_silver(spark, tables, catalogs, run_id=parameters.run_id)
    settle(spark, parameters.system, catalogs)
    if not read:
        print(f"{catalogs.table(tables.silver).dotted}: nothing new in bronze")


def to_silver(spark: SparkSession, tables: SilverTables, catalogs: Catalogs, *, run_id: str) -> int:
    """Brings what is new in bronze to silver and says how many rows that were. Raises StreamIsRunning and StreamWasStopped."""
    checkpoint, what = catalogs.checkpoint(tables.silver), catalogs.table(tables.silver).dotted
    stream = (
        spark.readStream.table(catalogs.table(tables.bronze).dotted)
        .writeStream.foreachBatch(writer(tables, catalogs, run_id=run_id))
        .option("checkpointLocation", checkpoint)
        .trigger(availableNow=True)
    )
    return finish(spark, begin(spark, stream.start, what=what), checkpoint, what=what)


def writer(tables: SilverTables, catalogs: Catalogs, *, run_id: str) -> Callable[[DataFrame, int], None]:
    """What a batch is given to. Databricks runs it in a process of its own in standard access mode, so it holds plain values only."""

    def write(batch: DataFrame, batch_id: int) -> None:
        at = MicroBatch(stream_id=stream_id(batch.sparkSession, catalogs.checkpoint(tables.silver)), batch_id=batch_id)
        sums = write_batch(batch, at, tables, catalogs, run_id=run_id)
        if sums is None:
            return
        print(
            f"{catalogs.table(tables.silver).dotted}: {sums.rows_in} rows in = {sums.written} written + {sums.duplicate} duplicate "
            f"+ {sums.superseded} superseded + {sums.quarantined} quarantined",
            flush=True,
        )

    return write


if __name__ == "__main__":
    main()
