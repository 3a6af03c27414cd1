"""A broker with the topic of contact events, for one test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lakehouse.contracts.registry import topic
from local_estate.kafka.broker import Broker, KafkaBroker
from local_estate.kafka.topics import create_topic
from local_estate.paths import Paths
from samples.events import TOPIC

PARTITIONS = 3


def topic_name() -> str:
    declared = topic(TOPIC).topic
    assert declared is not None
    return declared.name


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    kafka = KafkaBroker(replace(Paths.from_environment(), home=tmp_path / "estate"))
    started = kafka.start()
    create_topic(started, topic_name(), partitions=PARTITIONS)
    yield started
    kafka.stop()
