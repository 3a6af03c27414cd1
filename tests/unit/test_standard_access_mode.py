"""What Databricks asks of foreachBatch in standard access mode: the function goes to a process of its own, with all that it refers to.

https://learn.microsoft.com/azure/databricks/structured-streaming/foreach
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from pyspark import cloudpickle

from lakehouse.jobs import gold, silver, stream_contact_events
from lakehouse.names import Catalogs
from lakehouse.silver.batch import SilverTables
from lakehouse.streaming.events import EventTables

CATALOGS = Catalogs(raw="r", curated="c", marts="m", ai="a")


class Recorded:
    """A session that is asked for a stream and keeps the function its batches go to. Everything else answers with itself."""

    def __init__(self) -> None:
        self.function: Callable[..., None] | None = None

    def __getattr__(self, _: str) -> Recorded:
        return self

    def __call__(self, *_: Any, **__: Any) -> Recorded:
        return self

    def foreachBatch(self, function: Callable[..., None]) -> Recorded:
        self.function = function
        return self


def given_to(start: Callable[[Recorded], object]) -> Callable[..., None]:
    session = Recorded()
    start(session)
    assert session.function is not None
    return session.function


@pytest.mark.parametrize("start", [gold.start_history, lambda spark, catalogs: gold.start_marts(spark, catalogs, run_id="7")])
def test_what_the_streams_of_gold_hand_their_batches_to_can_be_sent_away(
    start: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gold, "changes", lambda spark, _: spark)
    assert callable(cloudpickle.loads(cloudpickle.dumps(given_to(lambda spark: start(spark, CATALOGS)))))


def test_what_the_stream_of_silver_hands_its_batches_to_can_be_sent_away() -> None:
    for system in ("cmdm", "pega"):
        function = silver.writer(SilverTables.of(system), CATALOGS, run_id="7")
        assert callable(cloudpickle.loads(cloudpickle.dumps(function)))


def test_what_the_stream_of_messages_hands_its_batches_to_can_be_sent_away() -> None:
    function = stream_contact_events.writer(EventTables.of_contact_events(), CATALOGS, run_id="7")
    assert callable(cloudpickle.loads(cloudpickle.dumps(function)))


def test_a_function_that_refers_to_a_lock_cannot() -> None:
    lock = threading.Lock()
    with pytest.raises(TypeError, match="cannot pickle '_thread.lock' object"):
        cloudpickle.dumps(lambda batch, _: lock.acquire())
