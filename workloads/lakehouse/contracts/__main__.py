"""`python -m lakehouse.contracts`: validates every contract, and compares each with its last release. Run from the repository's root."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from lakehouse.contracts.check import Comparison, Problem, compare, incomplete, read_all, read_released, sample_problems, without_sample
from lakehouse.contracts.compatibility import level
from lakehouse.contracts.dataset import DatasetContract
from lakehouse.contracts.pages import generated, outdated, write
from lakehouse.contracts.registry import documents

RELEASED = "contracts/released"


def main(arguments: Sequence[str] | None = None, given: Iterable[tuple[str, str]] | None = None) -> int:
    """`given` are contract files (name, text) other than the wheel's. 0 when all is well, 1 when not; the reasons go to stderr."""
    found = _parser().parse_args(arguments)
    texts = dict(documents() if given is None else given)
    contracts, problems = read_all(texts.items())
    if found.readable:
        return _told(problems)
    compared: list[Comparison] = []
    if not problems:
        compared, problems = _checked(contracts, found.root, found.samples)
    if not problems and found.write:
        for name in write(found.root, generated(contracts)):
            print(f"wrote {name}", file=sys.stderr)
    if not problems and not found.write:
        problems = outdated(found.root, generated(contracts))
    if not problems and found.release:
        for name in release(found.root / RELEASED, contracts, texts):
            print(f"released {name}", file=sys.stderr)
        compared, _ = compare(contracts, contracts)
    unsampled = without_sample(found.samples, contracts.values()) if found.samples else []
    if found.json:
        print(json.dumps(_report(compared, problems, unsampled), indent=2))
        return 1 if problems else 0
    print(_listing(compared))
    for name in unsampled:
        print(f"note: samples/ generates no file of {name}; a day of samples lands nothing there", file=sys.stderr)
    return _told(problems)


def _told(problems: Sequence[Problem]) -> int:
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(f"{len(problems)} to mend", file=sys.stderr)
    return 1 if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lakehouse.contracts", description=__doc__)
    parser.add_argument(
        "--root", type=Path, default=Path(), help="the repository: contracts/released, contracts/schemas and docs lie below it"
    )
    parser.add_argument("--samples", type=Path, metavar="DIR", help="also hold the landing files of samples.generate to their contracts")
    parser.add_argument("--write", action="store_true", help="render docs/contracts*, contracts/schemas again instead of refusing old ones")
    parser.add_argument("--release", action="store_true", help="record these contracts as released; refused while anything is wrong")
    parser.add_argument("--readable", action="store_true", help="only ask whether every contract can be read; says nothing when so")
    parser.add_argument("--json", action="store_true", help="print versions, changes and problems as JSON")
    return parser


def _checked(contracts: dict[str, DatasetContract], root: Path, samples: Path | None) -> tuple[list[Comparison], list[Problem]]:
    before, problems = read_released(root / RELEASED)
    compared, undeclared = compare(contracts, before)
    problems += undeclared
    for dataset in contracts.values():
        problems += incomplete(dataset)
    if samples:
        problems += sample_problems(samples, contracts.values())
    return compared, problems


def release(folder: Path, contracts: dict[str, DatasetContract], texts: dict[str, str]) -> list[str]:
    """Writes the copies that differ, deletes those of datasets that are gone, and names both."""
    done: list[str] = []
    kept: set[Path] = set()
    for dataset in contracts.values():
        copy = folder / dataset.file.removeprefix("domains/")
        kept.add(copy)
        if not copy.is_file() or copy.read_text(encoding="utf-8") != texts[dataset.file]:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(texts[dataset.file], encoding="utf-8")
            done.append(f"{dataset.name} {dataset.version}")
    for copy in sorted(set(folder.glob("*/*.yaml")) - kept):
        copy.unlink()
        done.append(f"without {copy.parent.name}/{copy.name}")
    return done


def _listing(compared: list[Comparison]) -> str:
    lines = []
    for one in compared:
        dataset, grave = one.dataset, level(one.changes)
        since = f"{grave.name.lower()} since {one.released}" if grave is not None else "as released" if one.released else "not released yet"
        rules = sum(len(column.quality) + column.required for column in dataset.declared_columns)
        where = "topic" if dataset.topic else str(dataset.layer)
        lines.append(
            f"{where:8} {dataset.name:34} {dataset.version:7} {len(dataset.declared_columns):3} columns {rules:3} rules  "
            f"{dataset.owner:21} {since}"
        )
    return "\n".join([*lines, f"{len(compared)} contracts"])


def _report(compared: list[Comparison], problems: list[Problem], unsampled: list[str]) -> dict[str, object]:
    return {
        "valid": not problems,
        "datasets": [
            {
                "name": one.dataset.name,
                "file": one.dataset.file,
                "version": one.dataset.version,
                "released": one.released,
                "changes": [{"level": change.level.name.lower(), "column": change.column, "what": change.what} for change in one.changes],
            }
            for one in compared
        ],
        "without_sample": unsampled,
        "problems": [asdict(problem) for problem in problems],
    }


if __name__ == "__main__":
    sys.exit(main())
