"""Typing, standardisation, rules and outcomes: DataFrames in, DataFrames out."""

from __future__ import annotations

import random
import runpy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import Kind, of_system
from lakehouse.contracts.document import RULES as NAMED
from lakehouse.ingest.bronze import reader_options
from lakehouse.ingest.receipts import Landed, Taken, Version, receipts
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
        "change_type": "UPSERT",
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


@dataclass(frozen=True, kw_only=True)
class Case:
    """A good row of the system with a change, and what it must become: values by column; errors are none unless it names some."""

    system: str
    change: Mapping[str, str | None] = field(default_factory=dict)
    becomes: Mapping[str, object] = field(default_factory=dict)


def broken(system: str, reason: str, **change: str) -> Case:
    return Case(system=system, change=change, becomes={"_errors": [reason]})


NO_UTF_8, NO_TIME = "row: is not valid UTF-8 text", "updated_ts: is not an ISO 8601 time with offset"
NO_STATUS = "status: is not one of ACTIVE, PENDING, SUSPENDED, CANCELLED"
NO_PHONE = {"phone": "call my wife", "_warnings": ["phone: is no Australian phone number"]}
NOT_OF_STATE, NO_POSTCODE = ["postcode: is no postcode of the state"], ["postcode: does not match ^[0-9]{4}$"]
# What a postcode of the Northern Territory is kept as, and its errors.
POSTCODES: dict[str, tuple[str, list[str]]] = {
    "20000": ("20000", NO_POSTCODE),
    "80": ("80", NO_POSTCODE),
    "200": ("200", NO_POSTCODE),
    " 872 ": ("0872", []),
    "2000": ("2000", NOT_OF_STATE),
    "08 00": ("08 00", NO_POSTCODE),
}
SPELLINGS = (
    "0412 345 678",
    "+61412345678",
    "+61 412 345 678",
    "61412345678",
    "412345678",
    "(04) 1234-5678",
    "0061 412345678",
    "+61 (0)412 345 678",
)
CASES: dict[str, Case] = {
    **{f"a good row of {system}": Case(system=system) for system in GOOD},
    "an address is spelled one way and gets its lost zero back": Case(
        system="amdm", becomes={"state": "NT", "postcode": "0800", "full_address": "1 GEORGE ST DARWIN CITY NT 0800"}
    ),
    **{
        f"no other postcode is padded or cut: {given!r}": Case(
            system="amdm", change={"post_cd": given}, becomes={"postcode": kept[0], "_errors": kept[1]}
        )
        for given, kept in POSTCODES.items()
    },
    **{
        f"a phone number has one form: {spelled}": Case(system="cmdm", change={"phone": spelled}, becomes={"phone": "+61412345678"})
        for spelled in SPELLINGS
    },
    "a phone that is none is kept with a warning": Case(system="cmdm", change={"phone": "call my wife"}, becomes=NO_PHONE),
    "another status": broken("jarvis", NO_STATUS, status="Zombie"),
    "a status of one MiB": broken("jarvis", NO_STATUS, status="x" * 2**20),
    "a start to come": broken("jarvis", "start_dt: is in the future", start_dt="2025-06-04"),
    # Ingested 2025-06-02 18:30 UTC, which is the morning of the third in Sydney.
    "a start today in Sydney is not to come": Case(system="jarvis", change={"start_dt": "2025-06-03"}),
    "a date of another form": broken("jarvis", "start_dt: is not a date yyyy-MM-dd", start_dt="31/01/2024"),
    "a blank key": broken("jarvis", "service_id: is required", service_id="  "),
    "nothing at all": Case(
        system="jarvis",
        change=dict.fromkeys(GOOD["jarvis"]),
        becomes={"_errors": [f"{name}: is required" for name in ("service_id", "account_id", "status", "start_dt", "updated_ts")]},
    ),
    "a postcode of another state": broken("amdm", "postcode: is no postcode of the state", post_cd="3000"),
    "an e-mail without a domain": broken("cmdm", "email: is no e-mail address", email="a@b"),
    "a time without offset": broken("cmdm", NO_TIME, updated_ts="2025-06-02T10:00"),
    "a time that is a date": broken("cmdm", NO_TIME, updated_ts="2025-06-02"),
    "a number in words": broken("pega", "handle_time_minutes: is not of type INT", handle_time_minutes="many"),
    "NaN": broken("pega", "handle_time_minutes: is not of type INT", handle_time_minutes="NaN"),
    "resolved before it began": broken("pega", "resolved_ts: is before created_ts", resolved_ts="2024-01-01T00:00:00Z"),
    "a replacement character": broken("sfdc", NO_UTF_8, first_name="Ren\ufffd"),
    "a NUL": broken("sfdc", NO_UTF_8, first_name="Re\0n"),
    "a corrupt record": broken("sfdc", "row: cannot be parsed", _corrupt_record="{"),
}


def test_contracts_name_exactly_the_rules_that_exist() -> None:
    assert set(RULES) == NAMED


def test_each_value_is_kept_mended_or_an_error_that_names_its_column(spark: SparkSession) -> None:
    wrong: list[tuple[str, str, object, object]] = []
    for system in GOOD:
        cases = {name: case for name, case in CASES.items() if case.system == system}
        judged = judge(spark, system, *[{"source_file": name, **case.change} for name, case in cases.items()])
        assert sorted(row["_source_file"] for row in judged) == sorted(cases)
        for row in judged:
            expected = {"_errors": [], **cases[row["_source_file"]].becomes}
            wrong += [(row["_source_file"], column, row[column], value) for column, value in expected.items() if row[column] != value]
    assert wrong == []


def test_addresses_that_differ_in_where_a_part_stands_have_different_hashes(spark: SparkSession) -> None:
    rows = judge(
        spark,
        "amdm",
        {"addr_line_1_txt": "UNIT 1", "addr_line_2_txt": None},
        {"addr_line_1_txt": "UNIT", "addr_line_2_txt": "1"},
        {"addr_line_1_txt": "UNIT 1 DARWIN", "sbrb_nm": "CITY"},
    )
    assert len({row["address_hash"] for row in rows}) == 3


def test_the_same_person_has_the_same_hashes_in_cmdm_and_sfdc(spark: SparkSession) -> None:
    person = {"email": "ANN@example.com", "phone": "0412345678"}
    assert judge(spark, "cmdm", person)[0]["email_hash"] == judge(spark, "sfdc", {**person, "email": " ann@Example.com"})[0]["email_hash"]


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
    expected = [
        ("+61400000001", "00:00", "superseded"),
        ("+61400000002", "01:00", "superseded"),
        ("+61400000003", "02:00", "duplicate"),
        ("+61400000003", "02:00", "written"),
        ("+61291234567", "03:00", "quarantined"),
    ]
    rows = []
    for seed in range(3):
        shuffled = [{**GOOD["cmdm"], **change, "customer_id": f"C{seed}"} for change in CHANGES]
        random.Random(seed).shuffle(shuffled)
        rows += shuffled
    assert outcomes(spark, bronze(spark, "cmdm", *rows)) == sorted(
        [(f"C{seed}", *each) for seed in range(3) for each in expected], key=repr
    )


def test_two_rows_of_one_moment_have_the_same_winner_in_either_order(spark: SparkSession) -> None:
    one_moment = [{**GOOD["cmdm"], "phone": f"040000000{number}"} for number in (1, 2)]
    assert outcomes(spark, bronze(spark, "cmdm", *one_moment)) == outcomes(spark, bronze(spark, "cmdm", *reversed(one_moment)))


def test_against_the_table_an_equal_row_is_a_duplicate_an_older_one_superseded_a_newer_one_written(spark: SparkSession) -> None:
    silver = of_system("cmdm", Kind.SILVER)
    expected = {"C0": "superseded", "C1": "duplicate", "C2": "written"}
    there = bronze(spark, "cmdm", *[{**GOOD["cmdm"], **CHANGES[2], "customer_id": name} for name in expected])
    target = written_rows(ranked(prepared(there, of_system("cmdm", Kind.BRONZE), silver), silver), silver, run_id="r")
    come = [{**GOOD["cmdm"], **CHANGES[change], "customer_id": name} for change, name in zip((0, 2, 1), expected, strict=True)]
    assert {row[0]: row[3] for row in outcomes(spark, bronze(spark, "cmdm", *come), target)} == expected


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


FILES = {"a.csv": 10, "b.csv": 0, "c.xlsx": 7}


def test_empty_files_and_files_of_another_format_are_quarantined_whole(spark: SparkSession) -> None:
    files = [Landed(version=Version(path=f"/l/{name}", modified=number), bytes=size) for number, (name, size) in enumerate(FILES.items())]
    taken = [Taken(version=files[0].version, rows=1, unreadable=0)]
    cmdm = of_system("cmdm", Kind.BRONZE)
    found = unreadable_files(spark, receipts(files, [], taken, {}, cmdm), cmdm, of_system("cmdm", Kind.SILVER), run_id="r")
    assert found is not None
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
