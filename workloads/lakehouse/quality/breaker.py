"""The circuit breaker: a delivery of which too much breaks its contract stops the publish until somebody has looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import DatasetContract, contract
from lakehouse.names import Catalogs
from lakehouse.quality.replay import HELD
from lakehouse.quality.stop import ACCEPTED

ACCOUNT = "platform.batch_accounting"


class BatchBelowObjective(RuntimeError):
    """A run of silver quarantined a greater share of its rows than the dataset's contract allows."""


@dataclass(frozen=True, kw_only=True)
class PoorRun:
    """A run of silver beyond the `error_rate_pct` of its dataset. `rows_held` are those still in quarantine."""

    dataset: DatasetContract
    run_id: str
    rows_in: int
    rows_held: int

    @property
    def error_rate_pct(self) -> float:
        return 100 * self.rows_held / self.rows_in

    def __str__(self) -> str:
        return (
            f"{self.dataset.name}, run {self.run_id}: {self.rows_held} of {self.rows_in} rows ({self.error_rate_pct:.2f} %) are in "
            f"quarantine, the objective is {self.dataset.objectives.error_rate_pct:g} %"
        )


def hold_back(spark: SparkSession, catalogs: Catalogs, datasets: Mapping[str, DatasetContract]) -> None:
    """Raises BatchBelowObjective that names every run beyond its objective, unless it was accepted; `datasets` by system."""
    poor = poor_runs(spark, catalogs, datasets)
    if not poor:
        return
    system = poor[0].dataset.system
    raise BatchBelowObjective(
        f"{'; '.join(map(str, poor))}. No mart was changed, the last ones stay readable. See why in the quarantine tables, "
        f"e.g. {catalogs.raw}.{system}.{system}_quarantine; repair the rows (job replay_quarantine), or accept the run as it is "
        "(job accept_batch with its run id and a reason), then run gold_marts again"
    )


def poor_runs(spark: SparkSession, catalogs: Catalogs, datasets: Mapping[str, DatasetContract]) -> list[PoorRun]:
    """Runs beyond their objective that nobody accepted, oldest first. What was replayed since no longer counts against them."""
    governed = {item.name: item for item in datasets.values() if item.objectives.error_rate_pct is not None}
    if not governed:
        return []
    found = _beyond(spark.read.table(catalogs.table(contract(ACCOUNT)).dotted), governed)
    accepted = spark.read.table(catalogs.table(contract(ACCEPTED)).dotted).select("dataset", "run_id")
    runs = found.join(accepted, ["dataset", "run_id"], "left_anti").orderBy("recorded_ts", "dataset").collect()
    poor = []
    for row in runs:
        dataset = governed[row["dataset"]]
        released = _released(spark, catalogs, dataset, row["files"])
        run = PoorRun(dataset=dataset, run_id=row["run_id"], rows_in=row["rows_in"], rows_held=row["rows_quarantined"] - released)
        if run.error_rate_pct > float(dataset.objectives.error_rate_pct or 0):
            poor.append(run)
    return poor


def _beyond(account: DataFrame, governed: Mapping[str, DatasetContract]) -> DataFrame:
    allowed = F.coalesce(
        *[F.when(F.col("dataset") == name, F.lit(float(item.objectives.error_rate_pct or 0))) for name, item in governed.items()]
    )
    sums = account.groupBy("dataset", "run_id").agg(
        F.sum("rows_in").alias("rows_in"),
        F.sum("rows_quarantined").alias("rows_quarantined"),
        F.max("recorded_ts").alias("recorded_ts"),
        F.collect_set("source_file").alias("files"),
    )
    return sums.where((F.col("rows_in") > 0) & (100.0 * F.col("rows_quarantined") / F.col("rows_in") > allowed))


def _released(spark: SparkSession, catalogs: Catalogs, dataset: DatasetContract, files: Sequence[str]) -> int:
    """By file, not by run: a batch that was tried again keeps the first run's account and has the second's quarantine."""
    quarantine = spark.read.table(f"{catalogs.raw}.{dataset.system}.{dataset.system}_quarantine")
    of_files = (F.col("dataset") == dataset.name) & F.col("source_file").isin(*files) & (F.col("kind") == "row")
    return int(quarantine.where(of_files & ~F.expr(HELD)).count())
