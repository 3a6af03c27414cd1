"""A dataset as its contract declares it: one table with its columns, rules and groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
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
    # Rows that a job which follows a topic appends as they come.
    STREAM = "stream"
    # Messages of a topic that break its contract.
    DEAD_LETTER = "dead_letter"
    # No table: a Kafka topic, whose messages the contract describes.
    TOPIC = "topic"


class Severity(StrEnum):
    """What a broken rule does, strictest first: STOP holds the whole batch back, ERROR sends the row to quarantine, WARNING counts it."""

    STOP = "stop"
    ERROR = "error"
    WARNING = "warning"

    @property
    def refuses(self) -> bool:
        """Whether the row cannot become part of the table."""
        return self is not Severity.WARNING

    def stricter_than(self, other: Severity) -> bool:
        order = list(Severity)
        return order.index(self) < order.index(other)


class Classification(StrEnum):
    """Who a column's values may be shown to. PII is masked from everybody outside pii_readers."""

    PUBLIC = "public"
    INTERNAL = "internal"
    PII = "pii"


class Pii(StrEnum):
    """What a pii column holds, and so how it is masked. TEXT is what nobody said more about: nothing of it is shown."""

    NAME = "name"
    EMAIL = "email"
    PHONE = "phone"
    ADDRESS = "address"
    HASH = "hash"
    TEXT = "text"


class RowFilter(StrEnum):
    """What decides which rows of a table a reader sees: a value of this column. REGION: the state or territory the reader serves."""

    REGION = "region"


@dataclass(frozen=True, kw_only=True)
class QualityRule:
    """One rule of a column. `implementation` is a name that lakehouse.quality.rules knows; `owner` repairs what breaks it."""

    implementation: str
    severity: Severity
    arguments: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    owner: str = ""


@dataclass(frozen=True, kw_only=True)
class Objectives:
    """What a dataset's owner promises (slaProperties). None promises nothing.

    `freshness` is the 95th percentile of the time from a row's arrival (landing file, message) to its being readable here; `rows` how many
    a delivery has, at least and at most; `error_rate_pct` the share of a batch that may break rules of severity error or stop.
    """

    freshness: timedelta | None = None
    frequency: timedelta | None = None
    retention: timedelta | None = None
    rows: tuple[int, int] | None = None
    error_rate_pct: float | None = None


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table. `source` is the column of the source dataset it is typed from; `platform` columns are ours, not the owner's.

    `pii` is set where the classification is PII, `row_filter` where the value decides who sees the row; `references` are the
    `schema.table.column` whose values this column takes.
    """

    name: str
    logical_type: str
    physical_type: str
    required: bool = False
    primary_key_position: int | None = None
    classification: str = Classification.INTERNAL
    pii: Pii | None = None
    row_filter: RowFilter | None = None
    quality: tuple[QualityRule, ...] = ()
    description: str = ""
    transformation: str = ""
    source: str | None = None
    references: tuple[str, ...] = ()
    platform: bool = False

    @property
    def valid_values(self) -> tuple[str, ...]:
        """The words a rule of severity error or stop allows; empty where any will do."""
        rules = [rule for rule in self.quality if rule.implementation == "valid_values" and rule.severity.refuses]
        return tuple(str(value) for rule in rules for value in rule.arguments["validValues"])


@dataclass(frozen=True, kw_only=True)
class Landing:
    """The files a source system delivers: `<file_prefix>_YYYYMMDD.<format>` in the system's landing volume."""

    format: str
    file_prefix: str


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A Kafka topic: the message's value is a JSON object of the columns, its key the value of one of them."""

    name: str
    key: str


@dataclass(frozen=True, kw_only=True)
class DatasetContract:
    """One table, or one topic. `columns` holds the owner's columns first, then the platform's.

    `file` is where it is declared, below lakehouse/contracts/. `also_reads` names inputs besides `source`; `consumers` who reads it outside
    the lakehouse. Consumers inside follow from the others' `source` and `also_reads`.
    """

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
    file: str = ""
    status: str = "active"
    owner: str = ""
    source: str | None = None
    also_reads: tuple[str, ...] = ()
    consumers: tuple[str, ...] = ()
    objectives: Objectives = Objectives()
    sequence: str | None = None
    landing: Landing | None = None
    topic: Topic | None = None
    partitioned_by: tuple[str, ...] = ()
    table_properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`schema.table`; the catalog is a matter of the environment."""
        return f"{self.schema_name}.{self.table_name}"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the datasets it is made from."""
        return (*((self.source,) if self.source else ()), *self.also_reads)

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
