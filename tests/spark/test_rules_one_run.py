"""One run at a time a system: a second one is refused, and a stream that was stopped is no success."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from lakehouse.contracts import contract
from lakehouse.jobs import silver
from lakehouse.jobs.silver import to_silver
from lakehouse.jobs.streams import StreamIsRunning, StreamWasStopped
from tests.spark.customer_days import SILVER, Cmdm, change
from tests.spark.lakehouse_fixtures import LocalCatalogs, catalogs, spark

__all__ = ["catalogs", "spark"]


class Held:
    """The first batch of silver waits until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        write = silver.write_batch

        def waits(*given: object, **named: object) -> object:
            self.begun.set()
            assert self.go_on.wait(60)
            return write(*given, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(silver, "write_batch", waits)


@pytest.fixture
def cmdm(spark: SparkSession, catalogs: LocalCatalogs) -> Cmdm:
    found = Cmdm(spark, catalogs)
    found.deliver(change("C1", 1), run_id="one", silver=False)
    return found


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor) -> Iterator[Held]:
    """After the pool, so that a test that fails lets go before it waits for the threads."""
    found = Held(monkeypatch)
    yield found
    found.go_on.set()


def run(cmdm: Cmdm, session: SparkSession, run_id: str) -> int:
    return to_silver(session, cmdm.tables, cmdm.catalogs, run_id=run_id)


def test_a_second_run_of_a_system_is_refused_and_the_first_comes_to_its_end(cmdm: Cmdm, pool: ThreadPoolExecutor, held: Held) -> None:
    first = pool.submit(run, cmdm, cmdm.spark.newSession(), "first")
    assert held.begun.wait(60)
    said = r"^spark_catalog\.cmdm\.customer_silver: another run is at it\. One run at a time: wait until that run has ended"
    with pytest.raises(StreamIsRunning, match=said):
        run(cmdm, cmdm.spark.newSession(), "second")
    held.go_on.set()
    assert first.result(120) == 1
    assert cmdm.customers() == {"C1"}
    assert run(cmdm, cmdm.spark, "third") == 0


def test_a_run_whose_stream_was_stopped_is_no_success_and_the_next_takes_the_batch_up(
    cmdm: Cmdm, pool: ThreadPoolExecutor, held: Held
) -> None:
    session = cmdm.spark.newSession()
    first = pool.submit(run, cmdm, session, "first")
    assert held.begun.wait(60)
    (query,) = session.streams.active
    stopped = pool.submit(query.stop)
    while query.isActive:
        held.go_on.wait(0.05)
    held.go_on.set()
    stopped.result(60)
    with pytest.raises(StreamWasStopped, match=r"customer_silver: the stream was stopped in batch 0, before that was written\. Start"):
        first.result(120)
    assert run(cmdm, cmdm.spark, "next") == 1
    assert cmdm.customers() == {"C1"}


def test_of_two_clusters_the_one_that_finds_the_batch_committed_by_the_other_fails(
    cmdm: Cmdm, pool: ThreadPoolExecutor, held: Held
) -> None:
    """Two clusters share nothing but the checkpoint: what the other one wrote there is all that tells."""
    first = pool.submit(run, cmdm, cmdm.spark.newSession(), "first")
    assert held.begun.wait(60)
    commits = Path(cmdm.catalogs.checkpoint(contract(SILVER))) / "commits"
    commits.mkdir(exist_ok=True)
    (commits / "0").write_text("v1\n" + json.dumps({"nextBatchWatermarkMs": 0}))
    held.go_on.set()
    with pytest.raises(StreamingQueryException, match="(?i)multiple streaming"):
        first.result(120)
