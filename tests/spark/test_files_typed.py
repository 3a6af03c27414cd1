"""Texts that are hard to type: one table of cases, one Spark job. And what the tables' files hold of the times that came of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import Kind, of_system
from lakehouse.ingest.headers import with_problems
from lakehouse.jobs.session import session
from lakehouse.schema import column_names
from lakehouse.silver.outcome import prepared
from tests.spark.lakehouse_fixtures import spark

__all__ = ["spark"]
TS = "2025-06-02T10:00:00+10:00"
SERVICE = {"service_id": "S", "account_id": "C1", "service_type": "Nbn", "status": "active", "start_dt": "2024-01-31", "updated_ts": TS}
TYPE, YEAR = "is not an ISO 8601 time with offset", "is before the year 1900"
NOT_TEXT = "row: is not valid UTF-8 text"
# What of a good row is different → its errors, and the value of the column as silver has it.
CASES: list[tuple[str, str, list[str], str | None]] = [
    ("updated_ts", "2025-06-02T10:00:00.123456789+10:00", [], "2025-06-02 00:00:00.123456"),
    ("updated_ts", "2025-06-02T10:00:00.1234567890+10:00", [f"updated_ts: {TYPE}"], None),
    ("updated_ts", "0001-01-01T00:00:00Z", [f"updated_ts: {YEAR}"], None),
    ("updated_ts", "1899-12-31T23:59:59Z", [f"updated_ts: {YEAR}"], None),
    ("updated_ts", "1900-01-01T00:00:00Z", [], "1900-01-01 00:00:00"),
    ("updated_ts", "2025-13-01T00:00:00Z", [f"updated_ts: {TYPE}"], None),
    ("start_dt", "0001-01-01", [f"start_dt: {YEAR}"], None),
    ("start_dt", "1900-01-01", [], "1900-01-01"),
    ("plan_cd", "a\\u0000b", [], "a\\u0000b"),
    ("plan_cd", "a\x00b", [NOT_TEXT], "a\x00b"),
    ("plan_cd", "Caf\ufffd", [NOT_TEXT], "Caf\ufffd"),
    ("plan_cd", "NBN\u00a0100", [], "NBN 100"),
    ("plan_cd", "\u00a0\u202f NBN\u3000", [], "NBN"),
    ("plan_cd", "\ufeffNBN\u200b", [], "NBN"),
    ("plan_cd", "\u00a0", [], None),
    ("plan_cd", "two\nlines, and a comma", [], "two\nlines, and a comma"),
    (
        "plan_cd",
        "A,b,c,d\nS2,C1,Nbn,X",
        ["row: a quote is not closed, so the lines after it became part of a value"],
        "A,b,c,d\nS2,C1,Nbn,X",
    ),
    ("_corrupt_record", 'S,"C1\nS2,C1', ["row: a quote is not closed, so the lines after it became part of a value"], None),
    ("_corrupt_record", "S,C1", ["row: cannot be parsed"], None),
    ("_rescued_data", '{"note":"a\\u0000b"}', [NOT_TEXT], None),
    ("_rescued_data", '{"note":"a\\\\u0000b"}', [], None),
]


def bronze(spark: SparkSession, *rows: Mapping[str, str]) -> DataFrame:
    names = [name for name in column_names(of_system("jarvis", Kind.BRONZE)) if name not in ("ingest_ts", "run_id", "source_file")]
    made = [
        F.struct(
            F.lit(number).alias("number"),
            F.lit(f"file-{number}").alias("source_file"),
            *[F.lit({**SERVICE, **row}.get(name)).cast("string").alias(name) for name in names],
        )
        for number, row in enumerate(rows)
    ]
    return spark.range(1).select(F.inline(F.array(*made))).withColumn("ingest_ts", F.current_timestamp())


def judged(rows: DataFrame) -> DataFrame:
    return prepared(rows, of_system("jarvis", Kind.BRONZE), of_system("jarvis", Kind.SILVER), carried=("number",))


def test_each_hard_text_becomes_what_is_said_of_it(spark: SparkSession) -> None:
    rows = judged(bronze(spark, *[{name: value} for name, value, _, _ in CASES]))
    found = {
        row["number"]: row for row in rows.withColumns({name: F.col(name).cast("string") for name in ("updated_ts", "start_dt")}).collect()
    }
    for number, (name, value, errors, kept) in enumerate(CASES):
        assert list(found[number]["_errors"]) == errors, (name, value)
        if not name.startswith("_"):
            assert found[number][name] == kept, (name, value)


def test_a_file_with_a_wrong_header_is_to_blame_and_not_each_column_of_each_row(spark: SparkSession) -> None:
    empty = dict.fromkeys(SERVICE, "")
    problem = 'header: lacks service_id; spelled otherwise are "SERVICE_ID" for service_id'
    rows = with_problems(
        bronze(spark, empty, {**empty, "_rescued_data": '{"SERVICE_ID":"S1"}'}, {}), {"file-0": problem, "file-1": problem}
    )
    found = sorted(judged(rows).select("number", "_errors", "_payload").collect())
    wrong = "header: of the file lacks what the contract requires, as its receipt says"
    assert [list(row["_errors"]) for row in found] == [[wrong], [wrong], []]
    # What it is stays with the row, for replay and backfill judge by that.
    assert "_header_problem" in found[0]["_payload"] and "SERVICE_ID" in found[1]["_payload"]
    assert "_header_problem" not in found[2]["_payload"]


def test_times_are_written_in_microseconds_that_any_reader_of_parquet_understands(spark: SparkSession, tmp_path: Path) -> None:
    before = spark.conf.get("spark.sql.parquet.outputTimestampType")
    try:
        ours = session()
        times = "TIMESTAMP '9999-12-31 00:00:00' AS last, TIMESTAMP '1900-01-01 00:00:00' AS first"
        ours.sql(f"SELECT {times}").write.format("delta").save(str(tmp_path / "t"))
    finally:
        spark.conf.set("spark.sql.parquet.outputTimestampType", str(before))
    (file,) = (tmp_path / "t").glob("*.parquet")
    schema = pyarrow.parquet.ParquetFile(file).schema
    assert [schema.column(number).physical_type for number in (0, 1)] == ["INT64", "INT64"]
    read = pyarrow.parquet.read_table(file).to_pylist()
    assert read == [{"last": datetime(9999, 12, 31, tzinfo=UTC), "first": datetime(1900, 1, 1, tzinfo=UTC)}]
