"""match_rates: how many rows of one system find their partner in another, and the gate that holds the marts back where too few do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from importlib import resources

import yaml
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from lakehouse.contracts import DatasetContract, contract
from lakehouse.schema import column_names


class MatchRateBelowObjective(RuntimeError):
    """Too few rows of a system find their partner in another."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A column of a silver table."""

    dataset: DatasetContract
    column: str

    @classmethod
    def of(cls, text: str) -> Reference:
        """Reads `schema.table.column`. Raises UnknownDataset or KeyError."""
        name, column = text.rsplit(".", 1)
        dataset = contract(name)
        return cls(dataset=dataset, column=dataset.column(column).name)

    def __str__(self) -> str:
        return f"{self.dataset.name}.{self.column}"


@dataclass(frozen=True, kw_only=True)
class MatchedJoin:
    """Rows with a value in `origin` must find it in `target`, `objective` percent of them at least."""

    name: str
    origin: Reference
    target: Reference
    objective: float


@cache
def matched_joins() -> tuple[MatchedJoin, ...]:
    """The joins of match_rates.yaml."""
    found = yaml.safe_load((resources.files("lakehouse.gold") / "match_rates.yaml").read_text(encoding="utf-8"))
    return tuple(
        MatchedJoin(
            name=str(item["name"]), origin=Reference.of(item["from"]), target=Reference.of(item["to"]), objective=float(item["objective"])
        )
        for item in found["joins"]
    )


def match_rates(read: Callable[[DatasetContract], DataFrame], joins: Sequence[MatchedJoin], *, run_id: str) -> DataFrame:
    """One row a join, in the columns of operations.match_rates."""
    counted = reduce(DataFrame.unionAll, [_counted(read, join) for join in joins])
    rate = F.try_divide(100.0 * F.col("rows_matched"), F.col("rows_referring"))
    return counted.withColumns(
        {
            "match_pct": rate,
            "meets_objective": F.coalesce(rate >= F.col("objective_pct"), F.lit(True)),
            "run_id": F.lit(run_id),
            "measured_ts": F.current_timestamp(),
        }
    ).select(*column_names(contract("operations.match_rates")))


def _counted(read: Callable[[DatasetContract], DataFrame], join: MatchedJoin) -> DataFrame:
    referring = read(join.origin.dataset).select(F.col(join.origin.column).alias("value")).where("value IS NOT NULL")
    partners = read(join.target.dataset).select(F.col(join.target.column).alias("value"), F.lit(True).alias("found"))
    # The target column is a key, so the join multiplies nothing.
    counts = referring.join(partners, "value", "left").agg(F.count("*").alias("rows_referring"), F.count("found").alias("rows_matched"))
    return counts.select(
        F.lit(join.name).alias("join_name"),
        F.lit(str(join.origin)).alias("from_column"),
        F.lit(str(join.target)).alias("to_column"),
        "rows_referring",
        "rows_matched",
        F.lit(join.objective).alias("objective_pct"),
    )


def hold_to_objectives(rates: Sequence[Row]) -> None:
    """Raises MatchRateBelowObjective that names every join below its objective."""
    missed = [
        f"{row['join_name']}: {row['rows_matched']} of {row['rows_referring']} rows of {row['from_column']} ({row['match_pct']:.2f} %) "
        f"are in {row['to_column']}, the objective is {row['objective_pct']:.2f} %"
        for row in rates
        if not row["meets_objective"]
    ]
    if missed:
        raise MatchRateBelowObjective(
            f"{'; '.join(missed)}. No mart was changed, the last ones stay readable. Bring in what is late (bronze and silver of the "
            "system referred to) or correct the keys, then run gold_marts again: it takes up these changes. See operations.match_rates"
        )
