"""The stream of contact events by the job id the stack exports, its connection from the stack's vault."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from databricks.sdk.service.jobs import RunResultState

from local_estate import facts
from local_estate.day.run import StepResult
from local_estate.kafka.broker import KafkaBroker
from local_estate.stream import JOB, connect, produce, stream
from tests.estate.conftest import Deployed

EVENTS, LETTERS, PAIRS = "sfdc.contact_event_silver", "sfdc.contact_events_dead_letter", "sfdc.contact_interaction"


@pytest.fixture
def kafka(deployed: Deployed) -> Iterator[KafkaBroker]:
    found = KafkaBroker(deployed.paths)
    yield found
    found.stop()


def grown(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """Rows that came, by `schema.table`."""
    return {name.split(".", 1)[1]: rows - before.get(name, 0) for name, rows in after.items() if rows != before.get(name, 0)}


def test_every_message_is_taken_in_once_though_the_job_is_killed(deployed: Deployed, day_one: list[StepResult], kafka: KafkaBroker) -> None:
    assert day_one
    done = stream(deployed.paths, "dev", events=400, seed=3, kill=True, say=print)
    killed, again = done.runs
    assert (killed.result, again.result) == ("FAILED", "SUCCESS")
    assert EVENTS not in grown(done.before, killed.rows)
    wanted = {EVENTS: done.sent["events"], LETTERS: done.sent["poison"], PAIRS: done.sent["interactions"]}
    found = grown(done.before, again.rows)
    assert {name: found.get(name) for name in wanted} == wanted
    assert any(f" {done.sent['messages']} messages in = {done.sent['events']} written + " in line for line in again.said)
    broker = kafka.running()
    assert broker
    assert not any(broker.password in line for run in done.runs for line in run.said)
    assert facts.collect(deployed.paths)["broker"] == broker.bootstrap_servers

    # The same events again, by the command: each is a repeat. `down` of the broker alone, so that the next run finds another port.
    kafka.stop()
    repeated = command(deployed.paths.home, "stream", "--events", "400", "--seed", "3", "--json")
    after = grown(again.rows, repeated["runs"][0]["rows"])
    assert EVENTS not in after
    assert PAIRS not in after
    assert after[LETTERS] == done.sent["poison"]


def command(home: Path, *arguments: str) -> dict[str, list[dict[str, dict[str, int]]]]:
    own = {**os.environ, "ESTATE_HOME": str(home)}
    done = subprocess.run([sys.executable, "-m", "local_estate.cli", *arguments], env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[dict[str, dict[str, int]]]] = json.loads(done.stdout)
    return found


def test_a_continuous_run_takes_in_what_comes_until_it_is_cancelled(
    deployed: Deployed, day_one: list[StepResult], kafka: KafkaBroker
) -> None:
    assert day_one
    workspace, job = deployed.workspace, int(deployed.outputs["job_ids"][JOB])
    broker = connect(deployed.paths, workspace, job, say=print)
    before = facts.row_counts(deployed.paths)
    run_id = workspace.jobs.run_now(job, job_parameters={"trigger": "continuous"}).run_id
    total: dict[str, int] = {}
    for seed in (11, 12):
        sent = produce(deployed.paths, broker, events=100, seed=seed)
        total = {name: total.get(name, 0) + count for name, count in sent.items()}
        wanted = {EVENTS: total["events"], LETTERS: total["poison"], PAIRS: total["interactions"]}
        while not wanted.items() <= grown(before, facts.row_counts(deployed.paths)).items():
            run = workspace.jobs.get_run(run_id)
            assert run.end_time in (None, 0), workspace.jobs.get_run_output((run.tasks or [])[0].run_id or 0).error
            time.sleep(0.2)  # a batch of another process: there is nothing to be told by
    cancelled = workspace.jobs.cancel_run_and_wait(run_id)
    assert cancelled.state
    assert cancelled.state.result_state is RunResultState.CANCELED
