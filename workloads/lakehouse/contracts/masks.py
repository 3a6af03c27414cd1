"""How personal data is tagged and masked, from its classification. Bound by ABAC on the tags, so that no table is named twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lakehouse.contracts.dataset import Classification, DatasetContract, Layer, Pii

# Whoever sees personal data in the clear; everybody else sees what the mask leaves.
CLEAR_GROUP = "pii_readers"
CLASSIFICATION_TAG = "classification"
PII_TAG = "pii"


@dataclass(frozen=True, kw_only=True, order=True)
class ColumnTag:
    """A governed tag on a column of a table."""

    layer: Layer
    dataset: str
    column: str
    key: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Mask:
    """What everybody outside `except_group` sees of columns tagged `pii = <pii>`: the result of `function` (one argument, same type)."""

    pii: Pii
    function: str
    column_type: str
    except_group: str = CLEAR_GROUP


def column_tags(contracts: Iterable[DatasetContract]) -> tuple[ColumnTag, ...]:
    """`classification` on every column that is not internal, and `pii` with its kind on personal data."""
    tags: list[ColumnTag] = []
    for dataset in contracts:
        for column in dataset.columns:
            pairs = [(CLASSIFICATION_TAG, column.classification)] if column.classification != Classification.INTERNAL else []
            pairs += [(PII_TAG, column.pii)] if column.pii else []
            tags += [
                ColumnTag(layer=dataset.layer, dataset=dataset.name, column=column.name, key=key, value=str(value)) for key, value in pairs
            ]
    return tuple(sorted(tags))


def masks(contracts: Iterable[DatasetContract]) -> tuple[Mask, ...]:
    """One for each kind of personal data and column type that the contracts hold."""
    held = {(column.pii, column.physical_type) for dataset in contracts for column in dataset.columns if column.pii}
    return tuple(
        Mask(pii=pii, function=f"mask_{pii}" if column_type == "STRING" else f"mask_{pii}_{_word(column_type)}", column_type=column_type)
        for pii, column_type in sorted(held)
    )


def _word(column_type: str) -> str:
    return column_type.lower().replace("<", "_").replace(">", "").replace("(", "_").replace(",", "_").replace(")", "")
