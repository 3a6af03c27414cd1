"""The privileges of each group, worked out from the contracts: pure data, no resource."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from infra.databricks.groups import ENGINEERS
from lakehouse.contracts import DatasetContract, load_contracts

READ = ("SELECT", "USE_SCHEMA")
WRITE = ("CREATE_TABLE", "MODIFY", "SELECT", "USE_SCHEMA")


@dataclass(frozen=True, order=True)
class Grant:
    """One group's privileges on one securable, sorted: the order of a grant has no meaning."""

    group: str
    privileges: tuple[str, ...]


def schema_grants(contracts: Iterable[DatasetContract] | None = None) -> dict[tuple[str, str], tuple[Grant, ...]]:
    """By (layer, schema). A group that writes one dataset of a schema writes the schema: grants sit at schema or above."""
    rights: dict[tuple[str, str], dict[str, set[str]]] = {}
    for contract in load_contracts() if contracts is None else contracts:
        groups = rights.setdefault((str(contract.layer), contract.schema_name), {})
        for names, privileges in ((contract.reader_groups, READ), (contract.writer_groups, WRITE)):
            for group in names:
                groups.setdefault(group, set()).update(privileges)
    return {
        place: tuple(sorted(Grant(group, tuple(sorted(privileges))) for group, privileges in groups.items()))
        for place, groups in sorted(rights.items())
    }


def catalog_grants(layer: str, schemas: dict[tuple[str, str], tuple[Grant, ...]]) -> tuple[Grant, ...]:
    """USE CATALOG for every group that may use one of its schemas."""
    groups = {grant.group for (other, _), grants in schemas.items() if other == layer for grant in grants}
    return tuple(sorted(Grant(group, ("USE_CATALOG",)) for group in groups | {ENGINEERS}))
