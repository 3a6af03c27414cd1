"""What the acceptance figures are computed from, read from the account, the logs of the tables and the record of gold's runs.

A row's way is timed by its file: it arrives when the landing file is written, it is readable in bronze with the batch that took it in,
in silver with the commit that follows its batch's account, in the marts once a run of gold that began after that commit has published.
What is not there yet counts with the time it has waited: a table that nobody fills any more gets worse by the hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import DatasetContract, Kind, contract, load_contracts
from lakehouse.names import Catalogs
from lakehouse.quality.breaker import ACCOUNT
from lakehouse.quality.kpis import Delay, Delivered, MatchRate, Measured, Observed, Window

PUBLICATIONS = "platform.publications"
# Commits that bring rows; what maintenance writes moves them only.
_BRING_ROWS = ("MERGE", "WRITE", "STREAMING UPDATE")

# How long a dataset's rows took in a window, for a kind of dataset that is not filled from files.
Freshness = Callable[[SparkSession, Catalogs, DatasetContract, Window], Sequence[Delay]]


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """Rows of one landing file on their way, in seconds of the epoch. `readable` is None until they are."""

    rows: int
    landed: float
    readable: float | None

    def delay(self, now: float) -> Delay:
        return Delay(rows=self.rows, seconds=max((self.readable or now) - self.landed, 0.0))


@dataclass(frozen=True, kw_only=True)
class _Files:
    """What bronze took in within the window, and what its silver made of it."""

    bronze: DatasetContract
    silver: DatasetContract
    taken: Sequence[Arrival]
    written: Sequence[Arrival]


def measure(spark: SparkSession, catalogs: Catalogs, window: Window, freshness: Mapping[Kind, Freshness]) -> Measured:
    """Everything within the window. `freshness` times datasets of kinds that come by no file; without it theirs is not measured."""
    accounted, sizes, last = _account(spark, catalogs, window)
    every = list(_files(spark, catalogs, window))
    observed: dict[str, Observed] = {}
    for one in every:
        if one.silver.name not in last:
            continue
        delivered = Observed(files=sizes.get(one.silver.name, ()), last=datetime.fromtimestamp(last[one.silver.name], UTC))
        observed[one.bronze.name] = replace(delivered, delays=_delays(one.taken, window))
        runs = accounted.get(one.silver.name, ())
        observed[one.silver.name] = replace(delivered, delivered=runs, delays=_delays(one.written, window))
    observed |= _of_others(spark, catalogs, window, freshness, every, accounted, last)
    return Measured(window=window, observed=observed, match_rates=_match_rates(spark, catalogs))


def _of_others(
    spark: SparkSession,
    catalogs: Catalogs,
    window: Window,
    freshness: Mapping[Kind, Freshness],
    every: Sequence[_Files],
    accounted: Mapping[str, Sequence[Delivered]],
    last: Mapping[str, float],
) -> dict[str, Observed]:
    """History, which is written just before its silver; marts; and what comes by no file."""
    published = _publications(spark, catalogs)
    by_name = {one.silver.name: one.written for one in every}
    found: dict[str, Observed] = {}
    for dataset in load_contracts():
        if dataset.kind is Kind.HISTORY and dataset.source in last:
            found[dataset.name] = Observed(delays=_delays(by_name[str(dataset.source)], window))
        elif dataset.kind is Kind.MART and published:
            way = [published_at(arrival, published) for name in silver_inputs(dataset) for arrival in by_name.get(name, ())]
            found[dataset.name] = Observed(delays=_delays(way, window))
        elif dataset.kind is Kind.STREAM and (dataset.name in last or dataset.source in last):
            timed = freshness.get(dataset.kind)
            delays = timed(spark, catalogs, dataset, window) if timed else None
            arrived = _newest(spark, catalogs, dataset)
            found[dataset.name] = Observed(delivered=accounted.get(dataset.name, ()), delays=delays, last=arrived)
    return found


def _newest(spark: SparkSession, catalogs: Catalogs, stream: DatasetContract) -> datetime | None:
    """When the last row of a stream's table came. Not when its job ran last: a job that finds a silent topic runs, too."""
    found = spark.read.table(catalogs.table(stream).dotted).agg(_seconds(F.max("_processed_ts")).alias("last")).first()
    return datetime.fromtimestamp(found["last"], UTC) if found and found["last"] is not None else None


def silver_inputs(mart: DatasetContract) -> list[str]:
    """The silver datasets that a mart is made from, directly or through others."""
    every = {dataset.name: dataset for dataset in load_contracts()}
    reached = [mart.name]
    for name in reached:  # grows while it is walked
        reached += [other for other in every[name].inputs if other in every and other not in reached]
    return [name for name in reached if every[name].kind is Kind.SILVER]


def published_at(arrival: Arrival, published: Iterable[tuple[float, float]]) -> Arrival:
    """The way from silver into the marts, with the first run (`begin, end`, in order) that began once silver had the rows."""
    silver = arrival.readable
    end = None if silver is None else next((end for begin, end in published if begin >= silver), None)
    return Arrival(rows=arrival.rows, landed=arrival.landed, readable=end)


def _account(
    spark: SparkSession, catalogs: Catalogs, window: Window
) -> tuple[dict[str, list[Delivered]], dict[str, list[int]], dict[str, float]]:
    """By dataset: its runs within the window, the rows of its files, and when it was last accounted for."""
    account = spark.read.table(catalogs.table(contract(ACCOUNT)).dotted)
    within = account.where(F.col("recorded_ts") >= F.lit(window.begin))
    runs: dict[str, list[Delivered]] = {}
    sums = within.groupBy("dataset", "run_id").agg(*[F.sum(name).alias(name) for name in ("rows_in", "rows_quarantined")])
    for row in sums.orderBy("dataset", "run_id").collect():
        made = Delivered(run_id=row["run_id"] or "", rows_in=int(row["rows_in"]), rows_quarantined=int(row["rows_quarantined"]))
        runs.setdefault(row["dataset"], []).append(made)
    sizes: dict[str, list[int]] = {}
    # Files only: a topic has a batch every few seconds and no size that means anything.
    for row in within.where("landed_ts IS NOT NULL").groupBy("dataset", "source_file").agg(F.sum("rows_in").alias("rows")).collect():
        sizes.setdefault(row["dataset"], []).append(int(row["rows"]))
    last = account.groupBy("dataset").agg(_seconds(F.max("recorded_ts")).alias("last")).collect()
    return runs, sizes, {row["dataset"]: row["last"] for row in last}


def _files(spark: SparkSession, catalogs: Catalogs, window: Window) -> Iterable[_Files]:
    pairs = [(contract(str(silver.source)), silver) for silver in load_contracts() if silver.kind is Kind.SILVER]
    account = spark.read.table(catalogs.table(contract(ACCOUNT)).dotted).where(F.col("recorded_ts") >= F.lit(window.begin))
    recorded = account.groupBy("dataset", "source_file").agg(
        F.sum("rows_written").alias("rows_written"), _seconds(F.max("recorded_ts")).alias("recorded")
    )
    found = reduce(DataFrame.unionAll, [_taken(spark, catalogs, bronze, silver, window) for bronze, silver in pairs])
    rows = found.join(recorded, ["dataset", "source_file"], "left").collect()
    with ThreadPoolExecutor(len(pairs)) as pool:
        logs = list(pool.map(lambda pair: _commits(spark, catalogs, pair[1]), pairs))
    for (bronze, silver), commits in zip(pairs, logs, strict=True):
        mine = [row for row in rows if row["dataset"] == silver.name]
        yield _Files(
            bronze=bronze,
            silver=silver,
            taken=[Arrival(rows=row["rows"], landed=row["landed"], readable=row["ingested"]) for row in mine],
            written=[way for row in mine if (way := _into_silver(row["rows"], row["landed"], row, commits))],
        )


def _taken(spark: SparkSession, catalogs: Catalogs, bronze: DatasetContract, silver: DatasetContract, window: Window) -> DataFrame:
    """What bronze took in, by file; rows of before it kept the arrival of their file are left out."""
    rows = spark.read.table(catalogs.table(bronze).dotted).where(F.col("ingest_ts") >= F.lit(window.begin)).where("landed_ts IS NOT NULL")
    return rows.groupBy(F.lit(silver.name).alias("dataset"), "source_file").agg(
        F.count("*").alias("rows"), _seconds(F.min("landed_ts")).alias("landed"), _seconds(F.max("ingest_ts")).alias("ingested")
    )


def _into_silver(rows: int, landed: float, accounted: Mapping[str, float | None], commits: Sequence[float]) -> Arrival | None:
    """None for a file that changed nothing in silver: there is nothing to read."""
    recorded, written = accounted["recorded"], accounted["rows_written"]
    if recorded is None:
        return Arrival(rows=rows, landed=landed, readable=None)
    if not written:
        return None
    return Arrival(rows=int(written), landed=landed, readable=next((at for at in commits if at >= recorded), None))


def _commits(spark: SparkSession, catalogs: Catalogs, dataset: DatasetContract) -> list[float]:
    history = spark.sql(f"DESCRIBE HISTORY {catalogs.table(dataset)}").where(F.col("operation").isin(*_BRING_ROWS))
    return sorted(row["at"] for row in history.select(_seconds(F.col("timestamp")).alias("at")).collect())


def _publications(spark: SparkSession, catalogs: Catalogs) -> list[tuple[float, float]]:
    runs = spark.read.table(catalogs.table(contract(PUBLICATIONS)).dotted)
    return sorted((row[0], row[1]) for row in runs.select(_seconds(F.col("started_ts")), _seconds(F.col("published_ts"))).collect())


def _match_rates(spark: SparkSession, catalogs: Catalogs) -> list[MatchRate]:
    rows = spark.read.table(catalogs.table(contract("operations.match_rates")).dotted).orderBy("join_name").collect()
    return [
        MatchRate(
            dataset=contract(row["from_column"].rsplit(".", 1)[0]),
            join=row["join_name"],
            rows=int(row["rows_referring"]),
            match_pct=row["match_pct"],
            objective=row["objective_pct"],
        )
        for row in rows
    ]


def _delays(arrivals: Iterable[Arrival], window: Window) -> list[Delay]:
    return [arrival.delay(window.end.timestamp()) for arrival in arrivals]


def _seconds(moment: Column) -> Column:
    """Of the epoch: a collected timestamp would be in the time zone of whatever machine collects it."""
    return F.unix_micros(moment) / 1e6
