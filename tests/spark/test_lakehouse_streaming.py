"""The stream of contact events against a real broker, through `kill -9`; every other point of a batch is in test_lakehouse_messages.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.jobs.parameters import Parameters
from lakehouse.jobs.stream_contact_events import follow
from local_estate.kafka.broker import Broker
from local_estate.paths import REPOSITORY
from samples.events import POISON, Expected, Message, contact_events, produce
from tests.spark.found_tables import forget, warehouse_of
from tests.spark.lakehouse_fixtures import LocalCatalogs, catalogs, one, spark, table
from tests.spark.stream_fixtures import broker
from tests.spark.streaming_process import MESSAGES_A_BATCH

__all__ = ["broker", "catalogs", "spark"]
SEED = 7


def killed(folder: Path, warehouse: Path, *, die: str) -> None:
    """The stream's process, until it kills itself."""
    command = [sys.executable, "-m", "tests.spark.streaming_process", str(folder), str(warehouse), "--die", die]
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "workloads")])
    with (folder / "output").open("wb") as output:
        environment = {**os.environ, "PYTHONPATH": path}
        process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output, start_new_session=True)
        assert process.wait(240) == -signal.SIGKILL, (folder / "output").read_text()[-3000:]


def with_all_poison(count: int) -> tuple[list[Message], Expected]:
    """Contact events, and at their end a message for every way to break the contract."""
    messages, expected = contact_events(count, seed=SEED)
    event = {
        "event_id": "poison",
        "contact_id": "003MT0000000001",
        "event_type": "STORE_VISIT",
        "service_id": None,
        "note": None,
        "occurred_ts": "2025-06-02T10:00:00Z",
    }
    poison = [Message(key=b"003MT0000000001", value=spoil(event)) for spoil in POISON.values()]
    return [*messages, *poison], replace(expected, messages=expected.messages + len(poison), poison=expected.poison + len(poison))


def test_a_stream_killed_in_its_writes_neither_loses_nor_repeats(
    spark: SparkSession, catalogs: LocalCatalogs, broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages, expected = with_all_poison(300)
    assert min(expected.repeats, expected.late, expected.interactions) > 0
    (tmp_path / "client.json").write_text(json.dumps(broker.spark_options()))

    # Two batches are there at first, more comes while the stream is down. Before the last write is when most of a batch is there already.
    there = MESSAGES_A_BATCH + MESSAGES_A_BATCH // 2
    produce(messages[:there], broker.librdkafka())
    killed(tmp_path, warehouse_of(spark), die="before/contact_event_silver/2")
    forget(spark)
    assert 0 < table(spark, "sfdc.contact_event_silver").count() < expected.events
    assert one(table(spark, "platform.batch_accounting").selectExpr("sum(rows_in)"))[0] == there
    produce(messages[there:], broker.librdkafka())

    # The next process that runs the stream is this one.
    follow(spark, Parameters(catalogs=catalogs, run_id="test"), broker.spark_options(), messages_a_batch=MESSAGES_A_BATCH)
    assert capsys.readouterr().out.endswith(": 0 events came too late to be joined\n")
    events = table(spark, "sfdc.contact_event_silver")
    found = one(
        events.agg(
            F.count("*").alias("rows"),
            F.countDistinct("event_id").alias("ids"),
            F.countDistinct("kafka_partition", "kafka_offset").alias("offsets"),
            F.count_if("is_late").alias("late"),
        )
    )
    assert tuple(found) == (expected.events, expected.events, expected.events, expected.late)
    account = one(
        table(spark, "platform.batch_accounting").selectExpr(
            "sum(rows_in)", "sum(rows_written)", "sum(rows_duplicate)", "sum(rows_quarantined)"
        )
    )
    assert tuple(account) == (expected.messages, expected.events, expected.repeats, expected.poison)
    letters = table(spark, "sfdc.contact_events_dead_letter")
    assert (letters.count(), letters.select("partition", "offset").distinct().count()) == (expected.poison, expected.poison)
    pairs = table(spark, "sfdc.contact_interaction")
    assert (pairs.count(), pairs.where("seconds BETWEEN 20 AND 1200").count()) == (expected.interactions, expected.interactions)
    reasons = {reason for row in letters.select("errors").distinct().collect() for reason in row["errors"]}
    assert reasons == {
        "message: is empty",
        "message: is no JSON object",
        "message: is not valid UTF-8 text",
        "contact_id: is no JSON string",
        "note: is no JSON string",
        "event_id: is required",
        "contact_id: is required",
        "event_type: is not one of CALL_STARTED, CALL_ENDED, CHAT_STARTED, CHAT_ENDED, EMAIL_RECEIVED, STORE_VISIT, PORTAL_LOGIN",
        "occurred_ts: is not an ISO 8601 time with offset",
        "occurred_ts: is in the future",
        "row: is not valid UTF-8 text",
    }
