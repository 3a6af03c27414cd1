"""MERGE statements, made from key and column names."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession

from lakehouse.names import TableName

# When a row was delivered: in which run of bronze, and of several files of that run the greater name, for files are named by day.
DELIVERY = ("_ingest_ts", "_source_file")
# So many rows fit the memory of a task, where they are hashed.
FEW = 250_000


def few(rows: DataFrame) -> DataFrame:
    """Marks a source of at most FEW rows: it is hashed, and the rows of the target need not be sorted to find their partners.

    Spark sorts both sides where it cannot know how many rows a micro-batch has.
    """
    return rows.hint("shuffle_hash")


def insert_missing(rows: DataFrame, target: TableName, key: Sequence[str]) -> None:
    """Inserts the rows whose key the target does not have. `rows` hold each key once."""
    same = " AND ".join(f"t.`{name}` = s.`{name}`" for name in key)
    run(rows, f"MERGE INTO {target} t USING {{source}} s ON {same} WHEN NOT MATCHED THEN INSERT *")


def upsert(rows: DataFrame, target: TableName, key: Sequence[str], *, when: str = "") -> None:
    """Inserts new keys and updates known ones, those only that satisfy `when` (aliases `t` and `s`). `rows` hold each key once."""
    same = " AND ".join(f"t.`{name}` = s.`{name}`" for name in key)
    matched = f"WHEN MATCHED AND {when}" if when else "WHEN MATCHED"
    run(rows, f"MERGE INTO {target} t USING {{source}} s ON {same} {matched} THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *")


def synchronise(rows: DataFrame, target: TableName, key: Sequence[str], *, differs: str) -> None:
    """Makes the target equal to `rows`: inserts, updates where `differs` holds, deletes keys that `rows` do not have."""
    same = " AND ".join(f"t.`{name}` = s.`{name}`" for name in key)
    run(
        rows,
        f"MERGE INTO {target} t USING {{source}} s ON {same} WHEN MATCHED AND {differs} THEN UPDATE SET * "
        "WHEN NOT MATCHED THEN INSERT * WHEN NOT MATCHED BY SOURCE THEN DELETE",
    )


def newer(sequence: str) -> str:
    """True where the source row comes later in the total order of sequence, delivery and hash."""
    source, target = (_ordered(alias, sequence) for alias in "st")
    return f"{source} > {target}"


def _ordered(alias: str, sequence: str) -> str:
    fields = ", ".join(f"'{name}', {alias}.`{name}`" for name in (sequence, *DELIVERY, "_row_hash"))
    return f"named_struct({fields})"


def run(rows: DataFrame, statement: str) -> None:
    spark: SparkSession = rows.sparkSession
    spark.sql(statement, source=rows)


def any_differs(columns: Sequence[str]) -> str:
    """True where one of the columns is not the same on both sides; null equals null."""
    return "NOT (" + " AND ".join(f"t.`{name}` <=> s.`{name}`" for name in columns) + ")"
