"""Surrogate keys: of the natural key alone, so that no attribute can change them."""

from __future__ import annotations

from pyspark.sql import Column as SparkColumn
from pyspark.sql import functions as F


def surrogate_key(*natural_key: str | SparkColumn) -> SparkColumn:
    """SHA-256 over the JSON of the key columns, names included."""
    return F.sha2(F.to_json(F.struct(*natural_key)), 256)


def reference(key: str, value: SparkColumn) -> SparkColumn:
    """The surrogate key of the row whose natural key `key` is `value`; null for null."""
    return F.when(value.isNotNull(), surrogate_key(value.alias(key)))
