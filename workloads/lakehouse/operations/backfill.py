"""Derives the silver of a range of days again: several days at a time, each recorded once it is done, so that what broke off goes on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from threading import Lock

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse import merge
from lakehouse.contracts import contract
from lakehouse.names import Catalogs
from lakehouse.operations.rederive import Settled, delivered, judge_day, settle
from lakehouse.silver.batch import SilverTables

PROGRESS = "platform.backfill_progress"


class BackfillIncomplete(RuntimeError):
    """Some days could not be derived; the others are done and recorded."""


@dataclass(frozen=True, kw_only=True)
class Backfill:
    """`name` is what progress is recorded under: the same name goes on where it stopped, another begins anew."""

    name: str
    system: str
    first: date
    last: date

    @property
    def tables(self) -> SilverTables:
        return SilverTables.of(self.system)


@dataclass(frozen=True, kw_only=True)
class Day:
    """A day of the range on which something was delivered."""

    day: date
    rows: int
    done: bool


def plan(spark: SparkSession, catalogs: Catalogs, backfill: Backfill) -> list[Day]:
    """The days of the range that bronze has files of, oldest first."""
    bronze = spark.read.table(catalogs.table(backfill.tables.bronze).dotted).select(delivered().alias("day"))
    days = bronze.where(F.col("day").between(F.lit(backfill.first), F.lit(backfill.last))).groupBy("day").agg(F.count("*").alias("rows"))
    recorded = spark.read.table(catalogs.table(contract(PROGRESS)).dotted)
    mine = (F.col("backfill") == backfill.name) & (F.col("system") == backfill.system)
    done = recorded.where(mine).select("day", F.lit(True).alias("done"))
    found = days.join(done, "day", "left").orderBy("day").collect()
    return [Day(day=row["day"], rows=int(row["rows"]), done=bool(row["done"])) for row in found]


def run(
    spark: SparkSession,
    catalogs: Catalogs,
    backfill: Backfill,
    days: Sequence[Day],
    *,
    run_id: str,
    parallel: int,
    say: Callable[[str], None] = print,
) -> None:
    """Derives the days that are not done. A day that fails does not stop the others. Raises BackfillIncomplete."""
    # Delta lets one of two merges into a table win and fails the other, so days are judged side by side and written one by one.
    writing = Lock()

    def derive(day: Day) -> None:
        judged = judge_day(spark, catalogs, backfill.tables, day.day)
        with writing:
            settled = settle(judged, catalogs, backfill.tables, run_id=run_id)
            _record(spark, catalogs, backfill, day, settled, run_id=run_id)
        say(f"{day.day}: {day.rows} rows delivered, {settled.keys} keys, {settled.rows_changed} rows of silver changed")

    left = [day for day in days if not day.done]
    with ThreadPoolExecutor(parallel) as pool:
        started = {day.day: pool.submit(derive, day) for day in left}
    failed = {day: error for day, future in started.items() if (error := future.exception())}
    if failed:
        first = min(failed)
        raise BackfillIncomplete(
            f"{backfill.system}: {len(failed)} of {len(left)} days failed ({', '.join(map(str, sorted(failed)))}), the others are done. "
            f"Go on with --backfill={backfill.name}. {first}: {reason(failed[first])}"
        ) from failed[first]


def reason(error: BaseException) -> str:
    """The line of an error that says what is wrong: Spark's has its condition in brackets, that of the first cause comes last."""
    said = str(error)
    found = re.findall(r"\[[A-Z][A-Z0-9_.]+\] [^\n]*", said)
    return str(found[-1]) if found else said.partition("\n")[0]


def _record(spark: SparkSession, catalogs: Catalogs, backfill: Backfill, day: Day, settled: Settled, *, run_id: str) -> None:
    dataset = contract(PROGRESS)
    values = {
        "backfill": backfill.name,
        "system": backfill.system,
        "day": day.day,
        "rows_delivered": day.rows,
        "keys": settled.keys,
        "rows_judged": settled.rows_judged,
        "rows_changed": settled.rows_changed,
        "run_id": run_id,
    }
    typed = [F.lit(value).cast(dataset.column(name).physical_type).alias(name) for name, value in values.items()]
    merge.insert_missing(spark.range(1).select(*typed, F.current_timestamp().alias("done_ts")), catalogs.table(dataset), dataset.key)
