"""A receipt for every landed file, also for those that give no row: what arrived, and what became of it.

The listing of the volume says what arrived, bronze what was taken of it. Auto Loader takes a name once, so a file that comes again under
its name gets a receipt of its own, which says that nobody read it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import unquote

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse import ddl, merge
from lakehouse.contracts import DatasetContract, contract
from lakehouse.contracts.platform_columns import CORRUPT
from lakehouse.ingest.headers import Header
from lakehouse.names import Catalogs
from lakehouse.schema import from_values

RECEIPTS = "platform.file_receipts"


class Outcome(StrEnum):
    """What became of a file."""

    TAKEN = "taken"
    EMPTY = "empty"
    HEADER_ONLY = "header only"
    WRONG_HEADER = "wrong header"
    DELIVERED_AGAIN = "delivered again"
    OTHER_FORMAT = "other format"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, kw_only=True)
class Version:
    """A file as it arrived at a moment, in microseconds since 1970.

    Listing and stream may differ in how finely they tell it, and in whether they write a blank as %20, hence `second`.
    """

    path: str
    modified: int

    @property
    def second(self) -> tuple[str, int]:
        return unquote(self.path), self.modified // 1_000_000


@dataclass(frozen=True, kw_only=True)
class Landed:
    """A file of the listing."""

    version: Version
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What bronze has of a version: its rows, and how many of them could not be parsed."""

    version: Version
    rows: int
    unreadable: int


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """`bytes` is None of a file that was gone before it could be listed."""

    version: Version
    bytes: int | None
    rows: int
    outcome: Outcome
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.outcome}: {self.version.path}{f' ({self.reason})' if self.reason else ''}"


def listing(folder: Callable[[str], Iterable[Any]], landing: str) -> list[Landed]:
    """Every file below `landing`, asked for before the stream starts, so that it reads all of these. `folder` is `dbutils.fs.ls`.

    Spark's own listings leave out files without a byte, which are to have a receipt, too.
    """
    found: list[Landed] = []
    for entry in folder(landing):
        if entry.name.startswith(("_", ".")):
            continue
        if entry.name.endswith("/"):
            found += listing(folder, entry.path)
        else:
            found.append(Landed(version=Version(path=entry.path, modified=entry.modificationTime * 1000), bytes=entry.size))
    return found


def known(spark: SparkSession, catalogs: Catalogs, system: str) -> list[Version]:
    """Versions that have a receipt."""
    rows = spark.read.table(catalogs.table(contract(RECEIPTS)).dotted).where(F.col("system") == system)
    found = rows.select("source_file", F.unix_micros("landed_ts").alias("modified")).collect()
    return [Version(path=row["source_file"], modified=row["modified"]) for row in found]


def taken(bronze: DataFrame, *, landed_from: int, since: int) -> list[Taken]:
    """What bronze has of files that arrived at `landed_from` or later, or that it took in at `since` or later (microseconds)."""
    recent = (F.col("landed_ts") >= F.timestamp_micros(F.lit(landed_from))) | (F.col("ingest_ts") >= F.timestamp_micros(F.lit(since)))
    counts = (
        bronze.where(recent)
        .groupBy("source_file", F.unix_micros("landed_ts").alias("modified"))
        .agg(F.count("*").alias("rows"), F.count(CORRUPT).alias("unreadable"))
    )
    return [
        Taken(version=Version(path=row["source_file"], modified=row["modified"]), rows=row["rows"], unreadable=row["unreadable"])
        for row in counts.collect()
        if row["modified"] is not None
    ]


def unseen(files: Sequence[Landed], had: Collection[Version]) -> list[Landed]:
    """Files without a receipt."""
    seen = {version.second for version in had}
    return [file for file in files if file.version.second not in seen]


def receipts(
    files: Sequence[Landed], had: Collection[Version], found: Sequence[Taken], headers: Mapping[str, Header], bronze: DatasetContract
) -> list[Receipt]:
    """The receipts that are missing: of the listed files, and of what bronze took in and the listing does not have (any more)."""
    seen = {version.second for version in had}
    rows = {one.version.second: one for one in found}
    named = {unquote(path): header for path, header in headers.items()}
    moments: dict[str, list[int]] = {}
    for version in [*had, *(one.version for one in found)]:
        moments.setdefault(version.second[0], []).append(version.second[1])
    made: list[Receipt] = []
    for file in unseen(files, had):
        others = moments.get(file.version.second[0], [])
        if one := rows.get(file.version.second):
            made.append(_of_rows(one, file.bytes, named.get(file.version.second[0], Header())))
        elif any(moment < file.version.second[1] for moment in others):
            made.append(_again(file))
        elif not others:
            made.append(_without_rows(file, headers.get(file.version.path), bronze))
        # Else it was replaced before anybody read it, and what replaced it has a receipt.
    listed = {receipt.version.second for receipt in made}
    return made + [_of_rows(one, None, named.get(key[0], Header())) for key, one in rows.items() if key not in seen and key not in listed]


def _of_rows(one: Taken, size: int | None, header: Header) -> Receipt:
    outcome, reason = Outcome.TAKEN, header.remark
    if header.problem:
        outcome, reason = Outcome.WRONG_HEADER, header.problem
    elif one.unreadable == one.rows:
        outcome, reason = Outcome.UNREADABLE, "file: no row of it can be parsed"
    elif one.unreadable:
        reason = "; ".join(filter(None, [reason, f"rows that cannot be parsed: {one.unreadable}"]))
    return Receipt(version=one.version, bytes=size, rows=one.rows, outcome=outcome, reason=reason)


def _again(file: Landed) -> Receipt:
    reason = "file: a name is read once, and this one was there before; nothing of this delivery was taken. Deliver it under another name"
    return Receipt(version=file.version, bytes=file.bytes, rows=0, outcome=Outcome.DELIVERED_AGAIN, reason=reason)


def _without_rows(file: Landed, header: Header | None, bronze: DatasetContract) -> Receipt:
    suffix = f".{bronze.landing.format}" if bronze.landing else ""
    outcome, reason = Outcome.EMPTY, "file: is empty" if file.bytes == 0 else "file: has no row"
    if not file.version.path.endswith(suffix):
        outcome, reason = Outcome.OTHER_FORMAT, f"file: is no {suffix} file, as the contract of {bronze.name} has it"
    elif header and header.problem:
        outcome, reason = Outcome.WRONG_HEADER, header.problem
    elif header:
        outcome, reason = Outcome.HEADER_ONLY, "; ".join(filter(None, ["file: has a header and no row", header.remark]))
    return Receipt(version=file.version, bytes=file.bytes, rows=0, outcome=outcome, reason=reason)


def record(spark: SparkSession, made: Sequence[Receipt], bronze: DatasetContract, catalogs: Catalogs, *, run_id: str) -> None:
    """Appends them in one commit: a run that ends before it finds the same receipts missing the next time."""
    if not made:
        return
    dataset = contract(RECEIPTS)
    values = [
        {
            "system": bronze.system,
            "dataset": bronze.name,
            "source_file": receipt.version.path,
            "landed_ts": datetime.fromtimestamp(receipt.version.modified / 1_000_000, UTC).isoformat(timespec="microseconds"),
            "bytes": receipt.bytes,
            "rows": receipt.rows,
            "outcome": receipt.outcome.value,
            "reason": receipt.reason or None,
            "run_id": run_id,
        }
        for receipt in made
    ]
    rows = from_values(spark, dataset, values).withColumn("recorded_ts", F.current_timestamp())
    rows.write.format("delta").mode("append").saveAsTable(catalogs.table(dataset).dotted)


def told(made: Sequence[Receipt]) -> str:
    """`files 12: 10 taken, 1 empty, 1 wrong header`."""
    counts = Counter(receipt.outcome for receipt in made)
    return f"files {len(made)}: " + ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])


def settle(spark: SparkSession, system: str, catalogs: Catalogs) -> None:
    """Brings what silver accounted for by file into the receipts of a system. Right receipts are left alone."""
    account = spark.read.table(catalogs.table(contract("platform.batch_accounting")).dotted).where(F.col("system") == system)
    sums = account.groupBy("source_file").agg(
        F.sum(F.col("rows_in") - F.col("rows_quarantined")).alias("accepted"), F.sum("rows_quarantined").alias("quarantined")
    )
    target = catalogs.table(contract(RECEIPTS))
    there = spark.read.table(target.dotted).where((F.col("system") == system) & (F.col("rows") > 0))
    differs = "NOT (rows_accepted <=> accepted AND rows_quarantined <=> quarantined)"
    stale = there.join(sums, "source_file").where(differs).select("source_file", "landed_ts", "accepted", "quarantined")
    if stale.isEmpty():
        return
    # The system as a literal, for then Delta sees that the merges of two systems touch different partitions.
    merge.run(
        stale,
        f"MERGE INTO {target} t USING {{source}} s ON t.system = {ddl.literal(system)} AND t.source_file = s.source_file "
        "AND t.landed_ts = s.landed_ts WHEN MATCHED THEN UPDATE SET rows_accepted = s.accepted, rows_quarantined = s.quarantined",
    )
