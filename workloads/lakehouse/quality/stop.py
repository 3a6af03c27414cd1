"""Rules of severity stop: one row that breaks one holds its whole batch back, before anything of it is written.

The stream that reads the batch fails and tries the same batch again at its next run, until its rows keep the contract (a release that
allows them) or somebody accepts the batch (job accept_batch): then its broken rows go to quarantine like any others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from lakehouse import merge
from lakehouse.append import MicroBatch
from lakehouse.contracts import DatasetContract, Severity, contract
from lakehouse.names import Catalogs
from lakehouse.quality.accounting import EXAMPLES, FAILED
from lakehouse.quality.rules import JudgedRule
from lakehouse.schema import from_values

STOPPED = "platform.stopped_batches"
ACCEPTED = "platform.accepted_batches"


class BatchStopped(RuntimeError):
    """A batch has rows that break a rule of severity stop; nothing of it was written."""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Rows of one file that break one rule of severity stop. `example_key` is the least of their keys as JSON, without personal columns."""

    dataset: str
    source_file: str
    rule: str
    rows_failed: int
    example_key: str
    reason: str = ""

    def __str__(self) -> str:
        broken = f"{self.rule} ({self.reason})" if self.reason else self.rule
        return f"{self.dataset}: {broken} is broken in {self.source_file}, rows: {self.rows_failed}, e.g. {self.example_key}"


@dataclass(frozen=True, kw_only=True)
class StoppedRun:
    """A run that was held back, and why."""

    dataset: DatasetContract
    run_id: str
    stops: tuple[Stop, ...]

    def __str__(self) -> str:
        return f"{'; '.join(map(str, self.stops))} (run {self.run_id})"


def found_stops(files: Sequence[Row], rules: Sequence[JudgedRule], dataset: DatasetContract) -> list[Stop]:
    """From the collected account of a batch."""
    stopping = [position for position, rule in enumerate(rules) if rule.severity is Severity.STOP]
    return [
        Stop(
            dataset=dataset.name,
            source_file=file["source_file"],
            rule=rules[position].name,
            rows_failed=file[FAILED][position],
            example_key=file[EXAMPLES][number],
            reason=rules[position].reason,
        )
        for file in files
        for number, position in enumerate(stopping)
        if file[FAILED][position]
    ]


def hold_whole(
    spark: SparkSession, catalogs: Catalogs, stops: Sequence[Stop], dataset: DatasetContract, at: MicroBatch, *, run_id: str
) -> None:
    """Raises BatchStopped where the batch has stops, unless somebody accepted it; the stop is on record then."""
    said = (
        f"{'; '.join(map(str, stops))}. Severity stop: nothing of this batch was written, and the next run tries it again. Release a "
        f"contract that allows these rows, or accept the batch (job accept_batch with system={dataset.system}, batch_run_id={run_id} and a "
        "reason: they go to quarantine then, the others are written), and run this job again. A corrected file comes after the batch, as a "
        "delivery of its own. See docs/quality.md"
    )
    hold(spark, catalogs, stops, dataset, at, said, run_id=run_id)


def hold(
    spark: SparkSession, catalogs: Catalogs, stops: Sequence[Stop], dataset: DatasetContract, at: MicroBatch, said: str, *, run_id: str
) -> None:
    """Records the stops and raises BatchStopped with what is `said`, unless there are none or somebody accepted the batch."""
    if not stops or _accepted(spark, catalogs, dataset, at):
        return
    values = [
        {
            "dataset": stop.dataset,
            "run_id": run_id,
            "rule": stop.rule,
            "source_file": stop.source_file,
            "stream_id": at.stream_id,
            "batch_id": at.batch_id,
            "rows_failed": stop.rows_failed,
            "example_key": stop.example_key,
        }
        for stop in stops
    ]
    table = contract(STOPPED)
    rows = from_values(spark, table, values).withColumn("stopped_ts", F.current_timestamp())
    merge.insert_missing(rows, catalogs.table(table), table.key)
    raise BatchStopped(said)


def _accepted(spark: SparkSession, catalogs: Catalogs, dataset: DatasetContract, at: MicroBatch) -> bool:
    """Whether a run that this very batch had stopped was accepted. A stream that begins anew has other batches."""
    stopped = spark.read.table(catalogs.table(contract(STOPPED)).dotted)
    mine = stopped.where(
        (F.col("dataset") == dataset.name) & (F.col("stream_id") == at.stream_id) & (F.col("batch_id") == F.lit(at.batch_id))
    )
    accepted = spark.read.table(catalogs.table(contract(ACCEPTED)).dotted)
    return not mine.join(accepted, ["dataset", "run_id"], "left_semi").isEmpty()


def stopped_runs(spark: SparkSession, catalogs: Catalogs, datasets: Mapping[str, DatasetContract]) -> list[StoppedRun]:
    """Runs of `datasets` (by name) that were held back and that nobody has accepted, oldest first."""
    stopped = spark.read.table(catalogs.table(contract(STOPPED)).dotted).where(F.col("dataset").isin(*datasets))
    accepted = spark.read.table(catalogs.table(contract(ACCEPTED)).dotted)
    found: dict[tuple[str, str], list[Stop]] = {}
    rows = stopped.join(accepted, ["dataset", "run_id"], "left_anti").orderBy("stopped_ts", "source_file", "rule").collect()
    for row in rows:
        names = ("dataset", "source_file", "rule", "rows_failed", "example_key")
        found.setdefault((row["dataset"], row["run_id"]), []).append(Stop(**{name: row[name] for name in names}))
    return [StoppedRun(dataset=datasets[name], run_id=run, stops=tuple(stops)) for (name, run), stops in found.items()]
