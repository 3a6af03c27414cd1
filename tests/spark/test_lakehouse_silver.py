"""Typing, standardisation, rules and outcomes: DataFrames in, DataFrames out."""

from __future__ import annotations

import random
import runpy
from collections.abc import Mapping
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import Kind, of_system
from lakehouse.contracts.document import RULES as NAMED
from lakehouse.ingest.bronze import reader_options
from lakehouse.ingest.unreadable_files import unreadable_files
from lakehouse.quality.quarantine import quarantined_rows
from lakehouse.quality.rules import RULES
from lakehouse.schema import column_names
from lakehouse.silver.outcome import against_target, prepared, ranked, version_rows, written_rows
from tests.spark.lakehouse_fixtures import one, plain, spark

__all__ = ["spark"]
TS = "2025-06-02T10:00:00+10:00"
GOOD: dict[str, dict[str, str]] = {
    "jarvis": {
        "service_id": "S1",
        "account_id": "C1",
        "service_type": "Fixed Voice",
        "status": "active",
        "start_dt": "2024-01-31",
        "updated_ts": TS,
    },
    "amdm": {
        "amdm_addr_id": "A1",
        "addr_line_1_txt": " 1  george st ",
        "sbrb_nm": "Darwin city",
        "state": "nt",
        "post_cd": "800",
        "updated_ts": TS,
    },
    "cmdm": {
        "customer_id": "C1",
        "first_name": "Ann",
        "last_name": "Lee",
        "email": "Ann@Example.COM ",
        "phone": "(02) 9123 4567",
        "updated_ts": TS,
    },
    "pega": {
        "case_id": "K1",
        "case_type": "Network Fault",
        "status": "in-progress",
        "customer_id": "C1",
        "created_ts": TS,
        "updated_ts": TS,
    },
    "sfdc": {"contact_id": "N1", "email": "a@example.com", "state": "New South Wales", "postcode": "2000", "updated_ts": TS},
}


def bronze(spark: SparkSession, system: str, *rows: Mapping[str, str | None]) -> DataFrame:
    """Bronze rows made in SQL: rows from Python would need Python workers."""
    dataset = of_system(system, Kind.BRONZE)
    given = [{"source_file": "f.csv", **row} for row in rows]
    frame = spark.range(1).select(
        F.explode(
            F.array(
                *[
                    F.struct(
                        *[
                            F.lit(row.get(name)).cast("string").alias(name)
                            for name in column_names(dataset)
                            if name not in ("ingest_ts", "run_id")
                        ]
                    )
                    for row in given
                ]
            )
        ).alias("row")
    )
    stamped = frame.select("row.*").withColumns({"ingest_ts": F.lit("2025-06-02 18:30:00").cast("timestamp"), "run_id": F.lit("r")})
    return stamped.select(*column_names(dataset))


def judge(spark: SparkSession, system: str, *changes: Mapping[str, str | None]) -> list[Row]:
    rows = bronze(spark, system, *[{**GOOD[system], **change} for change in changes])
    return prepared(rows, of_system(system, Kind.BRONZE), of_system(system, Kind.SILVER)).collect()


def errors(spark: SparkSession, system: str, **change: str | None) -> list[str]:
    return list(judge(spark, system, change)[0]["_errors"])


def test_contracts_name_exactly_the_rules_that_exist() -> None:
    assert set(RULES) == NAMED


def test_good_rows_of_every_system_have_no_error(spark: SparkSession) -> None:
    for system in GOOD:
        assert errors(spark, system) == [], system


def test_an_address_is_spelled_one_way_and_gets_its_lost_zero_back(spark: SparkSession) -> None:
    row = judge(spark, "amdm", {})[0]
    assert (row["state"], row["postcode"], row["full_address"]) == ("NT", "0800", "1 GEORGE ST DARWIN CITY NT 0800")


@pytest.mark.parametrize(
    ("given", "kept"), [("20000", "20000"), ("80", "80"), ("200", "200"), (" 872 ", "0872"), ("2000", "2000"), ("08 00", "08 00")]
)
def test_no_other_postcode_is_padded_or_cut(spark: SparkSession, given: str, kept: str) -> None:
    assert judge(spark, "amdm", {"post_cd": given})[0]["postcode"] == kept


def test_addresses_that_differ_in_where_a_part_stands_have_different_hashes(spark: SparkSession) -> None:
    rows = judge(
        spark,
        "amdm",
        {"addr_line_1_txt": "UNIT 1", "addr_line_2_txt": None},
        {"addr_line_1_txt": "UNIT", "addr_line_2_txt": "1"},
        {"addr_line_1_txt": "UNIT 1 DARWIN", "sbrb_nm": "CITY"},
    )
    assert len({row["address_hash"] for row in rows}) == 3


@pytest.mark.parametrize(
    "spelled",
    [
        "0412 345 678",
        "+61412345678",
        "+61 412 345 678",
        "61412345678",
        "412345678",
        "(04) 1234-5678",
        "0061 412345678",
        "+61 (0)412 345 678",
    ],
)
def test_a_phone_number_has_one_form_however_it_is_spelled(spark: SparkSession, spelled: str) -> None:
    assert judge(spark, "cmdm", {"phone": spelled})[0]["phone"] == "+61412345678"


def test_a_phone_that_is_none_is_kept_with_a_warning(spark: SparkSession) -> None:
    row = judge(spark, "cmdm", {"phone": "call my wife"})[0]
    assert (row["phone"], row["_errors"], row["_warnings"]) == ("call my wife", [], ["phone: is no Australian phone number"])


def test_the_same_person_has_the_same_hashes_in_cmdm_and_sfdc(spark: SparkSession) -> None:
    person = {"email": "ANN@example.com", "phone": "0412345678"}
    assert judge(spark, "cmdm", person)[0]["email_hash"] == judge(spark, "sfdc", {**person, "email": " ann@Example.com"})[0]["email_hash"]


@pytest.mark.parametrize(
    ("system", "change", "reason"),
    [
        ("jarvis", {"status": "Zombie"}, "status: is not one of ACTIVE, PENDING, SUSPENDED, CANCELLED"),
        ("jarvis", {"start_dt": "2025-06-04"}, "start_dt: is in the future"),
        ("jarvis", {"start_dt": "31/01/2024"}, "start_dt: is not a date yyyy-MM-dd"),
        ("jarvis", {"service_id": "  "}, "service_id: is required"),
        ("amdm", {"post_cd": "3000"}, "postcode: is no postcode of the state"),
        ("cmdm", {"email": "a@b"}, "email: is no e-mail address"),
        ("cmdm", {"updated_ts": "2025-06-02T10:00"}, "updated_ts: is not an ISO 8601 time with offset"),
        ("cmdm", {"updated_ts": "2025-06-02"}, "updated_ts: is not an ISO 8601 time with offset"),
        ("pega", {"handle_time_minutes": "many"}, "handle_time_minutes: is not of type INT"),
        ("pega", {"resolved_ts": "2024-01-01T00:00:00Z"}, "resolved_ts: is before created_ts"),
        ("sfdc", {"first_name": "Ren\ufffd"}, "row: is not valid UTF-8 text"),
        ("sfdc", {"_corrupt_record": "{"}, "row: cannot be parsed"),
        ("sfdc", {"first_name": "Re\0n"}, "row: is not valid UTF-8 text"),
        ("pega", {"handle_time_minutes": "NaN"}, "handle_time_minutes: is not of type INT"),
        pytest.param("jarvis", {"status": "x" * 2**20}, "status: is not one of ACTIVE, PENDING, SUSPENDED, CANCELLED", id="one MiB"),
    ],
)
def test_a_broken_value_is_one_error_that_names_the_column(spark: SparkSession, system: str, change: dict[str, str], reason: str) -> None:
    assert errors(spark, system, **change) == [reason]


def test_a_service_that_starts_today_in_sydney_is_not_in_the_future(spark: SparkSession) -> None:
    # Ingested 2025-06-02 18:30 UTC, which is the morning of the third in Sydney.
    assert errors(spark, "jarvis", start_dt="2025-06-03") == []


def test_a_row_without_anything_says_everything_that_is_missing(spark: SparkSession) -> None:
    found = errors(spark, "jarvis", **dict.fromkeys(GOOD["jarvis"]))
    assert found == [f"{name}: is required" for name in ("service_id", "account_id", "status", "start_dt", "updated_ts")]


def outcomes(spark: SparkSession, rows: DataFrame, target: DataFrame | None = None) -> list[tuple[object, ...]]:
    silver = of_system("cmdm", Kind.SILVER)
    found = ranked(prepared(rows, of_system("cmdm", Kind.BRONZE), silver), silver)
    if target is not None:
        found = against_target(found, target, silver)
    return plain(
        found.select("customer_id", "phone", "updated_ts", "_outcome").withColumn("updated_ts", F.date_format("updated_ts", "HH:mm"))
    )


CHANGES: list[dict[str, str | None]] = [
    {"updated_ts": "2025-06-02T10:00:00+10:00", "phone": "0400000001"},
    {"updated_ts": "2025-06-02T12:00:00+10:00", "phone": "0400000003"},
    {"updated_ts": "2025-06-02T11:00:00+10:00", "phone": "0400000002"},
    {"updated_ts": "2025-06-02T12:00:00+10:00", "phone": "+61 400 000 003"},
    {"email": "nobody", "updated_ts": "2025-06-02T13:00:00+10:00"},
]


def test_the_latest_row_wins_equal_ones_are_duplicates_older_ones_superseded_in_any_order_of_arrival(spark: SparkSession) -> None:
    expected = sorted(
        [
            ("C1", "+61400000001", "00:00", "superseded"),
            ("C1", "+61400000002", "01:00", "superseded"),
            ("C1", "+61400000003", "02:00", "duplicate"),
            ("C1", "+61400000003", "02:00", "written"),
            ("C1", "+61291234567", "03:00", "quarantined"),
        ],
        key=repr,
    )
    for seed in range(3):
        shuffled = [{**GOOD["cmdm"], **change} for change in CHANGES]
        random.Random(seed).shuffle(shuffled)
        assert outcomes(spark, bronze(spark, "cmdm", *shuffled)) == expected


def test_two_rows_of_one_moment_have_the_same_winner_in_either_order(spark: SparkSession) -> None:
    one_moment = [{**GOOD["cmdm"], "phone": f"040000000{number}"} for number in (1, 2)]
    assert outcomes(spark, bronze(spark, "cmdm", *one_moment)) == outcomes(spark, bronze(spark, "cmdm", *reversed(one_moment)))


def test_against_the_table_an_equal_row_is_a_duplicate_an_older_one_superseded_a_newer_one_written(spark: SparkSession) -> None:
    silver = of_system("cmdm", Kind.SILVER)
    state = ranked(prepared(bronze(spark, "cmdm", {**GOOD["cmdm"], **CHANGES[2]}), of_system("cmdm", Kind.BRONZE), silver), silver)
    target = written_rows(state, silver, run_id="r")
    for change, outcome in ((CHANGES[0], "superseded"), (CHANGES[2], "duplicate"), (CHANGES[1], "written")):
        assert outcomes(spark, bronze(spark, "cmdm", {**GOOD["cmdm"], **change}), target)[0][3] == outcome


def test_history_takes_every_valid_version_once(spark: SparkSession) -> None:
    silver, history = of_system("cmdm", Kind.SILVER), of_system("cmdm", Kind.HISTORY)
    rows = ranked(
        prepared(bronze(spark, "cmdm", *[{**GOOD["cmdm"], **change} for change in CHANGES]), of_system("cmdm", Kind.BRONZE), silver), silver
    )
    versions = version_rows(rows, history, run_id="r")
    assert sorted(row["phone"][-1] for row in versions.collect()) == ["1", "2", "3"]


def test_equal_rows_in_quarantine_keep_ids_of_their_own_that_a_second_attempt_gives_again(spark: SparkSession) -> None:
    silver = of_system("cmdm", Kind.SILVER)

    def ids() -> list[str]:
        bad = {**GOOD["cmdm"], "email": "nobody"}
        rows = ranked(prepared(bronze(spark, "cmdm", bad, bad), of_system("cmdm", Kind.BRONZE), silver), silver)
        return sorted(row["quarantine_id"] for row in quarantined_rows(rows, silver, run_id="r").collect())

    assert len(set(ids())) == 2
    assert ids() == ids()


def test_the_payload_in_quarantine_is_the_row_as_it_came_with_what_was_rescued(spark: SparkSession) -> None:
    silver = of_system("cmdm", Kind.SILVER)
    bad = {**GOOD["cmdm"], "email": "nobody", "_rescued_data": '{"loyalty":"GOLD"}'}
    row = one(
        quarantined_rows(ranked(prepared(bronze(spark, "cmdm", bad), of_system("cmdm", Kind.BRONZE), silver), silver), silver, run_id="r9")
    )
    assert '"phone":"(02) 9123 4567"' in row["payload"] and "GOLD" in row["payload"]
    assert (row["errors"], row["source_file"], row["run_id"]) == (["email: is no e-mail address"], "f.csv", "r9")


def test_empty_files_and_files_of_another_format_are_quarantined_whole(spark: SparkSession) -> None:
    files = spark.sql("SELECT * FROM VALUES ('/l/a.csv', 10L), ('/l/b.csv', 0L), ('/l/c.xlsx', 7L) AS f(path, length)")
    found = unreadable_files(files, of_system("cmdm", Kind.BRONZE), of_system("cmdm", Kind.SILVER), run_id="r")
    assert plain(found.select("kind", "source_file", F.col("errors")[0])) == [
        ("file", "/l/b.csv", "file: is empty"),
        ("file", "/l/c.xlsx", "file: is no .csv file, as the contract of cmdm.cmdm_bronze has it"),
    ]


def test_csv_is_read_by_its_header_and_json_without_one() -> None:
    assert reader_options(of_system("cmdm", Kind.BRONZE))["header"] == "true"
    assert "header" not in reader_options(of_system("pega", Kind.BRONZE))


def test_a_rule_of_severity_stop_ends_an_update_of_a_pipeline(spark: SparkSession) -> None:
    source = Path(__file__).parents[2] / "workloads/pipelines/telecom/expectations.py"
    never = runpy.run_path(str(source))["must_never_break"]
    ((name, condition),) = never(of_system("amdm", Kind.SILVER)).items()
    assert name == "stop_gcc_cd_valid_values"
    rows = bronze(spark, "amdm", {**GOOD["amdm"], "gcc_cd": "7GDAR"}, {**GOOD["amdm"], "gcc_cd": "7XDAR"}, {**GOOD["amdm"], "state": "ZZ"})
    judged = prepared(rows, of_system("amdm", Kind.BRONZE), of_system("amdm", Kind.SILVER))
    assert sorted(judged.select("gcc_cd", F.expr(condition).alias("kept")).collect(), key=repr) == [
        Row(gcc_cd="7GDAR", kept=True),
        Row(gcc_cd="7XDAR", kept=False),
        Row(gcc_cd=None, kept=True),
    ]
    assert never(of_system("cmdm", Kind.SILVER)) == {}
