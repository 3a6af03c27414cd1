"""The marts in their tables: published by change, the same as if made anew, and held back where joins do not match."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from lakehouse import merge
from lakehouse.contracts import Column, contract
from lakehouse.gold.address import dim_address
from lakehouse.gold.changes import FEEDS
from lakehouse.gold.match_rates import matched_joins
from lakehouse.jobs.gold import start_marts
from lakehouse.mastering.explain import UnknownCustomer, explain
from lakehouse.silver.address_parts import parse
from tests.spark.found_tables import warehouse_of
from tests.spark.lakehouse_fixtures import LocalCatalogs, catalogs, spark, table

__all__ = ["catalogs", "spark"]
PUBLISHED = (
    "customer.customer_identity",
    "customer.customer_360",
    "customer.fact_service",
    "customer.customer_service_view",
    "customer.dim_address",
    "customer.dim_customer",
    "operations.case_metrics",
)
TABLES = (*PUBLISHED, "operations.match_rates", *(feed.dataset for feed in FEEDS.values()))
DONE = ("Updated", "Inserted", "Deleted")
# What a column has that a row leaves out and must have.
OF_NO_INTEREST = {"STRING": "x", "BOOLEAN": "false", "TIMESTAMP": "2025-06-01", "DATE": "2025-06-01"}


def put(spark: SparkSession, catalogs: LocalCatalogs, name: str, columns: str, *rows: str) -> None:
    """Upserts rows into a silver table; where it has none yet, appends them, which takes a fraction of a MERGE."""
    dataset = contract(name)
    given = spark.sql(f"SELECT * FROM VALUES {', '.join(f'({row})' for row in rows)} AS v({columns})")
    whole = given.withColumns(
        {
            column.name: F.col(column.name).cast(column.physical_type)
            if column.name in given.columns
            else F.lit(_of_no_interest(column)).cast(column.physical_type)
            for column in dataset.columns
        }
    )
    hashes = {f"{kind}_hash": F.sha2(kind, 256) for kind in ("email", "phone") if f"{kind}_hash" in whole.columns}
    rows, target = whole.withColumns(hashes), catalogs.table(dataset)
    if table(spark, name).isEmpty():
        rows.write.format("delta").mode("append").saveAsTable(target.dotted)
    else:
        merge.upsert(rows, target, dataset.key)


def _of_no_interest(column: Column) -> str | None:
    """A value that the table's own constraint lets in."""
    allowed = [value for rule in column.quality for value in rule.arguments.get("validValues", ())]
    return (str(allowed[0]) if allowed else OF_NO_INTEREST[column.physical_type]) if column.required else None


CUSTOMER = "customer_id, first_name, last_name, email, phone, amdm_addr_id, updated_ts, is_deleted"


def deliver(spark: SparkSession, catalogs: LocalCatalogs) -> None:
    """Ann with a contact that knows a newer e-mail; Bob twice in the master; services and cases of both; an account nobody holds."""
    put(
        spark,
        catalogs,
        "cmdm.customer_silver",
        CUSTOMER,
        "'c1', 'Ann', 'Lee', 'ann@x.au', '+61412000001', 'a1', '2025-06-02', false",
        "'c2', 'Bob', 'Ng', 'bob@x.au', NULL, 'a2', '2025-06-02', false",
        "'c3', 'Bob', 'Ng', 'bob@x.au', '+61412000003', 'a1', '2025-06-01', false",
    )
    put(
        spark,
        catalogs,
        "sfdc.contact_silver",
        "contact_id, customer_id, first_name, email, updated_ts",
        "'n1', 'c1', 'Anne', 'new@x.au', '2025-06-03'",
    )
    put(
        spark,
        catalogs,
        "amdm.address_silver",
        "amdm_addr_id, addr_line_1, addr_line_2, suburb, state, postcode, full_address, gcc_cd",
        "'a1', '1 GEORGE ST', 'UNIT 2', 'SYDNEY', 'NSW', '2000', 'one', '1GSYD'",
        "'a2', '2/1 GEORGE STREET', NULL, 'SYDNEY', 'NSW', '2000', 'two', '1RNSW'",
    )
    put(
        spark,
        catalogs,
        "jarvis.service_silver",
        "service_id, account_id, status",
        *["'s1', 'c1', 'ACTIVE'", "'s2', 'c2', 'ACTIVE'", "'s3', 'c3', 'CANCELLED'"],
    )
    put(
        spark,
        catalogs,
        "pega.case_silver",
        "case_id, customer_id, service_id, case_type, status, created_ts",
        *["'k1', 'c3', 's3', 'FAULT', 'OPEN', '2025-05-01'", "'k2', 'c2', 's3', 'FAULT', 'CLOSED', '2025-05-02'"],
    )


def publish(spark: SparkSession, catalogs: LocalCatalogs) -> None:
    start_marts(spark, catalogs, run_id="r").awaitTermination()


def rows(spark: SparkSession, name: str, key: str) -> dict[str, Row]:
    found = table(spark, name).collect()
    by_key = {str(row[key]): row for row in found}
    assert len(by_key) == len(found), name
    return by_key


def commits(spark: SparkSession, name: str) -> list[Path]:
    return sorted((warehouse_of(spark) / f"{name.replace('.', '.db/')}" / "_delta_log").glob("*.json"))


def versions(spark: SparkSession) -> dict[str, int]:
    """The number of commits of each published table."""
    return {name: len(commits(spark, name)) for name in PUBLISHED}


def written(spark: SparkSession, name: str, since: dict[str, int]) -> tuple[int, ...]:
    """Rows updated, inserted and deleted by the commits after the first `since`."""
    entries = [json.loads(line) for commit in commits(spark, name)[since[name] :] for line in commit.read_text().splitlines()]
    metrics = [entry["commitInfo"]["operationMetrics"] for entry in entries if "commitInfo" in entry]
    return tuple(sum(int(found[f"numTargetRows{what}"]) for found in metrics) for what in DONE)


def test_the_marts_follow_silver_change_by_change(spark: SparkSession, catalogs: LocalCatalogs) -> None:
    deliver(spark, catalogs)
    publish(spark, catalogs)
    assert_people_are_mastered(spark)
    assert_services_lead_to_people_and_addresses(spark)
    assert_explained(spark, catalogs)
    before = versions(spark)
    publish(spark, catalogs)
    assert versions(spark) == before, "a run without a change wrote something"

    put(spark, catalogs, "jarvis.service_silver", "service_id, account_id, status", "'s9', 'nobody', 'ACTIVE'")
    assert_held_back(spark, catalogs)
    assert versions(spark) == before

    change(spark, catalogs)
    publish(spark, catalogs)
    people = rows(spark, "customer.customer_360", "customer_id")
    alone = people["c3"]
    assert (alone["records"], alone["services_total"], alone["cases_total"], alone["full_address"]) == (["cmdm:c3"], 1, 1, "moved")
    assert people["c2"]["services_total"] == 1
    assert "c1" not in people
    gone = rows(spark, "customer.customer_service_view", "service_id")["s1"]
    assert (gone["customer_sk"], gone["email"], gone["account_id"]) == (None, None, "c1")
    assert rows(spark, "customer.fact_service", "service_id")["s9"]["customer_sk"] is not None
    assert written(spark, "customer.customer_360", before) == (1, 2, 1)
    assert written(spark, "customer.dim_customer", before) == (1, 1, 1)
    assert written(spark, "customer.dim_address", before) == (1, 0, 0)


def assert_people_are_mastered(spark: SparkSession) -> None:
    people = rows(spark, "customer.customer_360", "customer_id")
    ann, bob = people["c1"], people["c2"]
    assert (ann["email"], ann["email_from"], ann["email_reason"]) == ("new@x.au", "sfdc:n1", "recency")
    assert (ann["first_name"], ann["first_name_reason"], ann["full_address"]) == ("Ann", "source", "one")
    assert ann["records"] == ["cmdm:c1", "sfdc:n1"]
    assert bob["records"] == ["cmdm:c2", "cmdm:c3"]
    assert (bob["services_total"], bob["services_active"], bob["cases_total"], bob["cases_open"]) == (2, 1, 2, 1)
    assert (bob["phone"], bob["amdm_addr_id"], str(bob["last_case_ts"])) == ("+61412000003", "a2", "2025-05-02 00:00:00")


def assert_services_lead_to_people_and_addresses(spark: SparkSession) -> None:
    view = rows(spark, "customer.customer_service_view", "service_id")["s3"]
    assert (view["customer_id"], view["account_id"], view["phone"]) == ("c2", "c3", "+61412000003")
    assert (view["cases_total"], view["cases_open"]) == (2, 1)
    fact = rows(spark, "customer.fact_service", "service_id")["s3"]
    customers = rows(spark, "customer.dim_customer", "customer_id")
    assert len(customers) == 3
    assert fact["person_sk"] == view["customer_sk"] != fact["customer_sk"]
    assert fact["customer_sk"] == customers["c3"]["customer_sk"]
    addresses = rows(spark, "customer.dim_address", "amdm_addr_id")
    assert fact["address_sk"] == addresses["a2"]["address_sk"]
    assert addresses["a1"]["standard_hash"] == addresses["a2"]["standard_hash"]
    assert (addresses["a1"]["region"], addresses["a2"]["region"]) == ("GREATER_CAPITAL", "REST_OF_STATE")


def assert_explained(spark: SparkSession, catalogs: LocalCatalogs) -> None:
    told = explain(spark, catalogs, "n1", show_values=True)
    assert told == explain(spark, catalogs, "c1", show_values=True)
    assert "email: new@x.au from sfdc:n1 (recency)" in told and "  not ann@x.au from cmdm:c1: recency" in told
    assert any(line.startswith("  cmdm:c3 ") and line.endswith("same_email_and_name cmdm:c2") for line in explain(spark, catalogs, "c3"))
    with pytest.raises(UnknownCustomer, match=r"^c7 is no record of a living customer in spark_catalog\.customer\.customer_identity\."):
        explain(spark, catalogs, "c7")


def assert_held_back(spark: SparkSession, catalogs: LocalCatalogs) -> None:
    """A join below its objective: figures are kept, no mart is touched."""
    said = (
        r"jarvis_account_in_cmdm: 3 of 4 rows of jarvis\.service_silver\.account_id \(75\.00 %\) are in "
        r"cmdm\.customer_silver\.customer_id, the objective is 99\.00 %\. No mart was changed"
    )
    with pytest.raises(StreamingQueryException, match=said):
        publish(spark, catalogs)
    rates = {
        found["join_name"]: (found["match_pct"], found["meets_objective"]) for found in table(spark, "operations.match_rates").collect()
    }
    assert rates == {join.name: (100.0, True) for join in matched_joins()} | {"jarvis_account_in_cmdm": (75.0, False)}


def change(spark: SparkSession, catalogs: LocalCatalogs) -> None:
    """Bob's second record turns out to be another Bob, Ann leaves, nobody becomes somebody, an address is corrected."""
    put(
        spark,
        catalogs,
        "cmdm.customer_silver",
        CUSTOMER,
        "'c3', 'Bob', 'Ng', 'other@x.au', '+61412000003', 'a1', '2025-06-04', false",
        "'c1', 'Ann', 'Lee', 'ann@x.au', '+61412000001', 'a1', '2025-06-04', true",
        "'nobody', 'Cy', 'Po', 'cy@x.au', NULL, 'a1', '2025-06-02', false",
    )
    columns = "amdm_addr_id, addr_line_1, suburb, state, postcode, full_address"
    put(spark, catalogs, "amdm.address_silver", columns, "'a1', '9 HIGH ST', 'SYDNEY', 'NSW', '2000', 'moved'")


LINES = (
    *("1 George Street", "12a st georges tce.", "3/12-14 High St", "Shop 2, 9 Smith St E", "7 The Avenue", "7 Broadway"),
    *("PO Box 12", "George Street", "", "Unit 5 12 Old  South Head Rd", "U3/4 renée cl", "5 North Terrace", "1 - 3 Hay St W,"),
    *("Lot 4 Nowhere", "12 St", "12  ", "1\t2 x", "L2 5 The Esplanade North", "Flat 1 / 2 Way Way"),
)
SECOND = (None, "", "Unit 9", "Level 3", "c/- Smith", "4B", "apt. 7,")


def test_spark_takes_addresses_apart_as_plain_python_does(spark: SparkSession) -> None:
    pairs = [(first, second) for first in LINES for second in SECOND]
    given = json.dumps([{"addr_line_1": first, "addr_line_2": second} for first, second in pairs])
    rows = spark.range(1).select(F.inline(F.from_json(F.lit(given), "array<struct<addr_line_1: string, addr_line_2: string>>")))
    columns = [name for name in (c.name for c in contract("amdm.address_silver").columns) if name not in rows.columns]
    found = dim_address(
        rows.withColumns({name: F.lit(None).cast("string") for name in columns}).withColumn(
            "amdm_addr_id", F.to_json(F.struct(F.coalesce("addr_line_1", F.lit("")).alias("a"), "addr_line_2"))
        )
    )
    parts = ("unit", "street_number", "street_name", "street_type", "street_suffix", "parsed")
    by_spark = sorted([tuple(row[name] for name in parts) for row in found.collect()], key=repr)
    by_python = sorted([tuple(getattr(parse(*pair), name) for name in parts) for pair in pairs], key=repr)
    assert by_spark == by_python
