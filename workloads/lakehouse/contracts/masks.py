"""How data is hidden: personal data masked, rows filtered. Bound by ABAC on tags, so that no table is named twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lakehouse.contracts.dataset import Classification, Column, DatasetContract, Layer, Pii, RowFilter

# Whoever sees personal data in the clear; everybody else sees what the mask leaves.
CLEAR_GROUP = "pii_readers"
CLASSIFICATION_TAG = "classification"
PII_TAG = "pii"
ROW_FILTER_TAG = "row_filter"
TAGS = (CLASSIFICATION_TAG, PII_TAG, ROW_FILTER_TAG)


@dataclass(frozen=True, kw_only=True, order=True)
class ColumnTag:
    """A governed tag on a column of a table. Keys are one for the whole account: `tag_key` says them for an environment."""

    layer: Layer
    dataset: str
    column: str
    key: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Mask:
    """What everybody outside `except_group` sees of columns tagged `pii = <tag_value>`: the result of `function` (one argument, same type).

    A policy matches columns by their tags alone, so that columns of another type have another value.
    """

    pii: Pii
    column_type: str
    except_group: str = CLEAR_GROUP

    @property
    def tag_value(self) -> str:
        return str(self.pii) if self.column_type == "STRING" else f"{self.pii}_{_word(self.column_type)}"

    @property
    def function(self) -> str:
        return f"mask_{self.tag_value}"


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which rows everybody outside `except_group` sees where a column is tagged `row_filter = <kind>`: those with `function` of it true."""

    kind: RowFilter
    column_type: str
    except_group: str = CLEAR_GROUP

    @property
    def function(self) -> str:
        return f"in_{self.kind}"


def tag_key(prefix: str, key: str) -> str:
    """`prefix` is that of the environment's catalogs: what a tag means to one environment is no business of another."""
    return f"{prefix}{key}"


def column_tags(contracts: Iterable[DatasetContract]) -> tuple[ColumnTag, ...]:
    """`classification` on every column that is not internal, `pii` with its kind on personal data, `row_filter` where one is declared."""
    return tuple(
        sorted(
            ColumnTag(layer=dataset.layer, dataset=dataset.name, column=column.name, key=key, value=value)
            for dataset in contracts
            for column in dataset.columns
            for key, value in _tags(column)
        )
    )


def _tags(column: Column) -> Iterator[tuple[str, str]]:
    if column.classification != Classification.INTERNAL:
        yield CLASSIFICATION_TAG, str(column.classification)
    if column.pii:
        yield PII_TAG, Mask(pii=column.pii, column_type=column.physical_type).tag_value
    if column.row_filter:
        yield ROW_FILTER_TAG, str(column.row_filter)


def masks(contracts: Iterable[DatasetContract]) -> tuple[Mask, ...]:
    """One for each kind of personal data and column type that the contracts hold."""
    held = {(column.pii, column.physical_type) for dataset in contracts for column in dataset.columns if column.pii}
    return tuple(Mask(pii=pii, column_type=column_type) for pii, column_type in sorted(held))


def filters(contracts: Iterable[DatasetContract]) -> tuple[Filter, ...]:
    """One for each kind of row filter and column type that the contracts declare."""
    held = {(column.row_filter, column.physical_type) for dataset in contracts for column in dataset.columns if column.row_filter}
    return tuple(Filter(kind=kind, column_type=column_type) for kind, column_type in sorted(held))


def _word(column_type: str) -> str:
    return column_type.lower().replace("<", "_").replace(">", "").replace("(", "_").replace(",", "_").replace(")", "")
