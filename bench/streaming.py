"""The stream of contact events by its exported job: rows a second of a backlog, and how soon a message is readable at a steady rate."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.workspace import ImportFormat

from bench.jobs import ended, submit, task_seconds
from bench.measure import Measurement, Report
from local_estate import facts, personas
from local_estate.kafka.broker import Broker
from local_estate.paths import Paths
from local_estate.stream import JOB, connect, produce, topic

BACKLOGS = (50_000, 200_000)
RATE, SECONDS = 500, 60
PATIENCE = 600  # seconds after the last message
EVENTS, PAIRS = "sfdc.contact_event_silver", "sfdc.contact_interaction"

# The same messages into a Delta table as they come: no contract, no repeats found, no state.
PLAIN = """
import json, sys
from pyspark.sql import SparkSession
from databricks.sdk.runtime import dbutils
secret, topic, table, checkpoint = sys.argv[1:]
options = json.loads(dbutils.secrets.get(*secret.split("/")))
spark = SparkSession.builder.getOrCreate()
messages = spark.readStream.format("kafka").options(**options).option("subscribe", topic).option("startingOffsets", "earliest").load()
messages.writeStream.option("checkpointLocation", checkpoint).trigger(availableNow=True).toTable(table).awaitTermination()
"""

LATENCY = """
import json, sys
from dataclasses import asdict
from datetime import timedelta
from pyspark.sql import SparkSession
from lakehouse.contracts import contract
from lakehouse.names import Catalogs
from lakehouse.streaming.latency import latency
catalogs, seconds, *names = sys.argv[1:]
spark = SparkSession.builder.getOrCreate()
for name in names:
    found = latency(spark, Catalogs(**json.loads(catalogs)), contract(name), within=timedelta(seconds=float(seconds)))
    print("LATENCY", json.dumps({"dataset": name, **asdict(found)}))
"""


def measure(report: Report, paths: Paths) -> None:
    workspace, outputs = facts.workspace_client(paths, "dev"), facts.outputs(paths, "dev")
    job = int(outputs["job_ids"][JOB])
    broker = connect(paths, workspace, job, say=lambda _: None)
    settings = workspace.jobs.get(job).settings
    assert settings and settings.tasks and settings.parameters  # noqa: S101  the job is ours
    wheel = (settings.tasks[0].libraries or [])[0].whl or ""
    secret = next(each.default for each in settings.parameters if each.name == "kafka_secret")
    produce(paths, broker, events=1_000, seed=100)  # both start with a warm class path
    table = f"{outputs['catalogs']['ai']}.knowledge.bench_messages"
    plain_arguments = (secret, topic(paths)[0], table, f"/Volumes/{outputs['catalogs']['raw']}/platform/checkpoints/bench_messages")
    plain = _script(workspace, PLAIN)
    ended(workspace, workspace.jobs.run_now(job).run_id)
    ended(workspace, submit(workspace, plain, *plain_arguments))
    for number, backlog in enumerate(BACKLOGS):
        sent = produce(paths, broker, events=backlog, seed=101 + number)["messages"]
        base = sent / task_seconds(ended(workspace, submit(workspace, plain, *plain_arguments)))
        ours = sent / task_seconds(ended(workspace, workspace.jobs.run_now(job).run_id))
        report.add(Measurement(name=f"plain Spark Kafka to Delta ({sent:,} messages)", unit="rows/s", samples=(base,)))
        compared = f"{ours / base:.2f}x plain Spark"
        report.add(Measurement(name=f"stream ({sent:,} messages)", unit="rows/s", samples=(ours,), compared=compared, note="whole job"))
    for found in _steady(paths, workspace, job, broker, outputs["catalogs"], wheel):
        name = f"message to {found['dataset']}, {RATE} a second for {SECONDS} s, p95"
        note = f"{found['rows']:,} rows, p50 {found['p50']:.1f} s, max {found['most']:.1f} s"
        report.add(Measurement(name=name, unit="s", samples=(found["p95"],), aim="< 300 s; seconds", note=note))


def _steady(
    paths: Paths, workspace: WorkspaceClient, job: int, broker: Broker, catalogs: Mapping[str, str], wheel: str
) -> list[dict[str, Any]]:
    """Latencies as the wheel works them out of the tables, of a continuous run that was up before the first message."""
    run_id = workspace.jobs.run_now(job, job_parameters={"trigger": "continuous"}).run_id
    began = time.time()
    for seed, events, rate in ((200, 500, 0), (201, RATE * SECONDS, RATE)):
        began, before = time.time(), facts.row_counts(paths)
        sent = produce(paths, broker, events=events, seed=seed, rate=rate)
        came = {f"{catalogs['curated']}.{EVENTS}": sent["events"], f"{catalogs['curated']}.{PAIRS}": sent["interactions"]}
        until = time.monotonic() + PATIENCE
        while any(facts.row_counts(paths)[name] < before[name] + rows for name, rows in came.items()):
            if time.monotonic() > until:
                raise RuntimeError(f"after {PATIENCE} s the stream has not taken in {came}; see its run in `estate status`")
            time.sleep(0.5)  # a batch of another process: there is nothing to be told by
    workspace.jobs.cancel_run_and_wait(run_id)
    asked = (json.dumps(dict(catalogs)), str(time.time() - began), EVENTS, PAIRS)
    # A change feed of masked tables is for those from whom nothing is hidden.
    engineer = personas.client(paths, "dev", "sp-bench", "data_engineering", "pii_readers")
    run = ended(engineer, submit(engineer, _script(workspace, LATENCY), *asked, wheel=wheel))
    logs = engineer.jobs.get_run_output((run.tasks or [])[0].run_id or 0).logs or ""
    return [json.loads(line.removeprefix("LATENCY ")) for line in logs.splitlines() if line.startswith("LATENCY ")]


def _script(workspace: WorkspaceClient, source: str) -> str:
    path = f"/Shared/bench-{uuid.uuid4().hex}.py"
    workspace.workspace.mkdirs("/Shared")
    workspace.workspace.import_(path, content=base64.b64encode(source.encode()).decode(), format=ImportFormat.RAW)
    return path
