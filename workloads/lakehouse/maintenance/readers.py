"""The streams that read a table, and how far each has come: VACUUM must not delete what one of them has yet to read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from lakehouse.contracts import SYSTEMS, Kind, contract, of_system
from lakehouse.gold.changes import FEEDS
from lakehouse.names import Catalogs, TableName

# Commits that add no rows: a stream has nothing to read in them, so its position may stay before them for as long as nothing is delivered.
_NO_ROWS = (
    "OPTIMIZE",
    "VACUUM START",
    "VACUUM END",
    "SET TBLPROPERTIES",
    "ADD CONSTRAINT",
    "DROP CONSTRAINT",
    "ADD COLUMNS",
    "CHANGE COLUMN",
)


class ReaderBehind(RuntimeError):
    """A stream has yet to read a version of a table that is older than the files to be kept."""


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A version of a table."""

    version: int
    at: datetime


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
    filled = streams().get(dataset, ())
    positions = {name: _position(spark, catalogs.checkpoint(contract(name)), _table_id(spark, table)) for name in filled}
    started = {name: position for name, position in positions.items() if position is not None}
    if not started:
        return
    history = spark.sql(f"DESCRIBE HISTORY {table}").selectExpr("version", "timestamp", "operation", "current_timestamp() AS now").collect()
    commits = [Commit(version=row["version"], at=row["timestamp"]) for row in history if row["operation"] not in _NO_ROWS]
    oldest_kept = history[0]["now"] - timedelta(hours=retention_hours)
    for name, position in started.items():
        if unread := first_unread(commits, position, before=oldest_kept):
            raise ReaderBehind(
                f"{table.dotted}: the stream that fills {name} has yet to read version {unread.version} of {unread.at:%Y-%m-%d %H:%M}, and "
                f"VACUUM with {retention_hours} hours would delete what it needs. Run that stream's job first, or keep files for longer"
            )


def first_unread(commits: Iterable[Commit], position: int, *, before: datetime) -> Commit | None:
    """The oldest commit from `position` on, where it is older than `before`: files that it removed are past their retention."""
    unread = sorted((commit for commit in commits if commit.version >= position), key=lambda commit: commit.version)
    return unread[0] if unread and unread[0].at < before else None


def next_version(offsets: Mapping[int, str], committed: Iterable[int], table_id: str) -> int | None:
    """The version of a table that a stream reads next, by the offsets of its last finished batch. None where it has not read the table.

    `offsets` are the files of a checkpoint's `offsets` folder by batch: a version, the batch's settings, then one JSON object a source.
    """
    finished = max((batch for batch in committed if batch in offsets), default=None)
    if finished is None:
        return None
    for line in offsets[finished].splitlines()[2:]:
        source = json.loads(line) if line.startswith("{") else {}
        if source.get("reservoirId") == table_id:
            return int(source["reservoirVersion"])
    return None


def _table_id(spark: SparkSession, table: TableName) -> str:
    found = spark.sql(f"DESCRIBE DETAIL {table}").select("id").first()
    return str(found["id"]) if found else ""


def _position(spark: SparkSession, checkpoint: str, table_id: str) -> int | None:
    offsets = _files(spark, f"{checkpoint.rstrip('/')}/offsets")
    return next_version(offsets, _files(spark, f"{checkpoint.rstrip('/')}/commits"), table_id) if offsets else None


def _files(spark: SparkSession, folder: str) -> dict[int, str]:
    """Files that are named by a number, whole. Empty where there is no such folder: the stream has never run."""
    try:
        rows = spark.read.option("wholetext", "true").text(folder).select("value", "_metadata.file_name").collect()
    except AnalysisException as error:
        if error.getCondition() == "PATH_NOT_FOUND":
            return {}
        raise
    return {int(row["file_name"]): row["value"] for row in rows if row["file_name"].isdigit()}
