"""Follows the topic of contact events: into the events table and its dead letters, from there into interactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from lakehouse.append import MicroBatch, stream_id
from lakehouse.contracts import contract
from lakehouse.jobs.parameters import Parameters, parse
from lakehouse.jobs.session import session
from lakehouse.names import Catalogs
from lakehouse.streaming.connection import MESSAGES_A_BATCH, kafka_options, topic_stream
from lakehouse.streaming.events import EventTables, write_batch
from lakehouse.streaming.interactions import interactions, write_interactions

INTERACTIONS = "sfdc.contact_interaction"
CONTINUOUS = "5 seconds"
# How often a continuous run, in seconds, looks for something to say of its own.
LOOK = 60

Trigger = dict[str, Any]


def main() -> None:
    parameters = parse("stream_contact_events", kafka=True)
    follow(session(), parameters, kafka_options(_secret(parameters.kafka_secret), name=parameters.kafka_secret))


def follow(
    spark: SparkSession,
    parameters: Parameters,
    options: dict[str, str],
    *,
    messages_a_batch: int = MESSAGES_A_BATCH,
    every: str = CONTINUOUS,
) -> None:
    """Takes in what is there and ends; with a trigger of `continuous` it looks `every` so often until it is cancelled or a stream fails."""
    catalogs = parameters.catalogs

    def say_late(count: int) -> None:
        print(f"{catalogs.table(contract(INTERACTIONS)).dotted}: {count} events came too late to be joined", flush=True)

    tables = EventTables.of_contact_events()
    messages = topic_stream(spark, tables.topic, options, messages_a_batch=messages_a_batch)
    # Streams of this session that ended before are none of ours: waiting for any would end at once.
    spark.streams.resetTerminated()
    trigger: Trigger = {"processingTime": every} if parameters.continuous else {"availableNow": True}
    events = _start(messages, writer(tables, catalogs, run_id=parameters.run_id), trigger, catalogs.checkpoint(tables.events))
    if not parameters.continuous:
        events.awaitTermination()
        joined = join_interactions(spark, tables, parameters, trigger)
        joined.awaitTermination()
        say_late(sum(too_late(joined).values()))
        return
    joined = join_interactions(spark, tables, parameters, trigger)
    told: dict[int, int] = {}
    while not spark.streams.awaitAnyTermination(LOOK):
        if new := {batch: count for batch, count in too_late(joined).items() if count and batch not in told}:
            told |= new
            say_late(sum(new.values()))


def writer(tables: EventTables, catalogs: Catalogs, *, run_id: str) -> Callable[[DataFrame, int], None]:
    """What a batch of messages is given to. Databricks runs it in a process of its own in standard access mode: it holds plain values."""

    def write(batch: DataFrame, batch_id: int) -> None:
        at = MicroBatch(stream_id=stream_id(batch.sparkSession, catalogs.checkpoint(tables.events)), batch_id=batch_id)
        sums = write_batch(batch, at, tables, catalogs, run_id=run_id)
        if sums:
            print(
                f"{catalogs.table(tables.events).dotted}: {sums.rows_in} messages in = {sums.written} written + {sums.duplicate} duplicate "
                f"+ {sums.quarantined} to dead letters",
                flush=True,
            )

    return write


def join_interactions(spark: SparkSession, tables: EventTables, parameters: Parameters, trigger: Trigger) -> StreamingQuery:
    catalogs, dataset = parameters.catalogs, contract(INTERACTIONS)

    def write(batch: DataFrame, _: int) -> None:
        write_interactions(batch, catalogs.table(dataset), dataset, run_id=parameters.run_id)

    # Events that somebody deletes, an erasure say, were joined before, or will not be.
    events = spark.readStream.option("skipChangeCommits", "true").table(catalogs.table(tables.events).dotted)
    pairs = interactions(events)
    return _start(pairs, write, trigger, catalogs.checkpoint(dataset))


def too_late(query: StreamingQuery) -> dict[int, int]:
    """Events behind the watermark, by batch, of the hundred batches that Spark remembers."""
    return {
        int(batch["batchId"]): sum(int(operator["numRowsDroppedByWatermark"]) for operator in batch["stateOperators"])
        for batch in query.recentProgress
    }


def _start(rows: DataFrame, write: Callable[[DataFrame, int], None], trigger: Trigger, checkpoint: str) -> StreamingQuery:
    return rows.writeStream.foreachBatch(write).option("checkpointLocation", checkpoint).trigger(**trigger).start()


def _secret(name: str) -> str:
    """Only a Databricks task has `dbutils`."""
    from databricks.sdk.runtime import dbutils

    scope, _, key = name.partition("/")
    return str(dbutils.secrets.get(scope=scope, key=key))


if __name__ == "__main__":
    main()
