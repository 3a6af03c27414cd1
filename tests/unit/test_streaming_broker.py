"""The broker's configuration and the made-up events; the broker itself runs in tests/spark."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local_estate.kafka.broker import LOCK, BrokerPortTaken, KafkaBroker
from local_estate.kafka.configuration import server_properties, write_private
from local_estate.paths import REPOSITORY, Paths
from local_estate.spark.jars import locked_jars
from samples.events import contact_events

UNTIL = datetime(2025, 6, 2, tzinfo=UTC)


def test_every_listener_is_on_loopback_and_asks_for_a_password(tmp_path: Path) -> None:
    text = server_properties(tmp_path, broker_port=1111, controller_port=2222, password="word")
    settings = dict(line.split("=", 1) for line in text.splitlines())
    listeners = [listener.split("://") for listener in settings["listeners"].split(",")]
    protocols = dict(pair.split(":") for pair in settings["listener.security.protocol.map"].split(","))
    assert {address.split(":")[0] for _, address in listeners} == {"127.0.0.1"}
    for name, _ in listeners:
        assert protocols[name] == "SASL_PLAINTEXT"
        assert 'password="word"' in settings[f"listener.name.{name.lower()}.plain.sasl.jaas.config"]


def test_what_holds_a_password_is_its_owners_alone(tmp_path: Path) -> None:
    write_private(tmp_path / "kafka" / "password", "word")
    assert [oct(path.stat().st_mode & 0o777) for path in (tmp_path / "kafka", tmp_path / "kafka" / "password")] == ["0o700", "0o600"]


def test_a_process_that_took_a_killed_brokers_number_is_no_broker(tmp_path: Path) -> None:
    kafka = KafkaBroker(Paths(repository=REPOSITORY, tools=tmp_path, home=tmp_path))
    announced = {"pid": os.getpid(), "bootstrap_servers": "127.0.0.1:1", "user": "u", "password": "p"}
    write_private(kafka.folder / "broker.json", json.dumps(announced))
    assert kafka.running() is None
    assert kafka.stop() is False


def test_a_broker_whose_port_somebody_took_is_not_started_at_another(tmp_path: Path) -> None:
    kafka = KafkaBroker(Paths(repository=REPOSITORY, tools=tmp_path, home=tmp_path))
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        write_private(kafka.folder / "port", str(port))
        said = rf"port {port}, at which streams know the Kafka broker of .*, is taken by another process: .*\. Fix: end that process\. Or"
        with pytest.raises(BrokerPortTaken, match=said):
            kafka.start()


def test_the_lock_names_every_jar_once() -> None:
    names = [coordinate.name for coordinate in locked_jars(LOCK)]
    assert len(names) == len(set(names))
    assert {"kafka_2.13", "kafka-clients", "log4j-slf4j-impl"} <= set(names)


def test_events_are_the_same_for_a_seed_and_add_up() -> None:
    messages, expected = contact_events(3_000, seed=5, until=UNTIL)
    assert (messages, expected) == contact_events(3_000, seed=5, until=UNTIL)
    assert len(messages) == expected.messages == expected.events + expected.repeats + expected.poison
    assert contact_events(3_000, seed=6, until=UNTIL)[0] != messages


def test_the_producer_says_which_topic_it_wants() -> None:
    command = [sys.executable, "-m", "samples.events", "--describe"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"name": "sfdc.contact-events.v1", "partitions": 4}


def test_the_producer_without_a_broker_says_what_it_needs() -> None:
    done = subprocess.run([sys.executable, "-m", "samples.events"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "one of the arguments --client --describe is required" in done.stderr
