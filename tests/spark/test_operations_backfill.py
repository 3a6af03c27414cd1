"""Backfill: what a changed rule or a lost row of bronze makes of silver, history and versions, whatever they were before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pytest
from pyspark.sql import Column as SparkColumn
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import Column, contract
from lakehouse.gold.scd2 import customer_versions
from lakehouse.jobs.gold import start_history
from lakehouse.operations.backfill import Backfill, BackfillIncomplete, plan
from lakehouse.operations.rederive import delivered, judge_day, settle
from lakehouse.quality.breaker import poor_runs
from lakehouse.quality.replay import replay
from lakehouse.quality.rules import RULES
from lakehouse.schema import declared_names
from lakehouse.silver.outcome import prepared, ranked, version_rows, written_rows
from tests.spark.customer_days import FIRST, HISTORY, LAST, QUARANTINE, SCD2, SILVER, Cmdm, change
from tests.spark.lakehouse_fixtures import CATALOG, LocalCatalogs, catalogs, one, plain, spark, table

__all__ = ["catalogs", "spark"]


# Who writes `.org` is refused at first and welcome later; who writes `.net` the other way round.
DAYS = {
    1: [change("C1", 1), change("C2", 1, email="c2@example.org"), change("C3", 1), change("C4", 1, email="c4@example.net")],
    2: [
        change("C1", 2, phone="0412000002"),
        change("C4", 2, email="c4@example.net", first_name="Bo"),
        change("C6", 2, email="c6@example.org"),
        change("", 2),
    ],
}
SECOND = date(2025, 6, 2)


def only(domain: str) -> object:
    """A rule in place of `valid_email`: every domain but this one."""

    def rule(column: Column, _: Mapping[str, object]) -> tuple[SparkColumn, str]:
        return F.col(column.name).endswith(domain), f"is of {domain}"

    return rule


@pytest.fixture
def cmdm(spark: SparkSession, catalogs: LocalCatalogs, monkeypatch: pytest.MonkeyPatch) -> Cmdm:
    monkeypatch.setitem(RULES, "valid_email", only(".org"))
    return Cmdm(spark, catalogs)


def test_the_day_of_a_delivery_is_in_the_name_of_its_file(spark: SparkSession) -> None:
    names = ["dbfs:/Volumes/r/cmdm/landing/customer_20250602.csv", "case_20250602.json", "customer_20250602_cut.csv", "case_20251399.json"]
    files = spark.range(1).select(F.explode(F.array(*map(F.lit, names))).alias("source_file")).select(delivered())
    assert [row[0] for row in files.collect()] == [date(2025, 6, 2), date(2025, 6, 2), None, None]


def test_a_backfill_that_broke_goes_on_where_it_stopped_and_ends_as_if_made_anew(cmdm: Cmdm, monkeypatch: pytest.MonkeyPatch) -> None:
    spark = cmdm.spark
    cmdm.deliver(*[row for rows in DAYS.values() for row in rows], run_id="days")
    start_history(spark, cmdm.catalogs).awaitTermination()
    assert cmdm.customers() == cmdm.customers(SCD2) == {"C1", "C3", "C4"}
    assert [run.rows_held for run in poor_runs(spark, cmdm.catalogs, {"cmdm": contract(SILVER)})] == [3]

    # The rule changes, bronze loses C3 for good, and a day cannot be written.
    monkeypatch.setitem(RULES, "valid_email", only(".net"))
    spark.sql(f"DELETE FROM {CATALOG}.cmdm.cmdm_bronze WHERE customer_id = 'C3'")
    spark.sql(f"ALTER TABLE {CATALOG}.{SILVER} ADD CONSTRAINT closed CHECK (customer_id <> 'C6')")
    with pytest.raises(BackfillIncomplete) as broke:
        cmdm.backfill("repair", run_id="one")
    said = r"cmdm: 1 of 2 days failed (2025-06-02), the others are done. Go on with --backfill=repair. 2025-06-02: "
    assert str(broke.value).startswith(said) and "closed" in str(broke.value)
    assert set(cmdm.progress("repair")) == {1}

    spark.sql(f"ALTER TABLE {CATALOG}.{SILVER} DROP CONSTRAINT closed")
    cmdm.backfill("repair", run_id="two")
    assert cmdm.said == ["2025-06-02: 4 rows delivered, 3 keys, 1 rows of silver changed"]
    assert {day: figures[0] for day, figures in cmdm.progress("repair").items()} == {1: 3, 2: 4}
    cmdm.backfill("repair")
    assert cmdm.said == []

    # By the new rule these rows are good, so the breaker no longer counts them against their run.
    assert [run.rows_held for run in poor_runs(spark, cmdm.catalogs, {"cmdm": contract(SILVER)})] == [1]
    # C2 and C6 came in, C3 and C4 went.
    assert cmdm.customers() == {"C1", "C2", "C6"}
    assert cmdm.held() == {"C4": "email: is of .net", "": "customer_id: is required"}
    released = table(spark, QUARANTINE).where("released_as = 'derived'").select("released_run_id").collect()
    assert sorted(row[0] for row in released) == ["one", "two"]
    start_history(spark, cmdm.catalogs).awaitTermination()
    done = cmdm.whole()
    assert done == made_anew(cmdm)
    cmdm.backfill("again", first=SECOND)
    assert {day: figures[3] for day, figures in cmdm.progress("again").items()} == {2: 0}
    assert cmdm.whole() == done

    # Back to the first rule: what a backfill had let go is held again, and what it held is let go.
    monkeypatch.setitem(RULES, "valid_email", only(".org"))
    cmdm.backfill("back", last=FIRST)
    assert cmdm.customers() == cmdm.customers(SCD2) == {"C1", "C4", "C6"}
    assert set(cmdm.held()) == {"C2", ""}


def made_anew(cmdm: Cmdm) -> dict[str, list[tuple[object, ...]]]:
    """Silver, history and versions as they follow from all of bronze at once, by the functions that the daily run is made of."""
    spark, tables = cmdm.spark, cmdm.tables
    assert tables.history is not None
    rows = ranked(prepared(table(spark, "cmdm.cmdm_bronze"), tables.bronze, tables.silver), tables.silver).localCheckpoint()
    history = version_rows(rows, tables.history, run_id="anew").localCheckpoint()
    made = {
        SILVER: written_rows(rows, tables.silver, run_id="anew"),
        HISTORY: history,
        SCD2: customer_versions(history).where("_keeps"),
    }
    return {name: plain(found.select(*declared_names(contract(name)))) for name, found in made.items()}


def test_what_came_meanwhile_what_was_repaired_and_what_bronze_no_longer_keeps_is_left_alone(cmdm: Cmdm) -> None:
    spark, tables = cmdm.spark, cmdm.tables
    broken = [change("OLD", 2, email="x@example.org"), change("C7", 2, change_type="UPSRT")]
    cmdm.deliver(change("OLD", 1), *DAYS[2][:1], *broken, run_id="days")
    # C7 is repaired by hand, of which bronze knows nothing; the first day is older than what bronze keeps.
    assert replay(spark, cmdm.catalogs, cmdm.tables, run_id="replay", corrections={"change_type": {"UPSRT": "UPSERT"}}).written == 1
    spark.sql(f"DELETE FROM {CATALOG}.cmdm.cmdm_bronze WHERE source_file LIKE '%20250601.csv'")
    judged = judge_day(spark, cmdm.catalogs, tables, SECOND)
    cmdm.deliver(change("C1", 3, first_name="Anne"), run_id="three")
    before = cmdm.whole(SILVER, HISTORY)
    # OLD has a row of silver from a file that bronze has no row of, and a broken one of the day.
    assert settle(judged, cmdm.catalogs, tables, run_id="late").rows_changed == 0
    assert cmdm.whole(SILVER, HISTORY) == before
    assert cmdm.customers() == {"C1", "C7", "OLD"}
    assert one(table(spark, SILVER).where("customer_id = 'C1'"))["first_name"] == "Anne"
    asked = Backfill(name="x", system="cmdm", first=FIRST, last=LAST)
    assert [(day.day.day, day.rows) for day in plan(spark, cmdm.catalogs, asked)] == [(2, 3), (3, 1)]
