"""A dataset as its contract declares it: one table with its columns, rules and groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

# The source systems. A new one is a folder below domains/ and its name here.
SYSTEMS: tuple[str, ...] = ("jarvis", "amdm", "pega", "cmdm", "sfdc")


class Layer(StrEnum):
    """Which catalog a table lives in."""

    RAW = "raw"
    CURATED = "curated"
    MARTS = "marts"
    AI = "ai"


class Kind(StrEnum):
    """What fills a table."""

    BRONZE = "bronze"
    QUARANTINE = "quarantine"
    SILVER = "silver"
    HISTORY = "history"
    MART = "mart"
    OPERATIONS = "operations"


class Severity(StrEnum):
    """ERROR sends the row to quarantine; WARNING lets it pass and counts it."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class QualityRule:
    """One rule of a column. `implementation` is a name that lakehouse.quality.rules knows."""

    implementation: str
    severity: Severity
    arguments: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table. `source` is the column of the source dataset it is typed from; `platform` columns are ours, not the owner's."""

    name: str
    logical_type: str
    physical_type: str
    required: bool = False
    primary_key_position: int | None = None
    classification: str = "internal"
    quality: tuple[QualityRule, ...] = ()
    description: str = ""
    source: str | None = None
    platform: bool = False


@dataclass(frozen=True, kw_only=True)
class Landing:
    """The files a source system delivers: `<file_prefix>_YYYYMMDD.<format>` in the system's landing volume."""

    format: str
    file_prefix: str


@dataclass(frozen=True, kw_only=True)
class DatasetContract:
    """One table. `columns` holds the owner's columns first, then the platform's."""

    system: str
    layer: Layer
    kind: Kind
    schema_name: str
    table_name: str
    version: str
    description: str
    columns: tuple[Column, ...]
    reader_groups: tuple[str, ...]
    writer_groups: tuple[str, ...]
    source: str | None = None
    sequence: str | None = None
    landing: Landing | None = None
    partitioned_by: tuple[str, ...] = ()
    table_properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`schema.table`; the catalog is a matter of the environment."""
        return f"{self.schema_name}.{self.table_name}"

    @property
    def declared_columns(self) -> tuple[Column, ...]:
        """The owner's columns, without ours."""
        return tuple(column for column in self.columns if not column.platform)

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the primary-key columns in key order."""
        keyed = [column for column in self.columns if column.primary_key_position is not None]
        return tuple(column.name for column in sorted(keyed, key=lambda column: column.primary_key_position or 0))

    def column(self, name: str) -> Column:
        """Raises KeyError naming the dataset when it has no such column."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name!r}; it has {', '.join(c.name for c in self.columns)}")
