"""Two versions of a table compared: what came, went and changed, by column, whatever the keys are like."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse import ddl
from lakehouse.contracts import contract
from lakehouse.jobs import reconcile as job
from lakehouse.operations.reconcile import Difference, newest_version, reconcile
from tests.spark.lakehouse_fixtures import CATALOG, LocalCatalogs, spark

__all__ = ["spark"]
SILVER, BRONZE = contract("cmdm.customer_silver"), contract("cmdm.cmdm_bronze")
NAMED = [f"--{layer}_catalog={CATALOG}" for layer in ("raw", "curated", "marts", "ai")]


@pytest.fixture
def catalogs(spark: SparkSession, tmp_path: Path) -> Iterator[LocalCatalogs]:
    spark.sql("DROP SCHEMA IF EXISTS cmdm CASCADE")
    spark.sql("CREATE SCHEMA cmdm")
    yield LocalCatalogs(raw=CATALOG, curated=CATALOG, marts=CATALOG, ai=CATALOG, folder=tmp_path)
    spark.sql("DROP SCHEMA cmdm CASCADE")


def customer(key: str, phone: str = "NULL", at: str = "2025-06-01", run: str = "one") -> str:
    return f"('{key}', {phone}, false, 'UPSERT', TIMESTAMP '{at}', 'hash', array('w'), '{run}')"


def put(spark: SparkSession, *rows: str) -> None:
    columns = "customer_id, phone, is_deleted, change_type, updated_ts, _row_hash, _warnings, _run_id"
    spark.sql(f"INSERT INTO {CATALOG}.cmdm.customer_silver ({columns}) VALUES {', '.join(rows)}")


def test_rows_are_counted_by_key_and_values_by_column(
    spark: SparkSession, catalogs: LocalCatalogs, capsys: pytest.CaptureFixture[str]
) -> None:
    table = catalogs.table(SILVER)
    # As a release made it that had no e-mail yet.
    young = replace(SILVER, columns=tuple(column for column in SILVER.columns if column.name != "email"))
    spark.sql(ddl.create_table(young, table))
    put(spark, customer("C1", "'1'"), customer("C2"), customer("C3"), customer("C4", "'4'"))
    before = newest_version(spark, table)
    spark.sql(ddl.add_columns(table, [SILVER.column("email")]))
    spark.sql(f"UPDATE {table} SET phone = NULL, email = 'c1@example.com' WHERE customer_id = 'C1'")
    spark.sql(f"UPDATE {table} SET _run_id = 'two' WHERE customer_id = 'C3'")
    spark.sql(f"DELETE FROM {table} WHERE customer_id = 'C2'")
    # The same but for a microsecond, then a new one.
    spark.sql(f"UPDATE {table} SET updated_ts = updated_ts + INTERVAL 0.000001 SECOND WHERE customer_id = 'C4'")
    put(spark, customer("C5"), customer("C6"))
    after = newest_version(spark, table)

    found = reconcile(spark, SILVER, table, before, after)
    assert (found.rows_before, found.rows_after, found.added, found.removed, found.changed, found.repeated) == (4, 5, 2, 1, 2, 0)
    assert {name: count for name, count in found.columns.items() if count} == {"phone": 1, "email": 1, "updated_ts": 1}
    assert found.percent == 100.0
    everything = reconcile(spark, SILVER, table, before, after, everything=True)
    assert (everything.changed, everything.columns["_run_id"], everything.columns["_warnings"]) == (3, 1, 0)
    assert reconcile(spark, SILVER, table, after, before).added == 1
    assert reconcile(spark, SILVER, table, after, after).rows == 0

    arguments = [*NAMED, "--table=cmdm.customer_silver", f"--from_version={before}", "--to_version="]
    with pytest.raises(SystemExit) as ended:
        job.main([*arguments, "--tolerance_pct=99.9"])
    assert ended.value.code == f"reconcile: 5 rows of {table.dotted} differ, 100 %; 99.9 % may"
    assert capsys.readouterr().out.splitlines() == [
        f"{table.dotted}: version {before} (4 rows) against {after} (5 rows)",
        "2 added, 1 removed, 2 changed (100 % of the rows)",
        *("  email: differs in 1", "  phone: differs in 1", "  updated_ts: differs in 1"),
    ]
    job.main([*arguments, "--tolerance_pct=100", "--json=true"])
    told = json.loads(capsys.readouterr().out)
    assert (told["added"], told["differing_pct"], told["columns"]["email"], told["to_version"]) == (2, 100.0, 1, after)
    with pytest.raises(Exception, match=rf"Cannot time travel Delta table to version {after + 9}"):
        reconcile(spark, SILVER, table, before, after + 9)


def test_a_key_that_repeats_multiplies_nothing_and_hides_nothing(spark: SparkSession, catalogs: LocalCatalogs) -> None:
    table = catalogs.table(SILVER)
    spark.sql(ddl.create_table(SILVER, table))
    put(spark, customer("C1", "'1'"), customer("C1", "'2'"), customer("C2"))
    before = newest_version(spark, table)
    # The smallest row of C1 stays, another changes, a third comes.
    spark.sql(f"UPDATE {table} SET phone = '3' WHERE phone = '2'")
    put(spark, customer("C1", "'4'"))
    found = reconcile(spark, SILVER, table, before, newest_version(spark, table))
    assert (found.added, found.removed, found.changed, found.repeated, found.columns["phone"]) == (1, 0, 1, 5, 1)


def test_a_table_without_a_key_is_a_bag_of_rows(spark: SparkSession, catalogs: LocalCatalogs) -> None:
    table = catalogs.table(BRONZE)
    spark.sql(ddl.create_table(BRONZE, table))

    def versions(*statements: str) -> Difference:
        before = newest_version(spark, table)
        for statement in statements:
            spark.sql(statement)
        return reconcile(spark, BRONZE, table, before, newest_version(spark, table))

    insert = f"INSERT INTO {table} (customer_id, phone) VALUES "
    assert versions(insert + "('C1', '1'), ('C1', '1'), ('C2', NULL)").added == 3
    found = versions(insert + "('C1', '1')", f"UPDATE {table} SET phone = '2' WHERE customer_id = 'C2'")
    assert (found.added, found.removed, found.changed, found.repeated, dict(found.columns)) == (2, 1, 0, 5, {})
    assert versions(f"DELETE FROM {table}").removed == 4
