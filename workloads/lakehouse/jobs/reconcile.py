"""Compares two versions of a table and ends with status 1 where they differ by more than is tolerated."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lakehouse.contracts import DatasetContract, contract
from lakehouse.contracts.errors import UnknownDataset
from lakehouse.jobs.parameters import JobArguments, parse
from lakehouse.jobs.session import session
from lakehouse.operations.reconcile import newest_version, reconcile


def main(arguments: Sequence[str] | None = None) -> None:
    own, others = _parser().parse_known_args(sys.argv[1:] if arguments is None else arguments)
    parameters = parse("reconcile", others)
    table, spark = parameters.catalogs.table(own.table), session()
    to_version = newest_version(spark, table) if own.to_version is None else own.to_version
    found = reconcile(spark, own.table, table, own.from_version, to_version, everything=own.columns == "all")
    print(found.as_json() if own.json == "true" else "\n".join(found.lines()))
    if found.percent > own.tolerance_pct:
        # Text is status 1 and the message of the failed run.
        raise SystemExit(f"reconcile: {found.rows} rows of {table.dotted} differ, {found.percent:.4g} %; {own.tolerance_pct:g} % may")


def _parser() -> JobArguments:
    parser = JobArguments("reconcile")
    parser.add_argument(
        "--table", required=True, type=_dataset, metavar="SCHEMA.TABLE", help="as its contract is named, e.g. cmdm.customer_silver"
    )
    parser.add_argument("--from_version", required=True, type=_version)
    parser.add_argument("--to_version", type=_version_or_newest, help="the newest when not given")
    parser.add_argument("--columns", default="declared", choices=("declared", "all"), help="all: also the platform's, such as _run_id")
    parser.add_argument("--tolerance_pct", default=0.0, type=_percent, help="rows that may differ, in percent of the larger version")
    parser.add_argument("--json", default="false", choices=("true", "false"))
    return parser


def _dataset(value: str) -> DatasetContract:
    try:
        return contract(value)
    except UnknownDataset as error:
        raise argparse.ArgumentTypeError(str(error) if value else "names no table") from None


def _version(value: str) -> int:
    if not value.isdigit():
        raise argparse.ArgumentTypeError(f"{value!r} is no version of a table (DESCRIBE HISTORY lists them)")
    return int(value)


def _version_or_newest(value: str) -> int | None:
    return _version(value) if value else None


def _percent(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError(f"{value!r} is no percentage")
    return number


if __name__ == "__main__":
    main()
