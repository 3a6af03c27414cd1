"""Follows the topic of contact events: into the events table and its dead letters, from there into interactions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from lakehouse.append import MicroBatch
from lakehouse.contracts import contract
from lakehouse.jobs.parameters import Parameters, parse
from lakehouse.jobs.session import session
from lakehouse.quality.accounting import BatchTotals
from lakehouse.streaming.connection import MESSAGES_A_BATCH, kafka_options, topic_stream
from lakehouse.streaming.events import EventTables, write_batch
from lakehouse.streaming.interactions import interactions, write_interactions

INTERACTIONS = "sfdc.contact_interaction"
CONTINUOUS = "5 seconds"


def main() -> None:
    parameters = parse("stream_contact_events", kafka=True)
    follow(session(), parameters, kafka_options(_secret(parameters.kafka_secret), name=parameters.kafka_secret))


def follow(spark: SparkSession, parameters: Parameters, options: dict[str, str], *, messages_a_batch: int = MESSAGES_A_BATCH) -> None:
    """Takes in what is there and ends; with a trigger of `continuous`, goes on until it is cancelled or one of its streams fails."""
    catalogs = parameters.catalogs

    def say(sums: BatchTotals) -> None:
        print(
            f"{catalogs.table(tables.events).dotted}: {sums.rows_in} messages in = {sums.written} written + {sums.duplicate} duplicate "
            f"+ {sums.quarantined} to dead letters",
            flush=True,
        )

    tables = EventTables.of_contact_events()
    messages = topic_stream(spark, tables.topic, options, messages_a_batch=messages_a_batch)
    events = take_in(messages, tables, parameters, say)
    if not parameters.continuous:
        events.awaitTermination()
        joined = join_interactions(spark, tables, parameters)
        joined.awaitTermination()
        print(f"{catalogs.table(contract(INTERACTIONS)).dotted}: {too_late(joined)} events came too late to be joined")
        return
    join_interactions(spark, tables, parameters)
    spark.streams.awaitAnyTermination()


def take_in(messages: DataFrame, tables: EventTables, parameters: Parameters, say: Callable[[BatchTotals], None]) -> StreamingQuery:
    # The stream's id is known once it has started, which may be after its first batch asks for it.
    started: Future[str] = Future()

    def write(batch: DataFrame, batch_id: int) -> None:
        at = MicroBatch(stream_id=started.result(), batch_id=batch_id)
        if sums := write_batch(batch, at, tables, parameters.catalogs, run_id=parameters.run_id):
            say(sums)

    query = _start(messages, write, parameters, parameters.catalogs.checkpoint(tables.events))
    started.set_result(str(query.id))
    return query


def join_interactions(spark: SparkSession, tables: EventTables, parameters: Parameters) -> StreamingQuery:
    catalogs, dataset = parameters.catalogs, contract(INTERACTIONS)

    def write(batch: DataFrame, _: int) -> None:
        write_interactions(batch, catalogs.table(dataset), dataset, run_id=parameters.run_id)

    pairs = interactions(spark.readStream.table(catalogs.table(tables.events).dotted))
    return _start(pairs, write, parameters, catalogs.checkpoint(dataset))


def too_late(query: StreamingQuery) -> int:
    """Events behind the watermark, over the batches of this run."""
    operators = [operator for batch in query.recentProgress for operator in batch["stateOperators"]]
    return sum(int(operator["numRowsDroppedByWatermark"]) for operator in operators)


def _start(rows: DataFrame, write: Callable[[DataFrame, int], None], parameters: Parameters, checkpoint: str) -> StreamingQuery:
    writer = rows.writeStream.foreachBatch(write).option("checkpointLocation", checkpoint)
    if parameters.continuous:
        return writer.trigger(processingTime=CONTINUOUS).start()
    return writer.trigger(availableNow=True).start()


def _secret(name: str) -> str:
    """Only a Databricks task has `dbutils`."""
    from databricks.sdk.runtime import dbutils

    scope, _, key = name.partition("/")
    return str(dbutils.secrets.get(scope=scope, key=key))


if __name__ == "__main__":
    main()
