"""One micro-batch of a topic: judge the messages, write each where it belongs, account for it.

A batch that is tried again finds what its first attempt wrote and adds nothing, by the stream and number of the batch that Delta keeps with
each commit. A message that another stream reads again, after the loss of a checkpoint, is found by its event's key or its letter's id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.append import MicroBatch, append_once
from lakehouse.contracts import DatasetContract, contract
from lakehouse.contracts.registry import dead_letter_of, topic
from lakehouse.names import Catalogs
from lakehouse.quality.accounting import EXAMPLES, FAILED, BatchTotals, accounting, recorded, totals
from lakehouse.quality.rule_results import RESULTS, of_topic, rule_results
from lakehouse.quality.rules import ERRORS
from lakehouse.quality.stop import found_stops, hold_whole
from lakehouse.quality.stream_breaker import hold_poor
from lakehouse.schema import column_names
from lakehouse.silver.outcome import DUPLICATE, OUTCOME, QUARANTINED, WRITTEN
from lakehouse.streaming.messages import judged_messages, message_rules

LATE_AFTER = "INTERVAL 1 HOUR"


@dataclass(frozen=True, kw_only=True)
class EventTables:
    """The datasets of one topic: its messages, where they may go, and whom they are about."""

    topic: DatasetContract
    events: DatasetContract
    dead_letters: DatasetContract
    contacts: DatasetContract
    accounting: DatasetContract

    @classmethod
    def of_contact_events(cls) -> EventTables:
        messages = topic("sfdc.contact_events")
        return cls(
            topic=messages,
            events=contract("sfdc.contact_event_silver"),
            dead_letters=dead_letter_of(messages),
            contacts=contract("sfdc.contact_silver"),
            accounting=contract("platform.batch_accounting"),
        )


def write_batch(messages: DataFrame, at: MicroBatch, tables: EventTables, catalogs: Catalogs, *, run_id: str) -> BatchTotals | None:
    """The account first, so that it tells what the first attempt found; None for a batch without a message.

    Raises BatchStopped before it writes anything.
    """
    spark = messages.sparkSession
    known = spark.read.table(catalogs.table(tables.events).dotted)
    rows = outcomes(judged_messages(messages, tables.topic, tables.events), recent(known, tables.topic), tables.events).persist()
    try:
        rules = message_rules(tables.topic, tables.events)
        account = accounting(rows, tables.events, rules, batch_id=at.batch_id, run_id=run_id)
        partitions = account.collect()
        if not partitions:
            return None
        sums = totals(partitions)
        hold_whole(spark, catalogs, found_stops(partitions, rules, tables.events), tables.events, at, run_id=run_id)
        name = tables.topic.topic.name if tables.topic.topic else tables.topic.name
        hold_poor(spark, catalogs, sums, partitions, rules, tables.events, at, topic=name, run_id=run_id)
        append_once(recorded(partitions, account.drop(FAILED, EXAMPLES)), catalogs.table(tables.accounting), at)
        whole = of_topic(partitions, name)
        figures = rule_results(spark, whole, rules, tables.events, batch_id=at.batch_id, run_id=run_id)
        append_once(figures, catalogs.table(contract(RESULTS)), at)
        if sums.quarantined:
            letters = catalogs.table(tables.dead_letters)
            append_once(missing(dead_letters(rows, run_id=run_id), spark.read.table(letters.dotted), tables), letters, at)
        # Last: the outcomes depend on this table.
        if sums.written:
            contacts = spark.read.table(catalogs.table(tables.contacts).dotted)
            append_once(event_rows(rows, contacts, tables.events, run_id=run_id), catalogs.table(tables.events), at)
    finally:
        rows.unpersist()
    return sums


def recent(known: DataFrame, messages: DatasetContract, *, written: str = "_processed_ts") -> DataFrame:
    """Rows whose messages the topic may still deliver again; `written` is the column that says when a row was.

    It keeps a message for its retention, so what comes again now first came, and was processed, at most two of them ago. The bound is on
    our own clock and in the order of the files: looking for repeats costs the same on a table of years.
    """
    kept = messages.objectives.retention
    return known if kept is None else known.where(F.col(written) >= F.lit(datetime.now(UTC) - 2 * kept))


def outcomes(rows: DataFrame, known: DataFrame, events: DatasetContract) -> DataFrame:
    """Judged messages → with `_outcome`: quarantined, duplicate of the batch or of `known`, or written. The first offset of a key wins."""
    valid = F.size(ERRORS) == 0
    # Messages in error may lack their key; by offset they spread over partitions, each alone.
    group = F.when(valid, F.to_json(F.struct(*events.key))).otherwise(F.concat_ws("/", "_source_file", F.col("offset").cast("string")))
    first = F.row_number().over(Window.partitionBy(group).orderBy("partition", "offset")) == 1
    seen = known.select(*[F.col(name).alias(f"_t_{name}") for name in events.key], F.lit(True).alias("_seen"))
    same_key = [F.col(name) == F.col(f"_t_{name}") for name in events.key]
    joined = rows.withColumn("_first", first).join(seen, [*same_key, valid, F.col("_first")], "left")
    outcome = F.when(~valid, F.lit(QUARANTINED)).when(~F.col("_first") | F.col("_seen"), F.lit(DUPLICATE)).otherwise(F.lit(WRITTEN))
    return joined.withColumn(OUTCOME, outcome).drop(*[f"_t_{name}" for name in events.key], "_seen", "_first")


def missing(letters: DataFrame, known: DataFrame, tables: EventTables) -> DataFrame:
    """Dead letters that are not there yet: a new checkpoint reads the topic from its beginning."""
    there = recent(known, tables.topic, written="dead_lettered_ts").select(*tables.dead_letters.key)
    return letters.join(there, [*tables.dead_letters.key], "left_anti")


def event_rows(rows: DataFrame, contacts: DataFrame, events: DatasetContract, *, run_id: str) -> DataFrame:
    """Rows with `_outcome` → rows of the events table, with what is known of the contact now.

    No watermark: nothing is held back for a contact that is not there yet. The contacts of the batch are few, however many there are.
    """
    new = rows.where(F.col(OUTCOME) == WRITTEN)
    about = contacts.select("contact_id", "customer_id", F.col("state").alias("contact_state"))
    about = about.join(F.broadcast(new.select("contact_id").distinct()), "contact_id", "left_semi")
    named = new.join(F.broadcast(about), "contact_id", "left").withColumns(
        {
            "is_late": F.col("occurred_ts") < F.col("timestamp") - F.expr(LATE_AFTER),
            "produced_ts": F.col("timestamp"),
            "kafka_partition": F.col("partition"),
            "kafka_offset": F.col("offset"),
            "_processed_ts": F.current_timestamp(),
            "_run_id": F.lit(run_id),
        }
    )
    return named.select(*column_names(events))


def dead_letters(rows: DataFrame, *, run_id: str) -> DataFrame:
    """Rows with `_outcome` → rows of the dead-letter table. The id holds the time and value, too: a topic made anew counts from 0 again."""
    text = F.is_valid_utf8(F.coalesce(F.col("value").cast("string"), F.lit(""))) & F.is_valid_utf8(
        F.coalesce(F.col("key").cast("string"), F.lit(""))
    )
    origin = F.struct("topic", "partition", "offset", F.unix_micros("timestamp"), F.base64("value"))
    return rows.where(F.col(OUTCOME) == QUARANTINED).select(
        F.sha2(F.to_json(origin), 256).alias("dead_letter_id"),
        "topic",
        "partition",
        "offset",
        F.col("timestamp").alias("produced_ts"),
        F.when(text, F.col("key").cast("string")).otherwise(F.base64("key")).alias("message_key"),
        F.when(text, F.col("value").cast("string")).otherwise(F.base64("value")).alias("value"),
        F.when(text, F.lit("utf-8")).otherwise(F.lit("base64")).alias("encoding"),
        F.col(ERRORS).alias("errors"),
        F.lit(run_id).alias("run_id"),
        F.current_timestamp().alias("dead_lettered_ts"),
    )
