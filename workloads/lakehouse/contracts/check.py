"""Everything `make contracts` holds contracts to, gathered rather than raised, so that one run names all there is to mend."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lakehouse.contracts.compatibility import Change, Level, changes, is_enough, level, needed_version
from lakehouse.contracts.dataset import DatasetContract, Kind
from lakehouse.contracts.document import read_document
from lakehouse.contracts.errors import ContractError
from lakehouse.contracts.registry import check_together, consumers_of, quarantine_of

HOME = "workloads/lakehouse/contracts"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong, where, and what to do about it. `column` and `consumers` are empty where there are none."""

    file: str
    dataset: str
    what: str
    fix: str
    column: str = ""
    consumers: tuple[str, ...] = ()

    def __str__(self) -> str:
        # A message of the loader names the file already.
        place = f"{self.dataset}.{self.column}" if self.column else self.dataset
        lines = [f"{self.file}: {place}: {self.what}" if place else f"{self.file}: {self.what}"]
        if self.consumers:
            lines.append(f"  consumers: {', '.join(self.consumers)}")
        return "\n".join([*lines, f"  fix: {self.fix}"])


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A dataset beside its last release; `released` is empty and there are no changes where it was never released."""

    dataset: DatasetContract
    released: str
    changes: tuple[Change, ...]

    @property
    def needed(self) -> str:
        return needed_version(self.released, level(self.changes)) if self.released else self.dataset.version


def read_all(documents: Iterable[tuple[str, str]]) -> tuple[dict[str, DatasetContract], list[Problem]]:
    """Declared datasets by name, and what is wrong with the files, each by itself and together."""
    found: dict[str, DatasetContract] = {}
    problems: list[Problem] = []
    for file, text in documents:
        try:
            dataset = read_document(text, file=file, system=file.split("/")[1])
        except ContractError as error:
            problems.append(_unreadable(file, error))
            continue
        if dataset.name in found:
            problems.append(
                Problem(file=file, dataset=dataset.name, what=f"{found[dataset.name].file} declares it, too", fix="keep one of the two")
            )
        found[dataset.name] = dataset
    if not problems:
        derived = [quarantine_of(dataset) for dataset in found.values() if dataset.kind is Kind.BRONZE]
        try:
            check_together([*found.values(), *derived])
        except ContractError as error:
            problems.append(_unreadable("domains", error))
    return found, problems


def _unreadable(file: str, error: ContractError) -> Problem:
    what = str(error)
    named = what.split(": ", 1)[0] if what.startswith("domains/") and ": " in what else file
    return Problem(file=named, dataset="", what=what.removeprefix(f"{named}: "), fix=f"correct that key in {HOME}/{named}")


def incomplete(dataset: DatasetContract) -> list[Problem]:
    """What the standard leaves open and we do not: owner, objectives, key, a word about every column."""

    def missing(what: str, fix: str, column: str = "") -> Problem:
        return Problem(file=dataset.file, dataset=dataset.name, column=column, what=what, fix=fix)

    found: list[Problem] = []
    if not dataset.owner:
        found.append(missing("names no owner", "add `team: {name: …}`, who repairs what is wrong with it"))
    if not dataset.description:
        found.append(missing("has no description", "add `description` to the schema object"))
    if dataset.objectives.freshness is None and dataset.kind is not Kind.OPERATIONS:
        found.append(missing("promises no freshness", "add `{property: latency, value: 2, unit: h}` to slaProperties"))
    if dataset.objectives.rows is None and dataset.kind in (Kind.BRONZE, Kind.SILVER):
        found.append(missing("promises no volume", "add `{property: throughput, value: 1, valueExt: …, unit: rows}` to slaProperties"))
    if dataset.objectives.error_rate_pct is None and dataset.kind in (Kind.SILVER, Kind.TOPIC):
        found.append(missing("promises no pass rate", "add `{property: errorRate, value: 1, unit: percent}` to slaProperties"))
    # Bronze keeps what was delivered, repeats included.
    if not dataset.key and dataset.kind is not Kind.BRONZE:
        found.append(missing("has no primary key", "mark its columns with primaryKey and primaryKeyPosition"))
    found += [
        missing("has no description", "add `description`, it becomes the comment of the column", column.name)
        for column in dataset.declared_columns
        if not column.description
    ]
    return found


def read_released(folder: Path) -> tuple[dict[str, DatasetContract], list[Problem]]:
    """The last released contract of each dataset. An empty folder is a project that has released nothing yet."""
    found: dict[str, DatasetContract] = {}
    problems: list[Problem] = []
    for file in sorted(folder.glob("*/*.yaml")):
        name = f"domains/{file.parent.name}/{file.name}"
        try:
            dataset = read_document(file.read_text(encoding="utf-8"), file=name, system=file.parent.name)
        except ContractError as error:
            fix = "released copies are written by --release alone: restore it from git"
            problems.append(Problem(file=str(file), dataset="", what=str(error).removeprefix(f"{name}: "), fix=fix))
            continue
        found[dataset.name] = dataset
    return found, problems


def compare(current: Mapping[str, DatasetContract], released: Mapping[str, DatasetContract]) -> tuple[list[Comparison], list[Problem]]:
    """Each dataset beside its release, and those whose version does not say what changed."""
    compared: list[Comparison] = []
    problems: list[Problem] = []
    for name, dataset in sorted(current.items()):
        before = released.get(name)
        one = Comparison(dataset=dataset, released=before.version if before else "", changes=changes(before, dataset) if before else ())
        compared.append(one)
        if before and not is_enough(dataset.version, one.needed):
            problems += _undeclared(one, consumers_of(name, [*current.values(), *released.values()]))
    for name, before in sorted(released.items()):
        if name not in current and before.status not in ("deprecated", "retired"):
            problems.append(
                Problem(
                    file=before.file,
                    dataset=name,
                    what=f"was released as {before.version} and is gone",
                    fix="bring it back, release it once with `status: deprecated` so that its consumers are told, then delete it",
                    consumers=consumers_of(name, [*current.values(), *released.values()]),
                )
            )
    return compared, problems


def _undeclared(one: Comparison, consumers: tuple[str, ...]) -> list[Problem]:
    """The changes that the version does not own up to; where nothing changed, the version itself went back."""
    dataset = one.dataset
    grave = level(one.changes)
    if grave is None:
        back = f"is version {dataset.version}, but {one.released} is released and says the same"
        return [Problem(file=dataset.file, dataset=dataset.name, what=back, fix=f"set `version: {one.released}`")]
    word = {Level.BREAKING: "breaking", Level.ADDITIVE: "additive", Level.EDITORIAL: "editorial"}[grave]
    return [
        Problem(
            file=dataset.file,
            dataset=dataset.name,
            column=change.column,
            what=f"{change.what} ({word} since {one.released}, but the version is {dataset.version})",
            fix=f"set `version: {one.needed}`" + (" and tell the consumers, or take the change back" if grave is Level.BREAKING else ""),
            consumers=consumers if grave is Level.BREAKING else (),
        )
        for change in one.changes
        if change.level is grave
    ]


def sample_problems(folder: Path, contracts: Iterable[DatasetContract]) -> list[Problem]:
    """Landing files below `<folder>/<system>/` against their contract: each has every declared column. More are a source's own affair.

    A dataset without a sample is no problem: it may come from a real source alone. `without_sample` names them.
    """
    problems: list[Problem] = []
    for dataset in contracts:
        if not dataset.landing:
            continue
        for file in _samples(folder, dataset):
            names = _names_in(file, dataset.landing.format)
            problems += [
                Problem(
                    file=dataset.file,
                    dataset=dataset.name,
                    column=column.name,
                    what=f"sample {file.parent.name}/{file.name} has no such column; it has {', '.join(sorted(names))}",
                    fix="correct the name in the contract or in samples/",
                )
                for column in dataset.declared_columns
                if column.name not in names
            ]
    return problems


def without_sample(folder: Path, contracts: Iterable[DatasetContract]) -> list[str]:
    """Datasets that land as files of which none lies below `folder`."""
    return [dataset.name for dataset in contracts if dataset.landing and not _samples(folder, dataset)]


def _samples(folder: Path, dataset: DatasetContract) -> list[Path]:
    landing = dataset.landing
    return sorted((folder / dataset.system).glob(f"{landing.file_prefix}_*.{landing.format}")) if landing else []


def _names_in(file: Path, file_format: str) -> set[str]:
    """The header of a CSV file; of JSON lines every key of any line, for absent and null mean the same."""
    lines = file.read_text(encoding="utf-8").splitlines()
    if file_format == "csv":
        return set(lines[0].split(",")) if lines else set()
    return {key for line in lines if line.strip() for key in json.loads(line)}
