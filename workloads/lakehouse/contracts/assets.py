"""The names by which Airflow knows datasets, so that a DAG waits for data and not for a time of day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lakehouse.contracts.dataset import DatasetContract, Kind
from lakehouse.contracts.registry import contract, load_contracts


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


@dataclass(frozen=True, kw_only=True)
class StepAssets:
    """What a step of the daily run reads and what it brings up to date."""

    inlets: tuple[Asset, ...] = ()
    outlets: tuple[Asset, ...] = ()


def step_assets(job: str, parameters: Mapping[str, str]) -> StepAssets:
    """By the name of the step's job and its parameters; a job that brings no dataset up to date has none."""
    system = parameters.get("system", "")
    match job:
        case "bronze_autoloader":
            return StepAssets(outlets=_assets(system, Kind.BRONZE))
        case "silver_standardize":
            written = _assets(system, Kind.SILVER, Kind.HISTORY, Kind.QUARANTINE)
            return StepAssets(inlets=_assets(system, Kind.BRONZE), outlets=written)
        case "gold_marts":
            return StepAssets(inlets=_assets("", Kind.SILVER, Kind.HISTORY), outlets=_assets("", Kind.MART))
        case "quality_kpis":
            return StepAssets(inlets=_assets("", Kind.MART), outlets=(asset(contract("platform.quality_kpis")),))
    return StepAssets()


def _assets(system: str, *kinds: Kind) -> tuple[Asset, ...]:
    """Of a system, or of all where none is named."""
    return tuple(asset(dataset) for dataset in load_contracts() if dataset.kind in kinds and system in ("", dataset.system))
