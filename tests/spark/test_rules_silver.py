"""Rules of silver that real deliveries broke: each table of cases is one Spark job."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import Kind, contract, of_system
from lakehouse.gold.cases import case_metrics
from lakehouse.gold.scd2 import refresh_versions
from lakehouse.gold.service import fact_service
from lakehouse.gold.surrogate import surrogate_key
from lakehouse.silver.outcome import OUTCOME, prepared, ranked
from tests.spark.customer_days import HISTORY, SCD2, SILVER, Cmdm, change
from tests.spark.lakehouse_fixtures import LocalCatalogs, catalogs, spark, table
from tests.spark.test_lakehouse_silver import GOOD, bronze
from tests.unit.test_marts_page import KEYS

__all__ = ["catalogs", "spark"]
NO_CHANGE = "change_type: is required"
NO_WORD = "change_type: is not one of UPSERT, DELETE"
NO_EMAIL = "email: is no e-mail address"


def judged(spark: SparkSession, system: str, changes: Sequence[Mapping[str, str | None]]) -> list[tuple[object, ...]]:
    """`(errors, e-mail, change type, deleted)` of a good row with each change, in the order given."""
    rows = bronze(spark, system, *[{**GOOD[system], **given, "source_file": f"{n:03d}"} for n, given in enumerate(changes)])
    found = prepared(rows, of_system(system, Kind.BRONZE), of_system(system, Kind.SILVER)).orderBy("_source_file")
    return [tuple(row) for row in found.select("_errors", "email", "change_type", "is_deleted").collect()]


def test_a_change_type_that_is_missing_or_cut_off_is_no_upsert(spark: SparkSession) -> None:
    given = [None, "", "  ", "DEL", "UPS", "delete", " Upsert "]
    expected = [
        *[([NO_CHANGE], None, False)] * 3,
        ([NO_WORD], "DEL", False),
        ([NO_WORD], "UPS", False),
        ([], "DELETE", True),
        ([], "UPSERT", False),
    ]
    found = judged(spark, "cmdm", [{"change_type": value} for value in given])
    assert [(errors, kind, deleted) for errors, _, kind, deleted in found] == expected


def test_an_email_is_trimmed_and_lowered_and_never_mended(spark: SparkSession) -> None:
    cases: dict[str, tuple[list[str], str]] = {
        " Ann@Example.COM\t": ([], "ann@example.com"),
        "a b@c.co": ([NO_EMAIL], "a b@c.co"),
        "ab@c .co": ([NO_EMAIL], "ab@c .co"),
        "a\tb@c.co": ([NO_EMAIL], "a\tb@c.co"),
        "a@b@c.co": ([NO_EMAIL], "a@b@c.co"),
        "a@c..co": ([NO_EMAIL], "a@c..co"),
    }
    found = judged(spark, "cmdm", [{"email": given} for given in cases])
    assert [(errors, email) for errors, email, _, _ in found] == list(cases.values())


def winners(spark: SparkSession, *rows: Mapping[str, str]) -> dict[str, str]:
    """Outcome by file of rows of one customer and one time; ids of files tell the order in which they are named."""
    silver = of_system("cmdm", Kind.SILVER)
    judged_rows = prepared(bronze(spark, "cmdm", *[{**GOOD["cmdm"], **row} for row in rows]), of_system("cmdm", Kind.BRONZE), silver)
    return {row["_source_file"]: row[OUTCOME] for row in ranked(judged_rows, silver).select("_source_file", OUTCOME).collect()}


def test_of_two_rows_of_one_time_the_file_delivered_later_wins_whatever_they_say(spark: SparkSession) -> None:
    # Forty pairs, so that no hash decides them all by chance.
    rows = [
        {"customer_id": f"C{n}", "phone": f"04000000{n:02d}", "source_file": f"customer_2025060{day}.csv#{n}", "first_name": f"{day}"}
        for n in range(40)
        for day in (1, 2)
    ]
    found = winners(spark, *rows)
    assert {found[f"customer_20250602.csv#{n}"] for n in range(40)} == {"written"}
    assert {found[f"customer_20250601.csv#{n}"] for n in range(40)} == {"superseded"}


def test_a_repeat_of_the_earlier_row_is_no_later_delivery(spark: SparkSession) -> None:
    rows = [{"source_file": f"customer_2025060{day}.csv", "first_name": name} for day, name in ((1, "Old"), (2, "New"), (3, "Old"))]
    assert winners(spark, *rows) == {
        "customer_20250601.csv": "superseded",
        "customer_20250602.csv": "written",
        "customer_20250603.csv": "duplicate",
    }


def test_silver_history_and_versions_agree_on_ties_over_days_and_a_redelivery_undoes_none(
    spark: SparkSession, catalogs: LocalCatalogs
) -> None:
    cmdm = Cmdm(spark, catalogs)
    moment = "2025-06-01T10:00:00+10:00"
    # Names so chosen that of some pairs the greater hash came first, of others last.
    earlier = [change(f"C{n}", 1, first_name=f"Old{n}", updated_ts=moment) for n in range(6)]
    later = [change(f"C{n}", 2, first_name=f"New{n}", updated_ts=moment) for n in range(6)]
    again = [{**row, "source_file": "dbfs:/Volumes/raw/cmdm/landing/customer_20250603.csv"} for row in earlier]
    for run_id, rows in (("one", earlier), ("two", later), ("three", again)):
        cmdm.deliver(*rows, run_id=run_id)
        expected = {f"C{n}": f"{'Old' if run_id == 'one' else 'New'}{n}" for n in range(6)}
        assert names(table(spark, SILVER)) == expected, run_id
    # A batch that is tried again after it was cut off finds its own rows in history.
    cmdm.to_silver("two", "run_id = 'two'")
    assert names(table(spark, SILVER)) == expected
    refresh_versions(table(spark, HISTORY), catalogs.table(contract(HISTORY)), catalogs.table(contract(SCD2)))
    assert names(table(spark, SCD2).where("is_current")) == expected
    key = list(contract(HISTORY).key)
    history = table(spark, HISTORY)
    assert history.count() == history.select(*key).distinct().count() == 12
    account = table(spark, "platform.batch_accounting").where("run_id = 'three'").select("rows_written", "rows_duplicate")
    assert [tuple(row) for row in account.collect()] == [(0, 6)]


def test_a_batch_cut_off_between_history_and_silver_is_not_taken_for_its_own_repeat(spark: SparkSession, catalogs: LocalCatalogs) -> None:
    cmdm = Cmdm(spark, catalogs)
    moment = "2025-06-01T10:00:00+10:00"
    cmdm.deliver(change("C1", 1, first_name="Old", updated_ts=moment), run_id="one")
    before = spark.sql(f"DESCRIBE HISTORY spark_catalog.{SILVER} LIMIT 1").collect()[0]["version"]
    cmdm.deliver(change("C1", 2, first_name="New", updated_ts=moment), run_id="two")
    spark.sql(f"RESTORE TABLE spark_catalog.{SILVER} TO VERSION AS OF {before}")
    assert names(table(spark, SILVER)) == {"C1": "Old"}
    cmdm.to_silver("two", "run_id = 'two'")
    assert names(table(spark, SILVER)) == {"C1": "New"}


def names(rows: DataFrame) -> dict[str, str]:
    found = rows.select("customer_id", "first_name").collect()
    assert len(found) == len({row["customer_id"] for row in found})
    return {row["customer_id"]: row["first_name"] for row in found}


def test_a_case_is_past_due_by_its_resolution_or_while_it_is_open_never_by_guess(spark: SparkSession) -> None:
    # status, resolved, due -> (with a due time that counts, breached); as_of is the tenth.
    cases: list[tuple[str, str | None, str | None, tuple[int, int]]] = [
        ("CLOSED", "2025-06-03", "2025-06-02", (1, 1)),
        ("CLOSED", "2025-06-01", "2025-06-02", (1, 0)),
        ("CLOSED", None, "2025-06-02", (0, 0)),
        ("RESOLVED", None, "2025-06-02", (0, 0)),
        ("OPEN", None, "2025-06-02", (1, 1)),
        ("OPEN", None, "2025-06-20", (1, 0)),
        ("OPEN", "2025-06-01", "2025-06-02", (1, 1)),  # resolved in time, then opened again
        ("IN_PROGRESS", "2025-06-01", "2025-06-02", (1, 1)),
        ("OPEN", None, None, (0, 0)),
        ("CLOSED", "2025-06-03", None, (0, 0)),
    ]
    values = ", ".join(f"('{n}', '{status}', {quoted(done)}, {quoted(due)})" for n, (status, done, due, _) in enumerate(cases))
    given = spark.sql(
        f"""SELECT id case_id, concat('T', id) case_type, status, CAST(done AS TIMESTAMP) resolved_ts, CAST(due AS TIMESTAMP) sla_due_ts,
            0 reopen_count, 1 handle_time_minutes, TIMESTAMP '2025-06-10' updated_ts FROM VALUES {values} AS v(id, status, done, due)"""
    )
    found = {row["case_type"]: (row["cases_with_sla"], row["sla_breached"]) for row in case_metrics(given).collect()}
    assert found == {f"T{n}": expected for n, (*_, expected) in enumerate(cases)}


def test_surrogate_keys_are_those_of_the_page(spark: SparkSession) -> None:
    rows = spark.sql(
        "SELECT 'CU00000007' customer_id, 'AD00000012' amdm_addr_id, TIMESTAMP '2025-06-02 01:30:00' effective_from, 'x' other"
    )
    keys = [surrogate_key(*json.loads(natural)) for natural, _ in KEYS]
    assert tuple(rows.select(*keys).collect()[0]) == tuple(key for _, key in KEYS)


def quoted(value: str | None) -> str:
    return f"'{value}'" if value else "NULL"


def test_a_service_leads_to_an_address_that_is_there_or_to_none(spark: SparkSession) -> None:
    services = spark.sql(
        "SELECT s service_id, a account_id, 'NBN' service_type, 'P' plan_cd, 'ACTIVE' status, DATE '2025-01-01' start_dt, "
        "current_timestamp() updated_ts FROM VALUES ('s1', 'c1'), ('s2', 'c2'), ('s3', 'c3'), ('s4', 'nobody') AS v(s, a)"
    )
    accounts = spark.sql("SELECT * FROM VALUES ('c1', 'c1'), ('c2', 'c2'), ('c3', 'c3') AS v(account_id, customer_id)")
    people = spark.sql("SELECT * FROM VALUES ('c1', 'a1'), ('c2', 'never delivered'), ('c3', NULL) AS v(customer_id, amdm_addr_id)")
    addresses = spark.sql("SELECT * FROM VALUES ('a1', 'x'), ('a2', 'y') AS v(amdm_addr_id, suburb)")
    keys = {row[0] for row in addresses.select(F.sha2(F.to_json(F.struct("amdm_addr_id")), 256)).collect()}
    found = {row["service_id"]: row["address_sk"] for row in fact_service(services, accounts, people, addresses).collect()}
    assert found["s1"] in keys
    assert {name: key for name, key in found.items() if name != "s1"} == dict.fromkeys(("s2", "s3", "s4"))
