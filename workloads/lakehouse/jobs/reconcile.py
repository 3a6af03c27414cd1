"""Compares two versions of a table and ends with status 1 where they differ by more than is tolerated."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lakehouse.contracts import contract
from lakehouse.contracts.errors import UnknownDataset
from lakehouse.jobs.parameters import parse
from lakehouse.jobs.session import session
from lakehouse.operations.reconcile import reconcile


def main(arguments: Sequence[str] | None = None) -> None:
    own, others = _parser().parse_known_args(sys.argv[1:] if arguments is None else arguments)
    parameters = parse("reconcile", others)
    try:
        dataset = contract(own.table)
    except UnknownDataset as error:
        _parser().error(f"--table: {error}")
    table = parameters.catalogs.table(dataset)
    found = reconcile(session(), dataset, table, own.from_version, own.to_version, everything=own.columns == "all")
    print(found.as_json() if own.json == "true" else "\n".join(found.lines()))
    if found.percent > own.tolerance_pct:
        raise SystemExit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="reconcile", allow_abbrev=False, add_help=False)
    parser.add_argument("--table", required=True, metavar="SCHEMA.TABLE", help="as its contract is named, e.g. cmdm.customer_silver")
    parser.add_argument("--from_version", required=True, type=_version)
    parser.add_argument("--to_version", required=True, type=_version)
    parser.add_argument("--columns", default="declared", choices=("declared", "all"), help="all: also the platform's, such as _run_id")
    parser.add_argument("--tolerance_pct", default=0.0, type=_percent, help="rows that may differ, in percent of the larger version")
    parser.add_argument("--json", default="false", choices=("true", "false"))
    return parser


def _version(value: str) -> int:
    if not value.isdigit():
        raise argparse.ArgumentTypeError(f"{value!r} is no version of a table (DESCRIBE HISTORY lists them)")
    return int(value)


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
