"""A stream that goes wrong says so: too much poison stops it, a silent topic is no fresh one, a backfill of nothing is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.append import MicroBatch
from lakehouse.contracts import contract
from lakehouse.contracts.monitors import monitor
from lakehouse.jobs import accept_batch, backfill
from lakehouse.jobs.parameters import Parameters
from lakehouse.quality.kpis import Result, Window, kpis
from lakehouse.quality.measures import measure
from lakehouse.quality.stop import BatchStopped
from lakehouse.streaming.events import EventTables, write_batch
from tests.spark.lakehouse_fixtures import LocalCatalogs, catalogs, spark, table
from tests.spark.ops_rows import land

__all__ = ["catalogs", "spark"]
TABLES = EventTables.of_contact_events()
EVENTS, LETTERS, ACCOUNT = "sfdc.contact_event_silver", "sfdc.contact_events_dead_letter", "platform.batch_accounting"


def messages(spark: SparkSession, good: int, poison: int, *, first: int = 0) -> DataFrame:
    """`good` visits, then `poison` messages of a type that the contract does not have."""
    event = {"contact_id": "C1", "occurred_ts": "2025-06-02T09:59:00Z"}
    types = ["STORE_VISIT"] * good + ["FAX_RECEIVED"] * poison
    values = [json.dumps({**event, "event_id": f"E{first + n}", "event_type": word}) for n, word in enumerate(types)]
    made = spark.range(1).select(F.posexplode(F.from_json(F.lit(json.dumps(values)), "array<string>")).alias("offset", "text"))
    return made.select(
        F.lit("sfdc.contact-events.v1").alias("topic"),
        F.lit(0).alias("partition"),
        (F.col("offset") + first).cast("bigint").alias("offset"),
        F.lit(datetime(2025, 6, 2, 10, tzinfo=UTC)).alias("timestamp"),
        F.lit("C1").cast("binary").alias("key"),
        F.col("text").cast("binary").alias("value"),
    )


def test_a_batch_of_poison_stops_the_stream_unwritten_until_somebody_accepts_it(
    spark: SparkSession, catalogs: LocalCatalogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows() -> list[int]:
        return [table(spark, name).count() for name in (EVENTS, LETTERS, ACCOUNT)]

    # Nineteen are too few to be a rate, with the nineteen of the run before they are one.
    first, second = MicroBatch(stream_id="s", batch_id=0), MicroBatch(stream_id="s", batch_id=1)
    write_batch(messages(spark, 1, 19), first, TABLES, catalogs, run_id="monday")
    assert rows() == [1, 19, 1]
    said = (
        r"sfdc\.contact_event_silver: 38 of 40 messages of this run \(95\.00 %\) break the contract, the limit is 1 % \(errorRate\)\. "
        r"Most often: event_type\.valid_values \(19\)\. Nothing of this batch was written, and the next run tries it again\. If the "
        r"producer means .*accept_batch with system=sfdc, batch_run_id=monday and a reason"
    )
    with pytest.raises(BatchStopped, match=said):
        write_batch(messages(spark, 1, 19, first=20), second, TABLES, catalogs, run_id="monday")
    with pytest.raises(BatchStopped, match=r"74 of 100 messages of this batch \(74\.00 %\)"):
        write_batch(messages(spark, 26, 74, first=20), second, TABLES, catalogs, run_id="tuesday")
    assert rows() == [1, 19, 1]

    monkeypatch.setattr(accept_batch, "session", lambda: spark)
    accepted = Parameters(catalogs=catalogs, run_id="a", system="sfdc", batch_run_id="tuesday", reason="the producer lost them")
    monkeypatch.setattr(accept_batch, "parse", lambda *_, **__: accepted)
    accept_batch.main()
    write_batch(messages(spark, 26, 74, first=20), second, TABLES, catalogs, run_id="wednesday")
    assert rows() == [27, 93, 2]


def test_a_topic_that_fell_silent_is_told_and_interactions_have_run(spark: SparkSession, catalogs: LocalCatalogs) -> None:
    now = datetime.now(UTC)
    watched = [found for name in (EVENTS, "sfdc.contact_interaction") if (found := monitor(contract(name)))]
    write_batch(messages(spark, 1, 0), MicroBatch(stream_id="s", batch_id=0), TABLES, catalogs, run_id="r")

    def silence(end: datetime) -> list[tuple[Result, str]]:
        measured = measure(spark, catalogs, Window(begin=now - timedelta(days=7), end=end), {})
        return [(kpi.result, kpi.note[:13]) for kpi in kpis(watched, measured) if kpi.name == "silence_seconds"]

    year = f"last at {now.year}-"
    # The job that joins them ran; there was nothing to join yet, which is not "never run".
    assert silence(now + timedelta(hours=1)) == [(Result.MET, year[:13]), (Result.NOT_MEASURED, "never deliver")]
    assert silence(now + timedelta(hours=25))[0] == (Result.MISSED, year[:13])


def test_a_backfill_of_days_without_deliveries_is_refused_and_says_which_days_there_are(
    spark: SparkSession, catalogs: LocalCatalogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(spark, catalogs, "cmdm", day=1)
    land(spark, catalogs, "cmdm", day=3)
    monkeypatch.setattr(backfill, "session", lambda: spark)
    monkeypatch.setattr(backfill, "parse", lambda *_, **__: Parameters(catalogs=catalogs, run_id="r", system="cmdm"))
    with pytest.raises(
        SystemExit,
        match=r"backfill: nothing was delivered to .*cmdm_bronze from 2025-07-01 to 2025-07-09, so there is nothing to derive\. Give days "
        r"on which something was, by the names of the landing files\. It has deliveries of 2 days, from 2025-06-01 to 2025-06-03",
    ):
        backfill.main(["--from=2025-07-01", "--to=2025-07-09"])
