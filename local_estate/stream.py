"""Contact events through the stream of a deployed stack: broker, topic, the connection's secret, messages, the exported job.

The producer is `samples.events`, a process of its own: it knows the topic. Where the job looks for its connection, the job says itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx
import psutil
from databricks.sdk import WorkspaceClient

from local_estate import facts, tenancy
from local_estate.day.run import Step, StepFailed, StepResult, error_of, result_of, wait_for
from local_estate.kafka.broker import Broker, KafkaBroker
from local_estate.kafka.configuration import write_private
from local_estate.kafka.topics import create_topic
from local_estate.paths import Paths

JOB = "stream_contact_events"
_SECRET = "kafka_secret"  # noqa: S105  name of the job's parameter
Counts = Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class StreamRun:
    """One run of the job; `said` are the lines of its own account. `rows` are those of each table afterwards."""

    run_id: int
    result: str
    seconds: float
    said: tuple[str, ...]
    rows: Counts


@dataclass(frozen=True, kw_only=True)
class Streamed:
    """`sent` is what the producer says: messages = events + repeats + poison. `runs` has two where the first was killed."""

    sent: Counts
    before: Counts
    runs: tuple[StreamRun, ...]

    @property
    def changed(self) -> tuple[str, ...]:
        """Tables that have other rows than before."""
        return tuple(name for name, rows in self.runs[-1].rows.items() if rows != self.before.get(name, 0))


def stream(paths: Paths, stack: str, *, events: int, seed: int, kill: bool, say: Callable[[str], None]) -> Streamed:
    """With `kill`, the first run's process gets SIGKILL in its batch. Raises NotDeployed, BrokerDidNotStart, RuntimeError, StepFailed."""
    workspace, job = facts.workspace_client(paths, stack), int(facts.outputs(paths, stack)["job_ids"][JOB])
    broker = connect(paths, workspace, job, say=say)
    before = facts.row_counts(paths)
    sent = produce(paths, broker, events=events, seed=seed)
    say(f"sent: {sent['messages']} messages = {sent['events']} events + {sent['repeats']} repeats + {sent['poison']} poison (seed {seed})")
    killed = [_run(paths, workspace, job, kill_beyond=before)] if kill else []
    return Streamed(sent=sent, before=before, runs=(*killed, _run(paths, workspace, job)))


def connect(paths: Paths, workspace: WorkspaceClient, job: int, *, say: Callable[[str], None]) -> Broker:
    """The broker with its topic, and its connection where the job looks for it."""
    broker = KafkaBroker(paths).start()
    name, partitions = topic(paths)
    made = create_topic(broker, name, partitions=partitions)
    say(f"broker: {broker.bootstrap_servers}, topic {name} {'made' if made else 'found'}")
    settings = workspace.jobs.get(job).settings
    (named,) = [each.default for each in (settings.parameters if settings else None) or [] if each.name == _SECRET]
    scope, _, key = named.partition("/")
    keep_in_vault(paths, workspace, scope, key, json.dumps(broker.spark_options()))
    return broker


def topic(paths: Paths) -> tuple[str, int]:
    """Name and partitions, as the producer wants it."""
    described = json.loads(_samples(paths, "--describe"))
    return described["name"], described["partitions"]


def keep_in_vault(paths: Paths, workspace: WorkspaceClient, scope: str, key: str, value: str) -> None:
    """As whoever runs the vault behind a secret scope would: through Azure, for Databricks only reads it. Raises RuntimeError."""
    vault = next((each.keyvault_metadata for each in workspace.secrets.list_scopes() if each.name == scope), None)
    if vault is None:
        raise RuntimeError(f"the workspace has no secret scope {scope} of a Key Vault, where job {JOB} looks for its connection")
    arm, deployer = facts.endpoints(paths)["arm"], json.loads(paths.credentials.read_text())["deployer"]
    form = {
        "grant_type": "client_credentials",
        "client_id": deployer["client_id"],
        "client_secret": deployer["client_secret"],
        "scope": "https://management.azure.com/.default",
    }
    token = httpx.post(f"{arm}/{tenancy.TENANT_ID}/oauth2/v2.0/token", data=form).raise_for_status().json()["access_token"]
    answer = httpx.put(
        f"{arm}{vault.resource_id}/secrets/{key}?api-version=2023-07-01",
        json={"properties": {"value": value}},
        headers={"authorization": f"Bearer {token}"},
    )
    if answer.is_error:
        # Of the answer its code alone: it may repeat what it was given.
        raise RuntimeError(f"secret {key} could not be written to {vault.resource_id}: HTTP {answer.status_code}")


def produce(paths: Paths, broker: Broker, *, events: int, seed: int, rate: int = 0) -> Counts:
    """How many messages there are, and what the stream must make of them. `rate` is messages a second; 0 is as fast as they go."""
    client = KafkaBroker(paths).folder / "client.json"
    write_private(client, json.dumps(broker.librdkafka()))
    numbers = {"count": events, "seed": seed, "rate": rate}
    options = [f"--{name}={number}" for name, number in numbers.items()]
    said: Counts = json.loads(_samples(paths, "--client", str(client), *options))
    return said


def _samples(paths: Paths, *arguments: str) -> str:
    command = [sys.executable, "-m", "samples.events", *arguments]
    done = subprocess.run(command, cwd=paths.repository, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the producer of contact events failed:\n{done.stderr.strip()}")
    return done.stdout


def _run(paths: Paths, workspace: WorkspaceClient, job: int, *, kill_beyond: Counts | None = None) -> StreamRun:
    started = time.monotonic()
    run_id = workspace.jobs.run_now(job).run_id
    if kill_beyond is not None:
        _kill_in_the_middle(paths, workspace, run_id, kill_beyond)
    run = wait_for(workspace, run_id)
    result = result_of(run)
    if result != "SUCCESS" and kill_beyond is None:
        step = Step(stage=0, job=JOB, job_id=job, parameters={})
        error = error_of(workspace, run)
        raise StepFailed([StepResult(step=step, run_id=run_id, result=result, seconds=time.monotonic() - started, error=error)])
    logs = workspace.jobs.get_run_output((run.tasks or [])[0].run_id or 0).logs or ""
    seconds = time.monotonic() - started
    return StreamRun(run_id=run_id, result=result, seconds=seconds, said=tuple(logs.splitlines()), rows=facts.row_counts(paths))


def _kill_in_the_middle(paths: Paths, workspace: WorkspaceClient, run_id: int, before: Counts) -> None:
    """Waits for the first table to grow: the others of the batch are not written yet."""
    task_run = (workspace.jobs.get_run(run_id).tasks or [])[0].run_id
    specification = str(paths.runs / str(task_run) / "spec.json")
    while facts.row_counts(paths) == before:
        if workspace.jobs.get_run(run_id).end_time:
            break
    for process in psutil.process_iter(["cmdline"]):
        if specification in (process.info["cmdline"] or []):
            process.kill()
            return
    raise RuntimeError(f"run {run_id} of {JOB} had ended before it could be killed; see its output, or send more events")
