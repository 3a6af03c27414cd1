"""What differs between two versions of a table: rows by key, values by column."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import Column, DatasetContract
from lakehouse.names import TableName
from lakehouse.schema import column_names, declared_names

_WAS, _NOW = "_was", "_now"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Counts of rows. `repeated` are rows, in either version, whose key another row of that version has as well.

    `columns` counts keys; of the rows of a repeated key that changed, it looks at one.
    """

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


def newest_version(spark: SparkSession, table: TableName) -> int:
    found = spark.sql(f"DESCRIBE HISTORY {table} LIMIT 1").first()
    return int(found["version"]) if found else 0


def reconcile(
    spark: SparkSession, dataset: DatasetContract, table: TableName, from_version: int, to_version: int, *, everything: bool = False
) -> Difference:
    """Reads both versions once. A table without a key is compared as a bag of whole rows: what changed is one row removed, one added.

    Columns that a version does not have yet are null there.
    """
    columns = [column for column in dataset.columns if column.name in compared_columns(dataset, everything=everything)]
    before, after = (_version(spark, table, version, columns) for version in (from_version, to_version))
    key = [column.name for column in columns if column.name in dataset.key]
    values = [column.name for column in columns if column.name not in key] if key else []
    counts = _counts(before, after, key or [column.name for column in columns], values)
    names = ("rows_before", "rows_after", "added", "removed", "changed", "repeated")
    return Difference(
        table=table.dotted,
        from_version=from_version,
        to_version=to_version,
        **{name: counts[name] for name in names},
        columns={name: counts[f"c_{name}"] for name in values},
    )


def _version(spark: SparkSession, table: TableName, version: int, columns: Sequence[Column]) -> DataFrame:
    rows = spark.read.option("versionAsOf", version).table(table.dotted)
    return rows.select(*[F.col(c.name) if c.name in rows.columns else F.lit(None).cast(c.physical_type).alias(c.name) for c in columns])


def _counts(before: DataFrame, after: DataFrame, key: Sequence[str], values: Sequence[str]) -> Mapping[str, int]:
    """Equal rows cancel out first; of what is left of a key, a row that went and a row that came are one that changed.

    By grouping and not by a join: nulls are equal there, and a repeated key multiplies nothing.
    """
    sides = before.withColumns({_WAS: F.lit(1), _NOW: F.lit(0)}).unionByName(after.withColumns({_WAS: F.lit(0), _NOW: F.lit(1)}))
    alike = sides.groupBy(*key, *values).agg(F.sum(_WAS).alias(_WAS), F.sum(_NOW).alias(_NOW))
    went, came = (F.greatest(one - other, F.lit(0)) for one, other in ((F.col(_WAS), F.col(_NOW)), (F.col(_NOW), F.col(_WAS))))
    row = F.struct(*[F.col(name) for name in values or key])
    by_key = alike.groupBy(*key).agg(
        F.sum(_WAS).alias(_WAS),
        F.sum(_NOW).alias(_NOW),
        F.sum(went).alias("_went"),
        F.sum(came).alias("_came"),
        F.min(F.when(went > 0, row)).alias("_before"),
        F.min(F.when(came > 0, row)).alias("_after"),
    )
    changed = F.least("_went", "_came") if values else F.lit(0)
    was, now = F.col(_WAS), F.col(_NOW)
    both = (changed > 0) if values else F.lit(False)
    sums: dict[str, SparkColumn] = {
        "rows_before": F.sum(was),
        "rows_after": F.sum(now),
        "added": F.sum(F.col("_came") - changed),
        "removed": F.sum(F.col("_went") - changed),
        "changed": F.sum(changed),
        "repeated": F.sum(F.when(was > 1, was).otherwise(0) + F.when(now > 1, now).otherwise(0)),
        **{f"c_{name}": F.count_if(both & ~F.col(f"_before.{name}").eqNullSafe(F.col(f"_after.{name}"))) for name in values},
    }
    found = by_key.agg(*[F.coalesce(value, F.lit(0)).alias(name) for name, value in sums.items()]).first()
    return {name: int(value) for name, value in found.asDict().items()} if found else {}
