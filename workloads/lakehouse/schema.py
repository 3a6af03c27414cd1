"""Spark schemas from contracts."""

from __future__ import annotations

from pyspark.sql.types import StringType, StructField, StructType

from lakehouse.contracts import DatasetContract
from lakehouse.contracts.platform_columns import CORRUPT


def landing_schema(bronze: DatasetContract) -> StructType:
    """How landing files are read: every declared column as text, and the line itself where it cannot be parsed."""
    names = [column.name for column in bronze.declared_columns] + [CORRUPT]
    return StructType([StructField(name, StringType()) for name in names])


def column_names(dataset: DatasetContract) -> list[str]:
    """All columns of the table in their order."""
    return [column.name for column in dataset.columns]


def declared_names(dataset: DatasetContract) -> list[str]:
    """The owner's columns in their order."""
    return [column.name for column in dataset.declared_columns]
