"""The stream of contact events against a real broker, through `kill -9`; every other point of a batch is in test_lakehouse_messages.py."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from local_estate.kafka.broker import Broker
from local_estate.paths import REPOSITORY
from samples.events import POISON, contact_events, produce
from tests.spark.lakehouse_fixtures import one, spark
from tests.spark.stream_fixtures import broker

__all__ = ["broker", "spark"]
COUNT = 3_000
SEED = 7


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.spark.streaming_process", str(folder), *arguments]
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
    with process.stdout as said:
        yield from said


def killed(folder: Path, *arguments: str) -> list[str]:
    process = start(folder, *arguments)
    said = list(lines(process))
    assert process.wait() == -signal.SIGKILL, (folder / "stderr").read_text()[-3000:]
    return said


def killed_in_a_batch(folder: Path, after: float) -> None:
    """A batch says its line once it is written; `after` seconds later is somewhere in the next."""
    process = start(folder, "--continuous")
    said = list(itertools.islice((line for line in lines(process) if " messages in = " in line), 1))
    time.sleep(after)
    os.killpg(process.pid, signal.SIGKILL)
    assert (process.wait(), len(said)) == (-signal.SIGKILL, 1), (folder / "stderr").read_text()[-3000:]


def finish(folder: Path) -> list[str]:
    process = start(folder)
    said = list(lines(process))
    assert process.wait() == 0, (folder / "stderr").read_text()[-3000:]
    return said


def test_a_stream_killed_in_its_writes_neither_loses_nor_repeats(spark: SparkSession, broker: Broker, tmp_path: Path) -> None:
    pick = random.Random(SEED)
    messages, expected = contact_events(COUNT, seed=SEED)
    assert min(expected.repeats, expected.late, expected.interactions) > 0
    assert expected.poison >= len(POISON)
    (tmp_path / "client.json").write_text(json.dumps(broker.spark_options()))

    def table(name: str) -> DataFrame:
        return spark.read.format("delta").load(f"{tmp_path}/warehouse/{name.replace('.', '.db/')}")

    # Half is there at first, more comes while the stream is down. Before the last write is when most of a batch is there already.
    left = iter(messages)
    produce(itertools.islice(left, COUNT // 2), broker.librdkafka())
    killed(tmp_path, "--continuous", "--die", "before/contact_event_silver")
    produce(itertools.islice(left, COUNT // 4), broker.librdkafka())
    killed_in_a_batch(tmp_path, after=pick.uniform(0, 2))
    before = table("sfdc.contact_event_silver").count()
    assert 0 < before < expected.events
    produce(left, broker.librdkafka())

    assert finish(tmp_path)[-1].endswith(": 0 events came too late to be joined\n")
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
