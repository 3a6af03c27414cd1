"""The streams that read a table, and how far each has come: VACUUM must not delete what one of them has yet to read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from lakehouse.contracts import SYSTEMS, Kind, contract, of_system
from lakehouse.gold.changes import FEEDS
from lakehouse.names import Catalogs, TableName

# Commits that add no rows: a stream has nothing to read in them, so its position may stay before them for as long as nothing is delivered.
_NO_ROWS = (
    "CREATE TABLE",
    "OPTIMIZE",
    "VACUUM START",
    "VACUUM END",
    "SET TBLPROPERTIES",
    "ADD CONSTRAINT",
    "DROP CONSTRAINT",
    "ADD COLUMNS",
    "CHANGE COLUMN",
)
# A commit in whose metrics all that it has of these is 0 changed no file: a MERGE that found nothing to do.
_FILES = (
    *("numFiles", "numAddedFiles", "numRemovedFiles"),
    *("numTargetFilesAdded", "numTargetFilesRemoved", "numTargetChangeFilesAdded"),
)
# Their streams are told to pass over commits that change rows (skipChangeCommits).
_ADDITIONS_ONLY = ("cmdm.customer_history",)


class ReaderBehind(RuntimeError):
    """A stream has yet to read a version of a table that is older than the files to be kept."""


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A version of a table, and whether a stream finds rows in it."""

    version: int
    at: datetime
    has_rows: bool = True


@dataclass(frozen=True, kw_only=True)
class Position:
    """The version that a stream reads next. In its `snapshot` it needs all files of that version, not only those the commit added."""

    version: int
    snapshot: bool = False


def streams() -> dict[str, tuple[str, ...]]:
    """Datasets whose tables are read by a stream → the datasets that these streams fill, which their checkpoints are named after."""
    found: dict[str, list[str]] = {}
    for system in SYSTEMS:
        found.setdefault(of_system(system, Kind.BRONZE).name, []).append(of_system(system, Kind.SILVER).name)
    for feed in FEEDS.values():
        found.setdefault(feed.dataset, []).append("customer.dim_customer")
    found.setdefault("cmdm.customer_history", []).append("customer.dim_customer_scd2")
    found.setdefault("sfdc.contact_event_silver", []).append("sfdc.contact_interaction")
    return {name: tuple(filled) for name, filled in found.items()}


def hold_for_readers(spark: SparkSession, catalogs: Catalogs, dataset: str, *, retention_hours: int) -> None:
    """Raises ReaderBehind where a stream still needs files that a VACUUM with this retention would delete."""
    table = catalogs.table(contract(dataset))
    if not (filled := streams().get(dataset, ())):
        return
    table_id = _table_id(spark, table)
    positions = {name: _position(spark, catalogs.checkpoint(contract(name)), table_id) for name in filled}
    started = {name: position for name, position in positions.items() if position is not None}
    if not started:
        return
    history = spark.sql(f"DESCRIBE HISTORY {table}").selectExpr(
        "version", "timestamp", "operation", "operationMetrics", "current_timestamp() AS now"
    )
    found = history.collect()
    commits = [
        Commit(
            version=row["version"],
            at=row["timestamp"],
            has_rows=has_rows(row["operation"], row["operationMetrics"] or {}, additions_only=dataset in _ADDITIONS_ONLY),
        )
        for row in found
    ]
    oldest_kept = found[0]["now"] - timedelta(hours=retention_hours)
    for name, position in started.items():
        if unread := first_unread(commits, position, before=oldest_kept):
            raise ReaderBehind(
                f"{table.dotted}: the stream that fills {name} has yet to read version {unread.version} of {unread.at:%Y-%m-%d %H:%M}, and "
                f"VACUUM with {retention_hours} hours would delete what it needs. Run that stream's job first, or keep files for longer"
            )


def has_rows(operation: str, metrics: Mapping[str, str], *, additions_only: bool = False) -> bool:
    """Whether a stream reads anything in a commit, by its operation and metrics; in doubt it does."""
    counts = [int(metrics[name]) for name in _FILES if name in metrics]
    changes = additions_only and int(metrics.get("numTargetFilesRemoved", 0)) > 0
    return operation not in _NO_ROWS and not changes and (not counts or any(counts))


def first_unread(commits: Iterable[Commit], position: Position, *, before: datetime) -> Commit | None:
    """The oldest commit that the stream has yet to read, where it is older than `before`: what it removed is past its retention."""
    ahead = sorted((commit for commit in commits if commit.version >= position.version), key=lambda commit: commit.version)
    unread = [commit for commit in ahead if position.snapshot or commit.has_rows]
    return unread[0] if unread and unread[0].at < before else None


def next_version(offsets: Mapping[int, str], committed: Iterable[int], table_id: str) -> Position | None:
    """What a stream reads next of a table, by the offsets of its last finished batch. None where it has not begun to read the table.

    `offsets` are the files of a checkpoint's `offsets` folder by batch: a version, the batch's settings, then one JSON object a source.
    """
    finished = max((batch for batch in committed if batch in offsets), default=None)
    if finished is not None:
        source = _source(offsets[finished], table_id)
        return Position(version=source["reservoirVersion"], snapshot=bool(source.get("isStartingVersion"))) if source else None
    planned = _source(offsets[min(offsets)], table_id) if offsets else {}
    # The first batch ends where the second begins: behind the snapshot that it reads.
    return Position(version=max(int(planned["reservoirVersion"]) - 1, 0), snapshot=True) if planned else None


def _source(batch: str, table_id: str) -> dict[str, Any]:
    """The offset that a batch has of a table; empty where it has none."""
    found = [json.loads(line) for line in batch.splitlines()[2:] if line.startswith("{")]
    return next((source for source in found if source.get("reservoirId") == table_id), {})


def _table_id(spark: SparkSession, table: TableName) -> str:
    found = spark.sql(f"DESCRIBE DETAIL {table}").select("id").first()
    return str(found["id"]) if found else ""


def _position(spark: SparkSession, checkpoint: str, table_id: str) -> Position | None:
    offsets = _files(spark, f"{checkpoint.rstrip('/')}/offsets")
    return next_version(offsets, _files(spark, f"{checkpoint.rstrip('/')}/commits"), table_id) if offsets else None


def _files(spark: SparkSession, folder: str) -> dict[int, str]:
    """Files that are named by a number, whole. Empty where there is no such folder: the stream has never run."""
    try:
        rows = spark.read.text(folder, wholetext=True).select("value", "_metadata.file_name").collect()
    except AnalysisException as error:
        if error.getCondition() == "PATH_NOT_FOUND":
            return {}
        raise
    return {int(row["file_name"]): row["value"] for row in rows if row["file_name"].isdigit()}
