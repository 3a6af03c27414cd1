"""The stream of contact events against a real broker, through `kill -9`."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts.registry import topic
from local_estate.kafka.broker import Broker, KafkaBroker
from local_estate.kafka.topics import create_topic
from local_estate.paths import REPOSITORY, Paths
from samples.events import POISON, TOPIC, contact_events, produce
from tests.spark.lakehouse_fixtures import one, spark

__all__ = ["spark"]
COUNT = 6_000
PARTITIONS = 3


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    kafka = KafkaBroker(replace(Paths.from_environment(), home=tmp_path / "estate"))
    started = kafka.start()
    declared = topic(TOPIC).topic
    assert declared is not None
    create_topic(started, declared.name, partitions=PARTITIONS)
    yield started
    kafka.stop()


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.spark.streaming_process", str(folder)]
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "workloads")])
    with (folder / "stderr").open("ab") as errors:
        return subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )


def lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    return iter(process.stdout.readline, "")


def finish(folder: Path) -> list[str]:
    process = start(folder)
    said = list(lines(process))
    assert process.wait() == 0, (folder / "stderr").read_text()[-3000:]
    return said


def test_a_stream_killed_in_the_middle_neither_loses_nor_repeats(spark: SparkSession, broker: Broker, tmp_path: Path) -> None:
    messages, expected = contact_events(COUNT, seed=7)
    produce(messages, broker.librdkafka())
    assert min(expected.repeats, expected.late, expected.interactions) > 0
    assert expected.poison >= len(POISON)
    (tmp_path / "client.json").write_text(json.dumps(broker.spark_options()))

    # A batch says its line once it is written and before the checkpoint knows: the killed one comes again.
    first = start(tmp_path)
    said = list(itertools.islice((line for line in lines(first) if " messages in = " in line), 3))
    os.killpg(first.pid, signal.SIGKILL)
    assert (first.wait(), len(said)) == (-signal.SIGKILL, 3), (tmp_path / "stderr").read_text()[-3000:]
    if first.stdout:
        first.stdout.close()

    def table(name: str) -> DataFrame:
        return spark.read.format("delta").load(f"{tmp_path}/warehouse/{name.replace('.', '.db/')}")

    before = table("sfdc.contact_event_silver").count()
    assert 0 < before < expected.events

    rest = finish(tmp_path)
    assert rest[-1].endswith("0 events came too late to be joined\n")
    events = table("sfdc.contact_event_silver")
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
        table("platform.batch_accounting").selectExpr("sum(rows_in)", "sum(rows_written)", "sum(rows_duplicate)", "sum(rows_quarantined)")
    )
    assert tuple(account) == (expected.messages, expected.events, expected.repeats, expected.poison)
    letters = table("sfdc.contact_events_dead_letter")
    assert (letters.count(), letters.select("partition", "offset").distinct().count()) == (expected.poison, expected.poison)
    pairs = table("sfdc.contact_interaction")
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
