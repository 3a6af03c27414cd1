"""How many rows a Delta table has, from its transaction log alone: no engine needed, milliseconds for a table of ours.

Reads the last checkpoint (Parquet) and the commits after it, as the Delta protocol says, and adds up `numRecords` of the live
files less the rows their deletion vectors mark.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow.parquet


@dataclass(frozen=True)
class TableFacts:
    """`rows` is None when a file of the table carries no statistics."""

    version: int
    rows: int | None
    files: int


def table_facts(location: Path) -> TableFacts | None:
    """None when there is no Delta table at `location`."""
    log = location / "_delta_log"
    commits = sorted(path for path in log.glob("*.json") if path.stem.isdigit()) if log.is_dir() else []
    if not commits:
        return None
    live: dict[str, int | None] = {}
    start = -1
    pointer = log / "_last_checkpoint"
    if pointer.exists():
        start = int(json.loads(pointer.read_text())["version"])
        for part in sorted(log.glob(f"{start:020}.checkpoint*.parquet")):
            for row in pyarrow.parquet.read_table(part, columns=["add"]).to_pylist():
                if row["add"]:
                    live[_file_key(row["add"])] = _records(row["add"])
    for commit in commits:
        if int(commit.stem) <= start:
            continue
        for line in commit.read_text().splitlines():
            action = json.loads(line)
            if add := action.get("add"):
                live[_file_key(add)] = _records(add)
            elif remove := action.get("remove"):
                live.pop(_file_key(remove), None)
    counts = list(live.values())
    known = [count for count in counts if count is not None]
    return TableFacts(version=int(commits[-1].stem), rows=sum(known) if len(known) == len(counts) else None, files=len(counts))


def live_rows(location: Path) -> list[dict[str, Any]]:
    """The rows of a small table as it is now, partition columns as text. A file with rows marked as deleted is passed over."""
    log = location / "_delta_log"
    commits = sorted(path for path in log.glob("*.json") if path.stem.isdigit()) if log.is_dir() else []
    live: dict[str, dict[str, Any]] = {}
    start, pointer = -1, log / "_last_checkpoint"
    if pointer.exists():
        start = int(json.loads(pointer.read_text())["version"])
        for part in sorted(log.glob(f"{start:020}.checkpoint*.parquet")):
            adds = [row["add"] for row in pyarrow.parquet.read_table(part, columns=["add"]).to_pylist()]
            live |= {_file_key(add): add for add in adds if add}
    for commit in commits:
        for line in commit.read_text().splitlines() if int(commit.stem) > start else ():
            action = json.loads(line)
            if add := action.get("add"):
                live[_file_key(add)] = add
            elif remove := action.get("remove"):
                live.pop(_file_key(remove), None)
    rows = []
    for add in live.values():
        if not add.get("deletionVector"):
            partition = dict(add.get("partitionValues") or {})
            file = pyarrow.parquet.ParquetFile(location / unquote(add["path"]))
            rows += [{**partition, **row} for row in file.read().to_pylist()]
    return rows


def last_append(location: Path) -> list[dict[str, Any]]:
    """The rows that the last commit with data added: of a table that is only ever appended to, those of its latest run.

    Compaction adds files, too, but no data: its commits say so and are passed over.
    """
    log = location / "_delta_log"
    commits = sorted((path for path in log.glob("*.json") if path.stem.isdigit()), reverse=True) if log.is_dir() else []
    for commit in commits:
        actions = [json.loads(line) for line in commit.read_text().splitlines()]
        added = [action["add"]["path"] for action in actions if action.get("add", {}).get("dataChange")]
        if added:
            return [row for name in added for row in pyarrow.parquet.read_table(location / unquote(name)).to_pylist()]
    return []


def _file_key(action: dict[str, Any]) -> str:
    """A data file with another deletion vector is another file to the log."""
    vector = action.get("deletionVector") or {}
    return f"{action['path']}#{vector.get('pathOrInlineDv', '')}@{vector.get('offset', '')}"


def _records(add: dict[str, Any]) -> int | None:
    statistics = json.loads(add.get("stats") or "{}")
    if "numRecords" not in statistics:
        return None
    return int(statistics["numRecords"]) - int((add.get("deletionVector") or {}).get("cardinality") or 0)
