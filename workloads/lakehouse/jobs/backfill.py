"""Derives the silver of one system again for a range of days, then publishes what changed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from pyspark.sql import SparkSession

from lakehouse.contracts import contract
from lakehouse.jobs.gold import publish_marts
from lakehouse.jobs.parameters import JobArguments, parse
from lakehouse.jobs.session import session
from lakehouse.names import Catalogs
from lakehouse.operations.backfill import PROGRESS, Backfill, plan, run

_AT_MOST = 16
_EVER = (date(1900, 1, 1), date(9999, 12, 31))


def main(arguments: Sequence[str] | None = None) -> None:
    own, others = _parser().parse_known_args(sys.argv[1:] if arguments is None else arguments)
    parameters = parse("backfill", others, system=True)
    if own.first > own.last:
        _parser().error(f"--from={own.first} is after --to={own.last}")
    backfill = Backfill(name=own.backfill or parameters.run_id, system=parameters.system, first=own.first, last=own.last)
    spark, catalogs = session(), parameters.catalogs
    days = plan(spark, catalogs, backfill)
    bronze = catalogs.table(backfill.tables.bronze).dotted
    print(f"{bronze}: {len(days)} days with deliveries from {own.first} to {own.last}, {sum(day.done for day in days)} of them done before")
    if not days:
        raise SystemExit(
            f"backfill: nothing was delivered to {bronze} from {own.first} to {own.last}, so there is nothing to derive. Give days on "
            f"which something was, by the names of the landing files. {_delivered(spark, catalogs, backfill)}"
        )
    if own.dry_run == "true":
        for day in days:
            print(f"{day.day}: {day.rows} rows delivered{', done before' if day.done else ''}")
        print("dry run: nothing was changed")
        return
    print(f"progress is recorded in {catalogs.table(contract(PROGRESS)).dotted} as {backfill.name}", flush=True)
    run(spark, catalogs, backfill, days, run_id=parameters.run_id, parallel=own.parallel)
    print("\n".join(publish_marts(spark, catalogs, run_id=parameters.run_id)))


def _delivered(spark: SparkSession, catalogs: Catalogs, backfill: Backfill) -> str:
    every = plan(spark, catalogs, replace(backfill, first=_EVER[0], last=_EVER[1]))
    return f"It has deliveries of {len(every)} days, from {every[0].day} to {every[-1].day}" if every else "It has no deliveries"


def _parser() -> JobArguments:
    parser = JobArguments("backfill")
    parser.add_argument("--from", dest="first", required=True, type=_day, metavar="YYYY-MM-DD", help="first day of delivery, by file name")
    parser.add_argument("--to", dest="last", required=True, type=_day, metavar="YYYY-MM-DD", help="last day of delivery")
    parser.add_argument("--parallel", default=2, type=_parallel, metavar="DAYS", help="days that are judged side by side")
    parser.add_argument("--dry_run", default="false", choices=("true", "false"))
    parser.add_argument("--backfill", default="", help="the backfill to go on with, by the name it printed; the run's own when not given")
    return parser


def _day(value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{value!r} is no day (YYYY-MM-DD)") from None


def _parallel(value: str) -> int:
    if not value.isdigit() or not 1 <= int(value) <= _AT_MOST:
        raise argparse.ArgumentTypeError(f"{value!r} is no number of days from 1 to {_AT_MOST}")
    return int(value)


if __name__ == "__main__":
    main()
