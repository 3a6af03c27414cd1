"""What the stream makes of single messages, of batches that end half written, and of messages that were missed."""

from __future__ import annotations

import base64
import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.append import MicroBatch
from lakehouse.contracts import contract
from lakehouse.jobs.parameters import Parameters
from lakehouse.jobs.stream_contact_events import INTERACTIONS, follow, join_interactions, too_late
from lakehouse.quality.kpis import Window
from lakehouse.schema import column_names
from lakehouse.streaming.events import EventTables, write_batch
from lakehouse.streaming.latency import delays, latency
from lakehouse.streaming.messages import judged_messages
from local_estate.kafka.broker import Broker
from samples.events import contact_events, produce
from tests.spark.lakehouse_fixtures import LocalCatalogs, catalogs, one, plain, spark, table
from tests.spark.stream_fixtures import PARTITIONS, broker, topic_name
from tests.spark.streaming_process import WRITES, ending

__all__ = ["broker", "catalogs", "spark"]
SENT = datetime(2025, 6, 2, 10, tzinfo=UTC)
TABLES = EventTables.of_contact_events()
EVENTS, LETTERS, ACCOUNT = "sfdc.contact_event_silver", "sfdc.contact_events_dead_letter", "platform.batch_accounting"
GOOD = {"event_id": "E1", "contact_id": "C1", "event_type": "STORE_VISIT", "occurred_ts": "2025-06-02T09:59:00Z"}
MIB = 1_000_000  # as much as a message of 1 MiB has room for


def good(**changed: object) -> bytes:
    return json.dumps({**GOOD, **changed}).encode()


# Experiment 16 of the fault list, for messages: what a value is, and why it is a dead letter; None where it is none.
VALUES: dict[str, tuple[bytes | None, str | None]] = {
    "good": (good(), None),
    "1 MiB of note": (good(note="x" * MIB), None),
    "an unknown field": (good(colour="red"), None),
    "a tombstone": (None, "message: is empty"),
    "no byte": (b"", "message: is no JSON object"),
    "bad UTF-8": (good(note="caf\u00e9").replace(b"\\u00e9", b"\xe9"), "message: is not valid UTF-8 text"),
    "half a surrogate pair": (good(note="x").replace(b'"x"', b'"\\ud83d"'), "message: is no JSON object"),
    "a NUL": (good(note="a\0b"), "row: is not valid UTF-8 text"),
    "a raw NUL": (good(note="ab").replace(b'"ab"', b'"a\0b"'), "message: is no JSON object"),
    "120,000 deep": (b'{"note":' * 120_000 + b"1" + b"}" * 120_000, "message: is no JSON object"),
    "1 MiB of brackets": (b"[" * MIB, "message: is no JSON object"),
    "NaN": (good(note="x").replace(b'"x"', b"NaN"), "message: is no JSON object"),
    "one key twice": (good().replace(b"{", b'{"event_id": "E0", ', 1), "message: is no JSON object"),
    "two objects": (good() + good(), "message: is no JSON object"),
    "an object a line": (good() + b"\n" + good(), "message: is no JSON object"),
    "two objects and a comma": (good() + b", " + good(), "message: is no JSON object"),
    "an object and more": (good() + b"] x", "message: is no JSON object"),
    "white space around": (b" " + good() + b"\r\n", None),
    "next year": (good(occurred_ts="2026-06-02T10:00:00Z"), "occurred_ts: is in the future"),
    "year 10000": (good(occurred_ts="10000-01-01T00:00:00Z"), "occurred_ts: is not an ISO 8601 time with offset"),
    "30 February": (good(occurred_ts="2025-02-30T00:00:00Z"), "occurred_ts: is not an ISO 8601 time with offset"),
}


def as_read(spark: SparkSession, folder: Path, values: list[bytes | None], sent: datetime = SENT) -> DataFrame:
    """Messages as Spark's Kafka source has them. By way of a file: createDataFrame() would start Python workers."""
    file = folder / "messages.json"
    encoded = [None if value is None else base64.b64encode(value).decode() for value in values]
    file.write_text("".join(json.dumps({"offset": n, "encoded": value}) + "\n" for n, value in enumerate(encoded)))
    return (
        spark.read.schema("offset bigint, encoded string")
        .json(str(file))
        .select(
            F.lit("t").alias("topic"),
            F.lit(0).alias("partition"),
            "offset",
            F.lit(sent).alias("timestamp"),
            F.lit(b"C1").alias("key"),
            F.unbase64("encoded").alias("value"),
        )
    )


def test_each_message_is_an_event_or_has_its_reason(spark: SparkSession, tmp_path: Path) -> None:
    judged = judged_messages(as_read(spark, tmp_path, [value for value, _ in VALUES.values()]), TABLES.topic, TABLES.events)
    found = judged.select("_errors", F.length("note").alias("note")).orderBy("offset").collect()
    reasons = {name: row["_errors"] for name, row in zip(VALUES, found, strict=True)}
    assert reasons == {name: [reason] if reason else [] for name, (_, reason) in VALUES.items()}
    assert found[list(VALUES).index("1 MiB of note")]["note"] == MIB


def test_a_producer_whose_clock_is_ahead_takes_nobody_into_its_future(spark: SparkSession, tmp_path: Path) -> None:
    sent = datetime.now(UTC) + timedelta(days=400)
    ahead = as_read(spark, tmp_path, [good(occurred_ts=sent.isoformat(timespec="seconds"))], sent)
    assert one(judged_messages(ahead, TABLES.topic, TABLES.events).select("_errors"))["_errors"] == ["occurred_ts: is in the future"]


def test_an_end_behind_the_watermark_is_counted_and_not_joined(spark: SparkSession, catalogs: LocalCatalogs) -> None:
    dataset = contract(EVENTS)

    def happened(*events: tuple[str, str, str]) -> int:
        named = [
            F.struct(*[F.lit(text).alias(name) for name, text in zip(("event_id", "event_type", "at"), event, strict=True)])
            for event in events
        ]
        rows = spark.range(1).select(F.inline(F.array(*named)))
        values = {
            "contact_id": F.lit("C1"),
            "occurred_ts": F.to_timestamp("at"),
            "produced_ts": F.lit(SENT),
            "is_late": F.lit(False),
            "kafka_partition": F.lit(0),
            "kafka_offset": F.lit(0),
            "_processed_ts": F.current_timestamp(),
        }
        types = {column.name: column.physical_type for column in dataset.columns}
        full = rows.withColumns(values)
        absent = {name: F.lit(None).cast(types[name]) for name in types if name not in full.columns}
        typed = full.withColumns(absent).select(*[F.col(name).cast(types[name]) for name in column_names(dataset)])
        typed.write.format("delta").mode("append").saveAsTable(catalogs.table(dataset).dotted)
        return run()

    def run() -> int:
        query = join_interactions(spark, TABLES, Parameters(catalogs=catalogs, run_id="test"), {"availableNow": True})
        query.awaitTermination()
        return sum(too_late(query).values())

    def pairs() -> list[tuple[object, ...]]:
        return plain(table(spark, INTERACTIONS).select("started_event_id", "ended_event_id", "seconds"))

    assert happened(("S1", "CALL_STARTED", "2025-06-02T10:00:00Z"), ("S2", "CHAT_STARTED", "2025-06-02T10:00:00Z")) == 0
    assert happened(("E1", "CALL_ENDED", "2025-06-02T10:10:00Z")) == 0
    spark.sql(f"DELETE FROM {catalogs.table(dataset)} WHERE event_id = 'E1'")  # an erasure is nothing the stream minds
    # The newest of both kinds moves the watermark: to 12:30, so that an end of 10:20 comes too late.
    happened(("S3", "CALL_STARTED", "2025-06-02T13:30:00Z"), ("E3", "CALL_ENDED", "2025-06-02T13:31:00Z"))
    assert happened(("E2", "CHAT_ENDED", "2025-06-02T10:20:00Z")) == 1
    assert pairs() == [("S1", "E1", 600), ("S3", "E3", 60)]
    # As docs/runbooks/the-stream.md says: a new checkpoint has no watermark.
    shutil.rmtree(catalogs.checkpoint(contract(INTERACTIONS)))
    assert run() == 0
    assert pairs() == [("S1", "E1", 600), ("S2", "E2", 1200), ("S3", "E3", 60)]


class Died(Exception):
    """Stands for the end of the process: nothing after it happens."""


def test_a_batch_that_ends_at_any_write_adds_what_was_missing_and_nothing_twice(
    spark: SparkSession, catalogs: LocalCatalogs, tmp_path: Path
) -> None:
    messages, expected = contact_events(60, seed=1)
    assert min(expected.repeats, expected.poison, expected.interactions) > 0
    batch = as_read(spark, tmp_path, [message.value for message in messages], datetime.now(UTC))
    at = MicroBatch(stream_id="s", batch_id=0)
    # One batch, tried again and again: each attempt finds what those before it wrote, and gets one write further.
    *of_events, last = WRITES
    for table_name in of_events:
        with dying("after", table_name), pytest.raises(Died, match=f"after {table_name}"):
            write_batch(batch, at, TABLES, catalogs, run_id="test")
    write_batch(batch, at, TABLES, catalogs, run_id="test")

    def join() -> None:
        join_interactions(spark, TABLES, Parameters(catalogs=catalogs, run_id="test"), {"availableNow": True}).awaitTermination()

    for when in ("before", "after"):
        with dying(when, last), pytest.raises(StreamingQueryException, match=f"Died: {when} {last}"):
            join()
    join()

    assert counts(spark) == (expected.events, expected.poison, expected.interactions, expected.messages, expected.repeats)
    ids = one(table(spark, EVENTS).agg(F.countDistinct("event_id"), F.countDistinct("kafka_partition", "kafka_offset")))
    assert tuple(ids) == (expected.events, expected.events)
    assert table(spark, LETTERS).select("partition", "offset").distinct().count() == expected.poison
    figures = table(spark, "platform.rule_results")
    assert figures.count() == figures.select("rule").distinct().count()


@contextmanager
def dying(when: str, table_name: str) -> Iterator[None]:
    owner, name = WRITES[table_name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, ending(getattr(owner, name), when, table_name, _die))
        yield


def _die(when: str, table_name: str) -> None:
    raise Died(f"{when} {table_name}")


def counts(spark: SparkSession) -> tuple[int, ...]:
    """Events, dead letters and interactions, then messages and repeats by the account."""
    account = one(table(spark, ACCOUNT).selectExpr("sum(rows_in)", "sum(rows_duplicate)"))
    return (*(table(spark, name).count() for name in (EVENTS, LETTERS, INTERACTIONS)), *account)


def test_missed_messages_stop_the_stream_and_a_new_checkpoint_repeats_nothing(
    spark: SparkSession, catalogs: LocalCatalogs, broker: Broker
) -> None:
    began = datetime.now(UTC)
    run = Parameters(catalogs=catalogs, run_id="test")
    events, interactions = contract(EVENTS), contract(INTERACTIONS)
    assert latency(spark, catalogs, events) is None
    assert delays(spark, catalogs, events, Window(begin=began, end=began)) == []

    messages, expected = contact_events(90, seed=5)
    made = (expected.events, expected.poison, expected.interactions)
    produce(messages, broker.librdkafka())
    follow(spark, run, broker.spark_options())
    assert counts(spark) == (*made, expected.messages, expected.repeats)
    follow(spark, run, broker.spark_options())  # run-now retried
    assert counts(spark) == (*made, expected.messages, expected.repeats)

    # From these tables alone: how long it took until a message could be read.
    for dataset, rows in ((events, expected.events), (interactions, expected.interactions)):
        found = latency(spark, catalogs, dataset)
        assert found is not None
        assert found.rows == rows
        assert 0 < found.p50 <= found.p95 <= found.most < (datetime.now(UTC) - began).total_seconds()
        assert latency(spark, catalogs, dataset, within=timedelta(0)) is None
        took = delays(spark, catalogs, dataset, Window(begin=began, end=datetime.now(UTC)))
        assert sum(delay.rows for delay in took) == rows
        assert max(delay.seconds for delay in took) == math.ceil(found.most)
    with pytest.raises(
        ValueError, match="cmdm.customer_silver is filled from no topic: neither it nor its source has a column produced_ts"
    ):
        latency(spark, catalogs, contract("cmdm.customer_silver"))

    # The topic drops ten messages that nobody has read.
    unread, more = contact_events(60, seed=6)
    produce(unread, broker.librdkafka())
    admin = AdminClient(broker.librdkafka())
    ends = table(spark, EVENTS).groupBy("kafka_partition").agg(F.max("kafka_offset").alias("offset"))
    missed = [TopicPartition(topic_name(), row["kafka_partition"], row["offset"] + 10) for row in ends.collect()]
    assert len(missed) == PARTITIONS
    for done in admin.delete_records(missed).values():
        done.result()
    with pytest.raises(StreamingQueryException, match="Some data may have been lost"):
        follow(spark, run, broker.spark_options())
    assert counts(spark) == (*made, expected.messages, expected.repeats)

    # As docs/runbooks/the-stream.md says: the producer sends again, and the stream begins anew.
    shutil.rmtree(catalogs.checkpoint(events))
    produce(unread, broker.librdkafka())
    follow(spark, run, broker.spark_options())
    written, letters, pairs, _, _ = counts(spark)
    assert (written, pairs) == (expected.events + more.events, expected.interactions + more.interactions)
    assert letters == table(spark, LETTERS).select("partition", "offset").distinct().count()
