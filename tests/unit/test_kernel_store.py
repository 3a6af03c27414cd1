"""The document store: atomic, counted, and still there after the process is gone."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from local_estate.api.kernel.store import Reader, Store, StoreOutdated


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.db")


def test_a_document_reads_back_as_it_was_put(store: Store) -> None:
    with store.transaction() as transaction:
        transaction.put("thing", "a", {"name": "x", "deep": {"n": [1, None]}})
    assert store.read.get("thing", "a") == {"name": "x", "deep": {"n": [1, None]}}


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.transaction() as transaction:
        transaction.put("thing", "a", {})
        raise RuntimeError
    assert store.read.get("thing", "a") is None
    assert store.writes == 0


def test_writing_the_same_document_again_is_no_write(store: Store) -> None:
    for _ in range(2):
        with store.transaction() as transaction:
            transaction.put("thing", "a", {"x": 1})
    assert store.writes == 1


def test_a_nested_transaction_joins_the_outer_one(store: Store) -> None:
    with pytest.raises(RuntimeError), store.transaction() as outer:
        outer.put("thing", "a", {})
        with store.transaction() as inner:
            inner.put("thing", "b", {})
        raise RuntimeError
    assert store.read.count("thing") == 0


def test_find_filters_by_prefix_and_by_field_in_key_order(store: Store) -> None:
    with store.transaction() as transaction:
        for key, colour in (("a/2", "red"), ("a/1", "blue"), ("b/1", "red")):
            transaction.put("thing", key, {"colour": colour})
    assert [key for key, _ in store.read.find("thing", prefix="a/")] == ["a/1", "a/2"]
    assert [key for key, _ in store.read.find("thing", where={"colour": "red"})] == ["a/2", "b/1"]


def test_sequences_never_repeat(store: Store) -> None:
    with store.transaction() as transaction:
        assert [transaction.next("id", start=100), transaction.next("id", start=100)] == [100, 101]


def test_the_store_file_is_private(tmp_path: Path) -> None:
    Store(tmp_path / "store.db")
    assert (tmp_path / "store.db").stat().st_mode & 0o777 == 0o600


def test_a_store_of_another_version_is_refused_with_the_way_out(tmp_path: Path) -> None:
    Store(tmp_path / "store.db")
    Store(tmp_path / "store.db")
    with sqlite3.connect(tmp_path / "store.db") as older:
        older.execute("PRAGMA user_version = 1")
    with pytest.raises(StoreOutdated) as refused:
        Store(tmp_path / "store.db")
    assert "made by another version of this repository (its store has format 1" in str(refused.value)
    assert "`make reset` removes it" in str(refused.value)


def test_what_was_committed_survives_a_kill(tmp_path: Path) -> None:
    writer = """
import sys
from pathlib import Path
from local_estate.api.kernel.store import Reader, Store, StoreOutdated
store = Store(Path(sys.argv[1]))
number = 0
while True:
    with store.transaction() as transaction:
        transaction.put("thing", f"{number:08}", {"n": number})
    print(number, flush=True)
    number += 1
"""
    process = subprocess.Popen(
        [sys.executable, "-c", writer, str(tmp_path / "store.db")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline()) for _ in range(50)][-1]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    found = [document["n"] for _, document in Store(tmp_path / "store.db").read.find("thing")]
    assert found == list(range(len(found)))
    assert len(found) > acknowledged


def test_documents_of_one_type_are_found_without_reading_the_others(store: Store) -> None:
    with store.transaction() as transaction:
        for key, kind in (("a/2", "net"), ("a/1", "disk"), ("b/1", "net")):
            transaction.put("resource", key, {"type": kind})
        assert [key for key, _ in transaction.find("resource", where={"type": "net"})] == ["a/2", "b/1"]
    connection = sqlite3.connect(store._path)
    said: list[str] = []
    connection.set_trace_callback(said.append)
    assert [key for key, _ in Reader(connection).find("resource", where={"type": "net"})] == ["a/2", "b/1"]
    (plan,) = connection.execute(f"EXPLAIN QUERY PLAN {said[0]}").fetchall()
    assert "USING INDEX documents_by_type" in plan[-1]


def test_a_field_that_is_none_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="is no name of a field"):
        list(store.read.find("resource", where={"x') OR 1=1 --": 1}))
