"""Spark schemas from contracts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
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


def from_values(spark: SparkSession, dataset: DatasetContract, values: Sequence[Mapping[str, Any]]) -> DataFrame:
    """A few plain values as rows of a table; a column that is not given is null.

    As JSON in one literal, since createDataFrame() would start Python workers and a literal for each value makes a plan of thousands.
    """
    shape = ", ".join(f"`{column.name}` {column.physical_type}" for column in dataset.columns)
    text = json.dumps([dict(row) for row in values], default=str)
    return spark.range(1).select(F.inline(F.from_json(F.lit(text), f"array<struct<{shape.replace('` ', '`: ')}>>")))
