"""What a stream's job is told, and what it refuses."""

from __future__ import annotations

import json
import re

import pytest

from lakehouse.contracts import Kind, contract, load_contracts
from lakehouse.contracts.registry import load_topics
from lakehouse.jobs.parameters import parse
from lakehouse.streaming.connection import BadConnection, kafka_options

GIVEN = ["--raw_catalog=r", "--curated_catalog=c", "--marts_catalog=m", "--ai_catalog=a"]
ADDRESS = {"kafka.bootstrap.servers": "events.example:9093"}


def refused(secret: str) -> str:
    with pytest.raises(BadConnection) as error:
        kafka_options(secret, name="connectors/kafka")
    return str(error.value)


def test_a_secret_holds_the_options_of_the_source() -> None:
    given = {**ADDRESS, "kafka.security.protocol": "SASL_SSL", "databricks.serviceCredential": "reader"}
    assert kafka_options(json.dumps(given), name="connectors/kafka") == given


def test_a_secret_that_is_no_object_of_texts_is_refused_without_its_content() -> None:
    for secret in ("Endpoint=sb://hunter2", '["hunter2"]', '{"kafka.bootstrap.servers": ["hunter2"]}'):
        assert refused(secret) == "secret connectors/kafka is no JSON object of texts; see docs/streaming.md, The connection"


def test_a_secret_does_not_say_what_is_read() -> None:
    said = refused(json.dumps({**ADDRESS, "startingOffsets": "latest"}))
    assert said == (
        "secret connectors/kafka sets 'startingOffsets'; only options that start with kafka. or databricks.serviceCredential belong there"
    )


def test_a_secret_without_an_address_is_refused() -> None:
    assert (
        refused("{}") == "secret connectors/kafka lacks 'kafka.bootstrap.servers', the address of the broker or of the Event Hubs namespace"
    )


def test_the_job_ends_with_what_is_there_unless_told_otherwise() -> None:
    found = parse("stream_contact_events", [*GIVEN, "--kafka_secret=connectors/kafka"], kafka=True)
    assert (found.kafka_secret, found.continuous) == ("connectors/kafka", False)
    assert parse("stream_contact_events", [*GIVEN, "--kafka_secret=a/b", "--trigger=continuous"], kafka=True).continuous


@pytest.mark.parametrize("value", ["kafka", "/kafka", "connectors/", "a/b/c"])
def test_a_parameter_that_names_no_secret_is_refused(value: str) -> None:
    with pytest.raises(SystemExit, match=re.escape(f"{value!r} names no secret (SCOPE/KEY)")):
        parse("stream_contact_events", [*GIVEN, f"--kafka_secret={value}"], kafka=True)


def test_every_topic_has_a_table_for_dead_letters_and_one_for_its_events_with_its_rules() -> None:
    for declared in load_topics():
        letters = contract(f"{declared.name}_dead_letter")
        assert (letters.kind, letters.source, letters.layer) == (Kind.DEAD_LETTER, declared.name, declared.layer)
        (events,) = [dataset for dataset in load_contracts() if dataset.kind is Kind.STREAM and dataset.source == declared.name]
        for column in declared.declared_columns:
            kept = events.column(column.name)
            assert (kept.physical_type, kept.required, kept.pii, kept.quality) == (
                column.physical_type,
                column.required,
                column.pii,
                column.quality,
            )
