"""Words of the systems' screens, brought to one spelling."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column as SparkColumn
from pyspark.sql import functions as F


def one_blank(value: SparkColumn) -> SparkColumn:
    """Runs of white space become one blank."""
    return F.regexp_replace(value, r"\s+", " ")


def code(value: SparkColumn) -> SparkColumn:
    """`In progress`, `in-progress` → `IN_PROGRESS`."""
    return F.upper(F.regexp_replace(value, r"[\s\-/]+", "_"))


def translated(value: SparkColumn, synonyms: Mapping[str, str]) -> SparkColumn:
    """A value that is a key becomes what it stands for; any other stays, for the rules to judge."""
    pairs = [F.lit(word) for item in sorted(synonyms.items()) for word in item]
    return F.coalesce(F.try_element_at(F.create_map(*pairs), value), value)
