"""Documents in SQLite (WAL, synchronous FULL): what a caller was told is stored survives `kill -9` and power loss."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Document = dict[str, Any]

# Raised by whoever changes what stored documents look like so that older ones cannot be read.
FORMAT = 2


class StoreOutdated(Exception):
    """The file was written by a version whose documents this one does not read."""


_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS documents_by_type ON documents (kind, json_extract(body, '$.type'));
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


class Reader:
    """Reads over one connection; `find` walks a kind in key order."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def get(self, kind: str, key: str) -> Document | None:
        row = self._db.execute("SELECT body FROM documents WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return json.loads(row[0]) if row else None

    def find(self, kind: str, prefix: str = "", where: Mapping[str, str | int] | None = None) -> Iterator[tuple[str, Document]]:
        """(key, document) in key order; `where` compares top-level fields for equality. Only `type` has an index."""
        sql = "SELECT key, body FROM documents"
        if where and "type" in where and not prefix:
            sql += " INDEXED BY documents_by_type"  # told, since the planner cannot know that a type is rarer than a kind
        sql += " WHERE kind = ?"
        values: list[str | int] = [kind]
        if prefix:
            sql += " AND key >= ? AND key < ?"
            values += [prefix, prefix + "\U0010ffff"]
        for field, value in (where or {}).items():
            if not field.isidentifier():
                raise ValueError(f"{field!r} is no name of a field")
            sql += f" AND json_extract(body, '$.{field}') = ?"  # spelt out: an index is not found through a parameter
            values.append(value)
        for key, body in self._db.execute(sql + " ORDER BY key", values).fetchall():
            yield key, json.loads(body)

    def first(self, kind: str, where: Mapping[str, str | int]) -> Document | None:
        return next((document for _, document in self.find(kind, where=where)), None)

    def count(self, kind: str) -> int:
        return int(self._db.execute("SELECT count(*) FROM documents WHERE kind = ?", (kind,)).fetchone()[0])

    def counter(self, name: str) -> int:
        row = self._db.execute("SELECT value FROM counters WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0


class Transaction(Reader):
    """One atomic write. Storing a document equal to the stored one is no write."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.writes = 0

    def put(self, kind: str, key: str, document: Mapping[str, Any]) -> None:
        body = json.dumps(document, sort_keys=True, separators=(",", ":"))
        row = self._db.execute("SELECT body FROM documents WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        if row and row[0] == body:
            return
        self._db.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (kind, key, body))
        self.writes += 1

    def delete(self, kind: str, key: str) -> bool:
        gone = self._db.execute("DELETE FROM documents WHERE kind = ? AND key = ?", (kind, key)).rowcount > 0
        self.writes += gone
        return gone

    def next(self, name: str, start: int = 1) -> int:
        """The next number of a sequence; never handed out twice, also after a crash."""
        value = max(self.counter(name) + 1, start)
        self._db.execute("INSERT OR REPLACE INTO counters VALUES (?, ?)", (name, value))
        return value


class Store:
    """One file; any thread reads, one transaction writes at a time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._writing = threading.RLock()
        self._writer = self._connect()
        self._check_format()
        self._writer.executescript(_SCHEMA)
        self._open: Transaction | None = None
        self._readers = threading.local()
        path.chmod(0o600)

    def _check_format(self) -> None:
        (written,) = self._writer.execute("PRAGMA user_version").fetchone()
        (tables,) = self._writer.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:
            self._writer.execute(f"PRAGMA user_version = {FORMAT}")
        elif written != FORMAT:
            raise StoreOutdated(
                f"the estate in {self._path.parent} was made by another version of this repository (its store has format {written}, "
                f"this version reads {FORMAT}). `make reset` removes it, `make up` makes it anew"
            )

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=30)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Commits at the end, rolls back on an exception. Nested use in one thread joins the outer transaction."""
        with self._writing:
            if self._open is not None:
                yield self._open
                return
            self._writer.execute("BEGIN IMMEDIATE")
            self._open = transaction = Transaction(self._writer)
            try:
                yield transaction
                if transaction.writes:
                    transaction.next("writes")
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:  # a disk that is full has SQLite roll back by itself
                    self._writer.execute("ROLLBACK")
                raise
            finally:
                self._open = None

    @property
    def read(self) -> Reader:
        """The calling thread's reader; it sees everything committed."""
        if not hasattr(self._readers, "reader"):
            self._readers.reader = Reader(self._connect())
        reader: Reader = self._readers.reader
        return reader

    @property
    def writes(self) -> int:
        """How many transactions changed something, over the life of the store."""
        return self.read.counter("writes")

    def close(self) -> None:
        with self._writing:
            self._writer.close()
