"""The stream of contact events by the job id the stack exports, its connection from the stack's vault."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from databricks.sdk.service.jobs import RunResultState

from lakehouse.contracts.registry import topic
from local_estate import facts, tenancy
from local_estate.day.run import StepResult
from local_estate.kafka.broker import Broker, KafkaBroker
from local_estate.kafka.topics import create_topic
from samples.events import TOPIC, contact_events, produce
from tests.estate.conftest import Deployed


@pytest.fixture
def broker(deployed: Deployed) -> Iterator[Broker]:
    kafka = KafkaBroker(deployed.paths)
    started = kafka.start()
    declared = topic(TOPIC).topic
    assert declared is not None
    create_topic(started, declared.name, partitions=2)
    yield started
    kafka.stop()


def keep_in_vault(deployed: Deployed, scope: str, key: str, value: str) -> None:
    """As whoever runs the vault would: through Azure, for Databricks only reads it."""
    (vault,) = [each.keyvault_metadata for each in deployed.workspace.secrets.list_scopes() if each.name == scope]
    assert vault is not None
    arm, client = facts.endpoints(deployed.paths)["arm"], deployed.workspace.config
    form = {
        "grant_type": "client_credentials",
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "scope": "https://management.azure.com/.default",
    }
    token = httpx.post(f"{arm}/{tenancy.TENANT_ID}/oauth2/v2.0/token", data=form).json()["access_token"]
    answer = httpx.put(
        f"{arm}{vault.resource_id}/secrets/{key}?api-version=2023-07-01",
        json={"properties": {"value": value}},
        headers={"authorization": f"Bearer {token}"},
    )
    assert answer.status_code in (200, 201), answer.text


def test_the_exported_job_takes_in_every_message_once(deployed: Deployed, day_one: list[StepResult], broker: Broker) -> None:
    assert day_one
    messages, expected = contact_events(400, seed=3)
    produce(messages, broker.librdkafka())
    keep_in_vault(deployed, "connectors", "kafka-contact-events", json.dumps(broker.spark_options()))
    job = int(deployed.outputs["job_ids"]["stream_contact_events"])
    for _ in range(2):
        run = deployed.workspace.jobs.run_now_and_wait(job)
        output = deployed.workspace.jobs.get_run_output((run.tasks or [])[0].run_id or 0)
        assert run.state and run.state.result_state is RunResultState.SUCCESS, output.error
        assert broker.password not in (output.logs or "")
    counted = {name.split(".", 1)[1]: rows for name, rows in deployed.counts().items()}
    assert counted["sfdc.contact_event_silver"] == expected.events
    assert counted["sfdc.contact_events_dead_letter"] == expected.poison
    assert counted["sfdc.contact_interaction"] == expected.interactions
