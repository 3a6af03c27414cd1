"""What differs between two versions of a table: rows by key, values by column."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import DatasetContract
from lakehouse.names import TableName
from lakehouse.schema import column_names, declared_names

_ROWS = "_rows"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Counts of rows. `repeated` are rows, in either version, whose key another row of that version has as well."""

    table: str
    from_version: int
    to_version: int
    rows_before: int
    rows_after: int
    added: int
    removed: int
    changed: int
    repeated: int
    columns: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return self.added + self.removed + self.changed

    @property
    def percent(self) -> float:
        """Of the rows of the larger version; a table that was and is empty differs in nothing."""
        return 100.0 * self.rows / max(self.rows_before, self.rows_after, 1)

    def as_json(self) -> str:
        return json.dumps({**asdict(self), "differing": self.rows, "differing_pct": round(self.percent, 4)})

    def lines(self) -> list[str]:
        said = [
            f"{self.table}: version {self.from_version} ({self.rows_before} rows) against {self.to_version} ({self.rows_after} rows)",
            f"{self.added} added, {self.removed} removed, {self.changed} changed ({self.percent:.4g} % of the rows)",
        ]
        if self.repeated:
            said.append(f"{self.repeated} rows share their key with another")
        return [*said, *(f"  {name}: differs in {count}" for name, count in self.columns.items() if count)]


def compared_columns(dataset: DatasetContract, *, everything: bool) -> list[str]:
    """The owner's columns; with `everything` also the platform's, such as the run that wrote a row."""
    return column_names(dataset) if everything else declared_names(dataset)


def reconcile(
    spark: SparkSession, dataset: DatasetContract, table: TableName, from_version: int, to_version: int, *, everything: bool = False
) -> Difference:
    """Reads both versions once. A table without a key is compared as a bag of whole rows: what changed is one row removed, one added.

    Columns that a version does not have yet are null there.
    """
    columns = compared_columns(dataset, everything=everything)
    before, after = (_version(spark, table, version, columns) for version in (from_version, to_version))
    key = [name for name in dataset.key if name in columns]
    values = [name for name in columns if name not in key] if key else []
    counts = _counts(before, after, key or columns, values)
    names = ("rows_before", "rows_after", "added", "removed", "changed", "repeated")
    return Difference(
        table=table.dotted,
        from_version=from_version,
        to_version=to_version,
        **{name: counts[name] for name in names},
        columns={name: counts[f"c_{name}"] for name in values},
    )


def _version(spark: SparkSession, table: TableName, version: int, columns: Sequence[str]) -> DataFrame:
    rows = spark.read.option("versionAsOf", version).table(table.dotted)
    return rows.select(*[F.col(f"`{name}`") if name in rows.columns else F.lit(None).alias(name) for name in columns])


def _counts(before: DataFrame, after: DataFrame, key: Sequence[str], values: Sequence[str]) -> Mapping[str, int]:
    """Grouped by key first: a repeated key must not multiply rows in the join. Of repeated rows, one stands for all."""
    joined = _by_key(before, key, values, "b").join(_by_key(after, key, values, "a"), "_key", "full_outer")
    was, now = (F.coalesce(F.col(f"{side}{_ROWS}"), F.lit(0)) for side in ("b", "a"))
    both = (was > 0) & (now > 0)
    differs = {name: both & ~F.col(f"b_{name}").eqNullSafe(F.col(f"a_{name}")) for name in values}
    changed = F.lit(False)
    for condition in differs.values():
        changed = changed | condition
    sums: dict[str, SparkColumn] = {
        "rows_before": F.sum(was),
        "rows_after": F.sum(now),
        "added": F.sum(F.greatest(now - was, F.lit(0))),
        "removed": F.sum(F.greatest(was - now, F.lit(0))),
        "changed": F.count_if(changed),
        "repeated": F.sum(F.when(was > 1, was).otherwise(0) + F.when(now > 1, now).otherwise(0)),
        **{f"c_{name}": F.count_if(condition) for name, condition in differs.items()},
    }
    found = joined.agg(*[F.coalesce(value, F.lit(0)).alias(name) for name, value in sums.items()]).first()
    return {name: int(value) for name, value in found.asDict().items()} if found else {}


def _by_key(rows: DataFrame, key: Sequence[str], values: Sequence[str], side: str) -> DataFrame:
    # As JSON: any type groups and joins, and a null is a value like others.
    keyed = rows.select(F.to_json(F.struct(*key), {"ignoreNullFields": "false"}).alias("_key"), *values)
    smallest = F.min(F.struct(*values)) if values else F.lit(None)
    grouped = keyed.groupBy("_key").agg(F.count("*").alias(f"{side}{_ROWS}"), smallest.alias("_one"))
    return grouped.select("_key", f"{side}{_ROWS}", *[F.col(f"_one.{name}").alias(f"{side}_{name}") for name in values])
