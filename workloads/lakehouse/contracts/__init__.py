"""The data contracts (Open Data Contract Standard v3): the one statement of each dataset.

Tables, typing, quality rules, quarantine and grants derive from what `load_contracts()` returns. No engine is imported here.
"""

from __future__ import annotations

from lakehouse.contracts.dataset import SYSTEMS, Column, DatasetContract, Kind, Landing, Layer, QualityRule, Severity
from lakehouse.contracts.errors import ContractError, UnknownDataset
from lakehouse.contracts.registry import contract, load_contracts, of_system

__all__ = [
    "SYSTEMS",
    "Column",
    "ContractError",
    "DatasetContract",
    "Kind",
    "Landing",
    "Layer",
    "QualityRule",
    "Severity",
    "UnknownDataset",
    "contract",
    "load_contracts",
    "of_system",
]
