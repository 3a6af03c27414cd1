"""Brings the new bronze rows of one system into its silver table, its quarantine and the account."""

from __future__ import annotations

from concurrent.futures import Future

from pyspark.sql import DataFrame

from lakehouse.append import MicroBatch
from lakehouse.jobs.parameters import parse
from lakehouse.jobs.session import session
from lakehouse.quality.accounting import BatchTotals
from lakehouse.silver.batch import SilverTables, write_batch


def main() -> None:
    parameters = parse("silver", system=True)
    spark = session()
    catalogs = parameters.catalogs
    tables = SilverTables.of(parameters.system)
    done: list[BatchTotals] = []

    # The stream's id is known once it has started, which may be after its first batch asks for it.
    started: Future[str] = Future()

    def write(batch: DataFrame, batch_id: int) -> None:
        at = MicroBatch(stream_id=started.result(), batch_id=batch_id)
        done.append(write_batch(batch, at, tables, catalogs, run_id=parameters.run_id))

    query = (
        spark.readStream.table(catalogs.table(tables.bronze).dotted)
        .writeStream.foreachBatch(write)
        .option("checkpointLocation", catalogs.checkpoint(tables.silver))
        .trigger(availableNow=True)
        .start()
    )
    started.set_result(str(query.id))
    query.awaitTermination()
    for sums in done:
        print(
            f"{catalogs.table(tables.silver).dotted}: {sums.rows_in} rows in = {sums.written} written + {sums.duplicate} duplicate "
            f"+ {sums.superseded} superseded + {sums.quarantined} quarantined"
        )
    if not done:
        print(f"{catalogs.table(tables.silver).dotted}: nothing new in bronze")


if __name__ == "__main__":
    main()
