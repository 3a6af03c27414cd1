"""All contracts of the wheel, read once."""

from __future__ import annotations

import difflib
from functools import cache
from importlib import resources

from lakehouse.contracts.dataset import SYSTEMS, DatasetContract, Kind, Layer
from lakehouse.contracts.document import read_document
from lakehouse.contracts.errors import ContractError, UnknownDataset
from lakehouse.contracts.platform_columns import QUARANTINE

_ORDER = {layer: position for position, layer in enumerate(Layer)}
_KIND_ORDER = {kind: position for position, kind in enumerate(Kind)}


@cache
def load_contracts() -> tuple[DatasetContract, ...]:
    """Every dataset, quarantine tables included, ordered by layer, schema, kind and name. Raises ContractError."""
    found: list[DatasetContract] = []
    folder = resources.files("lakehouse.contracts") / "domains"
    for system in sorted(folder.iterdir(), key=lambda entry: entry.name):
        for file in sorted(system.iterdir(), key=lambda entry: entry.name):
            if file.name.endswith(".yaml"):
                name = f"domains/{system.name}/{file.name}"
                found.append(read_document(file.read_text(encoding="utf-8"), file=name, system=system.name))
    found += [quarantine_of(dataset) for dataset in found if dataset.kind is Kind.BRONZE]
    check_together(found)
    return tuple(sorted(found, key=lambda c: (_ORDER[c.layer], c.schema_name, _KIND_ORDER[c.kind], c.table_name)))


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
        source=bronze.name,
    )


def check_together(contracts: list[DatasetContract]) -> None:
    """What no single file can show: names are unique, sources exist, and a schema has one set of groups (grants sit at the schema)."""
    by_name: dict[tuple[Layer, str], DatasetContract] = {}
    groups: dict[tuple[Layer, str], DatasetContract] = {}
    for dataset in contracts:
        where = f"domains/{dataset.system}/{dataset.table_name}.yaml"
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
        where = f"domains/{dataset.system}/{dataset.table_name}.yaml"
        if dataset.source and dataset.source not in sources:
            raise ContractError(f"{where}: customProperties.source: {dataset.source!r} is not declared")
        if dataset.kind is Kind.SILVER:
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
