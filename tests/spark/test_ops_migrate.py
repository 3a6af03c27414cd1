"""A contract that asks more of rows than the one before: its migration repairs them first, and no table is ever without its CHECK."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse import ddl
from lakehouse.contracts import contract
from lakehouse.jobs.migrate import ContractNotKept, migrate
from lakehouse.migration import Migration
from tests.spark.lakehouse_fixtures import LocalCatalogs, catalogs, spark, table
from tests.spark.ops_rows import append

__all__ = ["catalogs", "spark"]
PLACE = "jarvis.service_silver"
REPAIR = Migration(
    file="0001_no_service_is_suspended.sql",
    statements=("UPDATE {curated}.jarvis.service_silver SET status = 'CANCELLED' WHERE status = 'SUSPENDED'",),
)


class Killed(BaseException):
    """The process of the job ended here."""


def test_a_stricter_contract_comes_with_the_migration_that_repairs_its_rows_wherever_the_job_is_killed(
    spark: SparkSession, catalogs: LocalCatalogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    silver = contract(PLACE)
    status = silver.column("status")
    rule = replace(status.quality[0], arguments={"validValues": ["ACTIVE", "PENDING", "CANCELLED"]})
    columns = tuple(replace(status, quality=(rule,)) if column.name == "status" else column for column in silver.columns)
    stricter = replace(silver, version="9.0.0", columns=columns)
    service = {"service_id": "SV1", "account_id": "CU1", "start_dt": "2024-01-31", "updated_ts": "2025-06-01T00:00:00Z", "_row_hash": "h"}
    times = {"_ingest_ts": "2025-06-01T00:00:00Z", "_processed_ts": "2025-06-01T00:00:00Z", "_source_file": "f", "_run_id": "r"}
    append(spark, catalogs, silver, {**service, **times, "status": "SUSPENDED"})
    monkeypatch.setattr("lakehouse.jobs.migrate.load_contracts", lambda: (stricter,))

    def properties() -> Mapping[str, str]:
        return {row["key"]: row["value"] for row in spark.sql(f"SHOW TBLPROPERTIES {PLACE}").collect()}

    before = properties()
    with pytest.raises(
        ContractNotKept,
        match=r"service_silver: 1 rows break a rule that contract 9\.0\.0 has and the table had not; it keeps its CHECK and its version of "
        r"before\. Fix: a migration that repairs these rows \(sql/migrations/README\.md\); they break .*status.*CANCELLED",
    ):
        migrate(spark, catalogs, migrations=())
    assert properties() == before

    asked: list[str] = []
    allowed: list[int] = []
    sql = type(spark).sql

    def recording(session: SparkSession, query: str, *arguments: object, **named: object) -> DataFrame:
        if query.startswith(("ALTER", "UPDATE", "INSERT")):
            if len(asked) == allowed[-1]:
                raise Killed(query)
            asked.append(query)
        return sql(session, query, *arguments, **named)  # type: ignore[arg-type]

    # Statements that a run gets to, and the one before which it is killed. A statement without its record is carried out again.
    for statements, killed_before in ((0, "UPDATE"), (1, "INSERT"), (2, "ADD CONSTRAINT"), (1, "DROP CONSTRAINT"), (1, "TBLPROPERTIES")):
        asked.clear()
        allowed.append(statements)
        with monkeypatch.context() as patch:
            patch.setattr(type(spark), "sql", recording)
            with pytest.raises(Killed, match=killed_before):
                migrate(spark, catalogs, migrations=(REPAIR,))
        found = properties()
        assert ddl.checks(found), f"before {killed_before} the table has no CHECK"
        assert found["contract.version"] == before["contract.version"], f"before {killed_before} the version is that of before"
    assert migrate(spark, catalogs, migrations=(REPAIR,)) == [f"altered   spark_catalog.{PLACE}: contract.version = 9.0.0"]
    found = properties()
    assert (found["contract.version"], len(ddl.checks(found))) == ("9.0.0", 1)
    assert "SUSPENDED" not in next(iter(ddl.checks(found).values()))
    assert [row["status"] for row in table(spark, PLACE).collect()] == ["CANCELLED"]
    assert migrate(spark, catalogs, migrations=(REPAIR,)) == [f"unchanged spark_catalog.{PLACE}"]
