"""All contracts of the wheel, read once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources

from lakehouse.contracts.dataset import SYSTEMS, DatasetContract, Kind, Layer
from lakehouse.contracts.document import read_document
from lakehouse.contracts.errors import ContractError, UnknownDataset
from lakehouse.contracts.platform_columns import DEAD_LETTER, QUARANTINE

_ORDER = {layer: position for position, layer in enumerate(Layer)}
_KIND_ORDER = {kind: position for position, kind in enumerate(Kind)}


@cache
def load_contracts() -> tuple[DatasetContract, ...]:
    """Every table, quarantine tables included, ordered by layer, schema, kind and name. Raises ContractError."""
    return tuple(dataset for dataset in _all() if dataset.kind is not Kind.TOPIC)


@cache
def load_topics() -> tuple[DatasetContract, ...]:
    """Every Kafka topic. They are no tables, so that nothing that creates, grants or maintains those meets them."""
    return tuple(dataset for dataset in _all() if dataset.kind is Kind.TOPIC)


@cache
def _all() -> tuple[DatasetContract, ...]:
    found = [read_document(text, file=file, system=file.split("/")[1]) for file, text in documents()]
    found += [quarantine_of(dataset) for dataset in found if dataset.kind is Kind.BRONZE]
    found += [dead_letter_of(dataset) for dataset in found if dataset.kind is Kind.TOPIC]
    check_together(found)
    return tuple(sorted(found, key=lambda c: (_ORDER[c.layer], c.schema_name, _KIND_ORDER[c.kind], c.table_name)))


def documents() -> Iterator[tuple[str, str]]:
    """Name (`domains/<system>/<file>`) and text of every contract file."""
    folder = resources.files("lakehouse.contracts") / "domains"
    for system in sorted(folder.iterdir(), key=lambda entry: entry.name):
        for file in sorted(system.iterdir(), key=lambda entry: entry.name):
            if file.name.endswith(".yaml"):
                yield f"domains/{system.name}/{file.name}", file.read_text(encoding="utf-8")


def quarantine_of(bronze: DatasetContract) -> DatasetContract:
    """The table for what breaks the contracts of a source: derived, so that no source can be without one."""
    return DatasetContract(
        system=bronze.system,
        layer=bronze.layer,
        kind=Kind.QUARANTINE,
        schema_name=bronze.schema_name,
        table_name=f"{bronze.system}_quarantine",
        version=bronze.version,
        description=f"Rows and files of {bronze.system} that break its contract, each with every reason",
        columns=QUARANTINE,
        reader_groups=bronze.reader_groups,
        writer_groups=bronze.writer_groups,
        file=bronze.file,
        owner=bronze.owner,
        source=bronze.name,
    )


def dead_letter_of(topic: DatasetContract) -> DatasetContract:
    """The table for messages that break the contract of a topic: derived, so that no topic can be without one."""
    return DatasetContract(
        system=topic.system,
        layer=topic.layer,
        kind=Kind.DEAD_LETTER,
        schema_name=topic.schema_name,
        table_name=f"{topic.table_name}_dead_letter",
        version=topic.version,
        description=f"Messages of topic {topic.topic.name if topic.topic else topic.name} that break its contract, each with every reason",
        columns=DEAD_LETTER,
        reader_groups=topic.reader_groups,
        writer_groups=topic.writer_groups,
        file=topic.file,
        owner=topic.owner,
        source=topic.name,
    )


def check_together(contracts: list[DatasetContract]) -> None:
    """What no single file can show: names are unique, sources exist, and a schema has one set of groups (grants sit at the schema)."""
    by_name: dict[tuple[Layer, str], DatasetContract] = {}
    groups: dict[tuple[Layer, str], DatasetContract] = {}
    for dataset in contracts:
        where = dataset.file
        if by_name.setdefault((dataset.layer, dataset.name), dataset) is not dataset:
            raise ContractError(f"{where}: schema.0.physicalName: {dataset.layer} table {dataset.name} is declared twice")
        first = groups.setdefault((dataset.layer, dataset.schema_name), dataset)
        if (set(first.reader_groups), set(first.writer_groups)) != (set(dataset.reader_groups), set(dataset.writer_groups)):
            raise ContractError(
                f"{where}: roles: differ from those of {first.name}; "
                f"grants sit at schema {dataset.layer}.{dataset.schema_name}, so its tables share them"
            )
    sources = {dataset.name: dataset for dataset in contracts if dataset.kind is not Kind.QUARANTINE}
    for dataset in contracts:
        where = dataset.file
        for key, names in (("source", (dataset.source,) if dataset.source else ()), ("alsoReads", dataset.also_reads)):
            for name in names:
                if name not in sources:
                    raise ContractError(f"{where}: customProperties.{key}: {name!r} is not declared")
        _check_references(dataset, sources)
        if dataset.kind in (Kind.SILVER, Kind.STREAM):
            _check_silver(dataset, sources, where)
    if missing := set(SYSTEMS) - {dataset.system for dataset in contracts if dataset.kind is Kind.BRONZE}:
        raise ContractError(f"domains/: no bronze contract for {', '.join(sorted(missing))}; every system of SYSTEMS needs one")


def _check_silver(dataset: DatasetContract, sources: dict[str, DatasetContract], where: str) -> None:
    if not dataset.source or not dataset.key or not dataset.sequence:
        raise ContractError(f"{where}: a silver table needs a source, a primary key and a sequence")
    names = {column.name for column in sources[dataset.source].declared_columns}
    for position, column in enumerate(dataset.declared_columns):
        if column.source and column.source not in names:
            raise ContractError(
                f"{where}: schema.0.properties.{position}.transformSourceObjects: {column.source!r} is no column of {dataset.source}"
            )


def _check_references(dataset: DatasetContract, sources: Mapping[str, DatasetContract]) -> None:
    for column in dataset.columns:
        for reference in column.references:
            table, _, name = reference.rpartition(".")
            if table not in sources or name not in {other.name for other in sources[table].columns}:
                raise ContractError(f"{dataset.file}: schema.0.properties.{column.name}.relationships: {reference!r} is no declared column")


def topic(name: str) -> DatasetContract:
    """The topic declared as `schema.name`. Raises UnknownDataset."""
    for dataset in load_topics():
        if dataset.name == name:
            return dataset
    raise UnknownDataset(f"{name} is no topic. There are {', '.join(dataset.name for dataset in load_topics())}. See contracts/domains/")


def consumers_of(name: str, contracts: Iterable[DatasetContract]) -> tuple[str, ...]:
    """Who notices a change of a dataset: what is made from it, directly or not, then their and its readers outside and by group."""
    every = list(contracts)
    reached = [name]
    for current in reached:  # grows while it is walked
        reached += [dataset.name for dataset in every if current in dataset.inputs and dataset.name not in reached]
    outside = [word for dataset in every if dataset.name in reached for word in (*dataset.consumers, *dataset.reader_groups)]
    return tuple(dict.fromkeys([*reached[1:], *outside]))


def contract(name: str) -> DatasetContract:
    """The dataset called `schema.table`. Raises UnknownDataset with the nearest declared name."""
    contracts = {dataset.name: dataset for dataset in load_contracts()}
    if name in contracts:
        return contracts[name]
    near = difflib.get_close_matches(name, contracts, n=1, cutoff=0.4)
    if not near:
        raise UnknownDataset(f"{name} is not declared. Declared are {', '.join(sorted(contracts))}. See contracts/domains/")
    raise UnknownDataset(f"{name} is not declared. Did you mean {near[0]}? See contracts/domains/{contracts[near[0]].system}/")


def of_system(system: str, kind: Kind) -> DatasetContract:
    """The one dataset of a kind that a source system has. Raises UnknownDataset for another system."""
    if system not in SYSTEMS:
        near = difflib.get_close_matches(system, SYSTEMS, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UnknownDataset(f"{system} is no source system. {hint}There are {', '.join(SYSTEMS)}. See contracts/domains/")
    for dataset in load_contracts():
        if dataset.system == system and dataset.kind is kind:
            return dataset
    raise UnknownDataset(f"{system} has no {kind} dataset. See contracts/domains/{system}/")
