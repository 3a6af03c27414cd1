"""Surrogate keys: of the natural key alone, so that no attribute can change them."""

from __future__ import annotations

from pyspark.sql import Column as SparkColumn
from pyspark.sql import functions as F


def surrogate_key(*natural_key: str) -> SparkColumn:
    """SHA-256 over the JSON of the key columns."""
    return F.sha2(F.to_json(F.struct(*natural_key)), 256)
