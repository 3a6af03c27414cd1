"""The migrate job: tables follow their contracts, migrations run once, in order, and go on where they stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pyspark.sql import SparkSession

from lakehouse import ddl
from lakehouse.contracts import contract
from lakehouse.jobs.migrate import ContractChanged, migrate, run_migrations
from lakehouse.migration import Migration, MigrationError, read
from lakehouse.names import TableName
from tests.spark.lakehouse_fixtures import LocalCatalogs, catalogs, spark, table

__all__ = ["catalogs", "spark"]
FIRST = ("0001_rename_owner.sql", "UPDATE {raw}.platform.notes SET owner = 'crm' WHERE owner = 'sales';")
SECOND = (
    "0002_two_steps.sql",
    "DELETE FROM {raw}.platform.notes WHERE owner = 'nobody'; UPDATE {raw}.platform.missing SET owner = 'x' WHERE true;",
)


@pytest.fixture
def notes(spark: SparkSession, catalogs: LocalCatalogs) -> LocalCatalogs:
    """A table that migrations may change."""
    spark.sql("CREATE TABLE platform.notes (owner STRING) USING DELTA")
    spark.sql("INSERT INTO platform.notes VALUES ('sales'), ('nobody'), ('legal')")
    return catalogs


def owners(spark: SparkSession) -> list[str]:
    return sorted(row["owner"] for row in table(spark, "platform.notes").collect())


def applied(spark: SparkSession) -> list[tuple[str, int, int, str]]:
    rows = table(spark, "platform.applied_migrations").orderBy("migration", "position").collect()
    return [(row["migration"], row["position"], row["statements"], row["run_id"]) for row in rows]


def run(spark: SparkSession, catalogs: LocalCatalogs, *files: tuple[str, str], run_id: str = "7") -> list[str]:
    return list(run_migrations(spark, catalogs, read(files), run_id=run_id))


def test_migrations_run_once_and_a_failed_one_goes_on_where_it_stopped(spark: SparkSession, notes: LocalCatalogs) -> None:
    with pytest.raises(Exception, match="TABLE_OR_VIEW_NOT_FOUND.*missing"):
        run(spark, notes, SECOND, FIRST)
    assert owners(spark) == ["crm", "legal"]
    assert applied(spark) == [("0001_rename_owner.sql", 1, 1, "7"), ("0002_two_steps.sql", 1, 2, "7")]

    # The statement that failed is mended; what ran before it does not run again, or the new nobody would go, too.
    spark.sql("INSERT INTO platform.notes VALUES ('nobody')")
    mended = (SECOND[0], SECOND[1].replace("missing SET owner = 'x' WHERE true", "notes SET owner = 'law' WHERE owner = 'legal'"))
    assert run(spark, notes, FIRST, mended, run_id="8") == ["migrated  0002_two_steps.sql: statement 2 of 2"]
    assert owners(spark) == ["crm", "law", "nobody"]
    assert applied(spark)[-1] == ("0002_two_steps.sql", 2, 2, "8")

    assert run(spark, notes, FIRST, mended) == []
    with pytest.raises(MigrationError, match=r"0001_rename_owner\.sql: statement 1 has run and reads differently now\. Fix: restore it"):
        run(spark, notes, (FIRST[0], FIRST[1].replace("'crm'", "'service'")), mended)
    assert owners(spark) == ["crm", "law", "nobody"]


def test_a_table_follows_its_contract_to_a_new_version(
    spark: SparkSession,
    catalogs: LocalCatalogs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silver = contract("jarvis.service_silver")
    place = "jarvis.service_silver"
    kept = _properties(spark, place)
    assert (kept["contract.version"], kept["contract.owner"], kept["contract.key"]) == (silver.version, silver.owner, "service_id")

    status = silver.column("status")
    rule = replace(status.quality[0], arguments={"validValues": ["ACTIVE", "PENDING", "SUSPENDED", "CANCELLED", "PORTED"]})
    changed = {
        "status": replace(status, quality=(rule,), description="What the service is"),
        "account_id": replace(silver.column("account_id"), required=False),
    }
    columns = [changed.get(column.name, column) for column in silver.columns]
    newer = replace(silver, version="1.1.0", columns=(*columns, replace(silver.column("plan_cd"), name="plan_name", description="Plan")))
    monkeypatch.setattr("lakehouse.jobs.migrate.load_contracts", lambda: (newer,))

    assert migrate(spark, catalogs, migrations=()) == [
        "altered   spark_catalog.jarvis.service_silver: added plan_name, account_id may be null, comment of status, "
        "constraint, contract.version = 1.1.0"
    ]
    assert migrate(spark, catalogs, migrations=()) == ["unchanged spark_catalog.jarvis.service_silver"]
    fields = {field.name: field for field in table(spark, place).schema.fields}
    assert fields["status"].metadata["comment"] == "What the service is"
    assert fields["account_id"].nullable
    ((name, condition),) = ddl.checks(_properties(spark, place)).items()
    assert (name, "PORTED" in condition) == ("contract_2", True)


def test_delta_refuses_what_no_contract_allows_even_from_a_job_that_forgot_quarantine(
    spark: SparkSession,
    catalogs: LocalCatalogs,
) -> None:
    columns = "(service_id, account_id, status, start_dt, updated_ts, _row_hash)"
    values = "VALUES ('1', 'c', '{status}', DATE'2025-01-01', TIMESTAMP'2025-01-01 00:00:00', 'h')"
    insert = f"INSERT INTO jarvis.service_silver {columns} {values}"
    with pytest.raises(Exception, match=r"CHECK constraint contract .*violated by row with values"):
        spark.sql(insert.format(status="LIVE"))
    spark.sql(insert.format(status="ACTIVE"))
    assert table(spark, "jarvis.service_silver").count() == 1


def test_a_migration_may_retype_a_column_and_nothing_else_may(
    spark: SparkSession,
    catalogs: LocalCatalogs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chunks = contract("knowledge.document_chunks")
    position = replace(chunks.column("position"), physical_type="BIGINT")
    wider = replace(chunks, version="1.1.0", columns=tuple(position if c.name == "position" else c for c in chunks.columns))
    monkeypatch.setattr("lakehouse.jobs.migrate.load_contracts", lambda: (wider,))
    with pytest.raises(ContractChanged, match=r"document_chunks\.position is int, contract 1\.1\.0 says BIGINT; .*write a migration"):
        migrate(spark, catalogs, migrations=())
    widen = Migration(
        file="0001_long_documents.sql",
        statements=(
            "ALTER TABLE {ai}.knowledge.document_chunks SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')",
            "ALTER TABLE {ai}.knowledge.document_chunks ALTER COLUMN position TYPE BIGINT",
        ),
    )
    assert migrate(spark, catalogs, migrations=(widen,))[1:] == [
        "migrated  0001_long_documents.sql: statement 1 of 2",
        "migrated  0001_long_documents.sql: statement 2 of 2",
    ]
    assert dict(table(spark, "knowledge.document_chunks").dtypes)["position"] == "bigint"


def test_an_existing_table_gets_the_constraint_that_its_contract_has_now(
    spark: SparkSession,
    catalogs: LocalCatalogs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silver = contract("pega.case_silver")
    place = TableName(catalog="spark_catalog", schema="pega", table="case_silver")
    spark.sql(ddl.drop_check(place))
    monkeypatch.setattr("lakehouse.jobs.migrate.load_contracts", lambda: (silver,))
    assert migrate(spark, catalogs, migrations=()) == ["altered   spark_catalog.pega.case_silver: constraint"]
    assert "IN_PROGRESS" in ddl.checks(_properties(spark, "pega.case_silver"))["contract"]


def _properties(spark: SparkSession, name: str) -> dict[str, str]:
    return {row["key"]: row["value"] for row in spark.sql(f"SHOW TBLPROPERTIES {name}").collect()}
