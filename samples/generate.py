"""`python -m samples.generate --out DIR --day 1|2`: the landing files of a day, below a folder a system, and manifest.json.

The manifest says how many rows there are and what the platform must make of them once all days up to this one were loaded in order.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from lakehouse.contracts import Kind, of_system
from samples import by_hand
from samples.broken_files import broken_files, write
from samples.days import Days
from samples.delivery import Delivery, as_text
from samples.manifest import Expected

DEFAULT_ROWS = 50_000
DEFAULT_SEED = 20250602
# Columns that sources added without asking, where in the row they added them: before the last.
NEW_COLUMNS = {"cmdm": "loyalty_tier", "pega": "priority"}


def columns_of(delivery: Delivery, day: int) -> list[str]:
    """The columns of a file: the contract's, and from day 2 on what the source added."""
    columns = [column.name for column in of_system(delivery.system, Kind.BRONZE).declared_columns]
    if day > 1 and delivery.system in NEW_COLUMNS:
        columns.insert(-1, NEW_COLUMNS[delivery.system])
    return columns


def generate(out: Path, *, day: int, rows: int = DEFAULT_ROWS, seed: int = DEFAULT_SEED, broken: bool = False) -> dict[str, object]:
    """Writes the files of the day and returns the manifest it writes beside them."""
    days, expected = Days(rows=rows, seed=seed), Expected()
    datasets: dict[str, object] = {}
    deliveries: list[Delivery] = []
    for current in range(1, day + 1):
        deliveries = days.next_day()
        datasets = {delivery.dataset: {"file": delivery.file_name(current), **expected.take(delivery)} for delivery in deliveries}
    for delivery in deliveries:
        file = out / delivery.file_name(day)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            as_text([row.row for row in delivery.rows], columns_of(delivery, day), delivery.format), encoding="utf-8", newline="\n"
        )
    files = broken_files(deliveries, day) if broken else []
    write(files, out)
    by_hand.copy(day, out)
    manifest: dict[str, object] = {
        "day": day,
        "seed": seed,
        "rows": sum(len(delivery.rows) for delivery in deliveries),
        "datasets": datasets,
        "customers": expected.history(),
        "broken_files": [file.expected() for file in files],
    }
    # Last, so that a folder with a manifest is complete.
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m samples.generate", description="Landing files of a day, made up from a seed.")
    parser.add_argument("--out", required=True, type=Path, help="folder to write into; made when missing")
    parser.add_argument("--day", required=True, type=int, choices=(1, 2))
    parser.add_argument("--rows", type=int, default=DEFAULT_ROWS, help="rows over all systems (default %(default)s)")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--broken", action="store_true", help="also files that are empty, cut off, not UTF-8, of other columns or formats")
    found = parser.parse_args(arguments)
    if found.rows < 100:
        parser.error(f"--rows {found.rows}: at least 100, or not every kind of row has room")
    print(json.dumps(generate(found.out, day=found.day, rows=found.rows, seed=found.seed, broken=found.broken), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
