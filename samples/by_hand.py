"""Files written by hand: what lies in `samples/files/<system>/` lands beside the generated files, on the day its name says."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

from samples.delivery import day_start

FILES = Path(__file__).parent / "files"


def of_day(day: int, files: Path = FILES) -> Iterator[Path]:
    """Relative to the folder of a day: `<system>/<prefix>_<yyyyMMdd>.<format>`."""
    yield from (file.relative_to(files) for file in sorted(files.glob(f"*/*_{day_start(day):%Y%m%d}.*")))


def copy(day: int, out: Path, files: Path = FILES) -> None:
    """Into the folder of a day, over what an earlier run put there."""
    for name in of_day(day, files):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(files / name, out / name)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m samples.by_hand", description="Puts the files written by hand beside a day's generated ones."
    )
    parser.add_argument("--out", required=True, type=Path, help="folder of the day")
    parser.add_argument("--day", required=True, type=int)
    found = parser.parse_args()
    copy(found.day, found.out)


if __name__ == "__main__":
    main()
