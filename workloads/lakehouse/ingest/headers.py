"""The first line of a CSV file, judged once for the whole file: which columns of the contract it lacks, and which it has besides."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import DatasetContract
from lakehouse.contracts.platform_columns import RESCUED

# Where bronze keeps, in the rescued data of each row of such a file, what is wrong with its header.
PROBLEM = "_header_problem"
_SEPARATORS = (";", "\t", "|")
_SHOWN = 10
# Hadoop takes these in a path for patterns.
_PATTERN = str.maketrans({mark: f"\\{mark}" for mark in "\\{}[]*?"})


@dataclass(frozen=True, kw_only=True)
class Header:
    """`problem` is why no row of the file can keep the contract; empty where rows can. `remark` is what else there is to say."""

    problem: str = ""
    remark: str = ""


def judge(line: str, bronze: DatasetContract, required: Sequence[str]) -> Header:
    """The first line of a file against the columns of the contract, letter for letter, as Auto Loader compares them.

    A line without any known name may be a row of data, so nothing of it is repeated here: receipts are not masked.
    """
    wanted = [column.name for column in bronze.declared_columns]
    found = _names(line, ",")
    lacking = [name for name in wanted if name not in found]
    if not set(lacking) & set(required):
        return Header(remark=_differences(lacking, _strangers(found, wanted)))
    told = f"header: lacks {_listed([name for name in lacking if name in required])}"
    for mark in _SEPARATORS:
        if _known(_names(line, mark), wanted):
            return Header(problem=f"{told}: columns are separated by {mark!r}, the contract has ','")
    if not _known(found, wanted):
        return Header(problem=f"{told}: the first line has no name of the contract, so it is no header, or that of another file")
    spelled = {_folded(name): name for name in found}
    other = [f"{spelled[name]!r} for {name}" for name in lacking if _folded(name) in spelled]
    strange = [name for name in _strangers(found, wanted) if _folded(name) not in wanted]
    parts = [f"spelled otherwise are {_listed(other)}"] if other else []
    if strange:
        parts.append(f"not in the contract are {_listed(strange)}")
    return Header(problem="; ".join([told, *parts]))


def first_line(spark: SparkSession, path: str) -> str | None:
    """The first line that is not blank, None where there is none. Spark reads little more than that of the file."""
    found = spark.read.text(path.translate(_PATTERN)).where(F.trim("value") != "").first()
    return None if found is None else str(found["value"]).removeprefix("\ufeff")


def required_columns(silver: DatasetContract) -> tuple[str, ...]:
    """Columns of bronze without which no row becomes one of silver."""
    return tuple(column.source for column in silver.declared_columns if column.required and column.source)


def with_problems(rows: DataFrame, problems: Mapping[str, str]) -> DataFrame:
    """Bronze rows with the problem of their file, by its path, in what was rescued: there silver, backfill and replay find it."""
    if not problems:
        return rows
    told = F.coalesce(*[F.when(F.col("source_file") == path, F.lit(problem)) for path, problem in sorted(problems.items())])
    rescued = F.coalesce(F.from_json(RESCUED, "map<string,string>"), F.from_json(F.lit("{}"), "map<string,string>"))
    marked = F.to_json(F.map_concat(rescued, F.create_map(F.lit(PROBLEM), told)))
    return rows.withColumn(RESCUED, F.when(told.isNull(), F.col(RESCUED)).otherwise(marked))


def header_problem() -> SparkColumn:
    """What `with_problems` kept of a row's file; null where its header is fine."""
    return F.when(F.col(RESCUED).contains(f'"{PROBLEM}":'), F.get_json_object(RESCUED, f"$.{PROBLEM}"))


def _names(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])


def _folded(name: str) -> str:
    return name.strip().strip('"').lower()


def _known(found: Sequence[str], wanted: Sequence[str]) -> bool:
    return any(_folded(name) in wanted for name in found)


def _strangers(found: Sequence[str], wanted: Sequence[str]) -> list[str]:
    return [name for name in found if name not in wanted]


def _differences(lacking: Sequence[str], strange: Sequence[str]) -> str:
    parts = [f"lacks {_listed(lacking)}"] if lacking else []
    if strange:
        parts.append(f"has {_listed(strange)}, which the contract has not")
    return f"header: {'; '.join(parts)}" if parts else ""


def _listed(names: Sequence[str]) -> str:
    shown = [name if len(name) <= 80 else f"{name[:77]}…" for name in names[:_SHOWN]]
    return ", ".join([*shown, *([f"{len(names) - _SHOWN} more"] if len(names) > _SHOWN else [])])
