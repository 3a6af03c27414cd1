"""The names by which Airflow knows datasets, so that a DAG waits for data and not for a time of day."""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse.contracts.dataset import DatasetContract, Kind


@dataclass(frozen=True, kw_only=True)
class Asset:
    """Arguments of `airflow.sdk.Asset`. An Airflow serves one environment, so that no name carries it."""

    name: str
    uri: str
    group: str


def asset(dataset: DatasetContract) -> Asset:
    place = "topic" if dataset.kind is Kind.TOPIC else str(dataset.layer)
    # Schemes that start with x- are Airflow's for what it has no provider of.
    return Asset(
        name=f"{place}.{dataset.name}",
        uri=f"x-lakehouse://{place}/{dataset.schema_name}/{dataset.table_name}",
        group=dataset.system,
    )
