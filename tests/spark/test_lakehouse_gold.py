"""The marts as functions of silver."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import contract
from lakehouse.gold.cases import case_metrics
from lakehouse.gold.customer import dim_customer
from lakehouse.gold.scd2 import customer_versions, write_versions
from lakehouse.names import TableName
from lakehouse.rag.chunks import CHUNK_CHARACTERS, OVERLAP_CHARACTERS, chunks, readable
from lakehouse.schema import column_names
from tests.spark.lakehouse_fixtures import LocalCatalogs, catalogs, one, plain, spark, table

__all__ = ["catalogs", "spark"]
Version = tuple[str, str, str, bool]


def history(spark: SparkSession, versions: Iterable[Version]) -> DataFrame:
    """`(customer, day of June, phone, deleted)` as rows of customer_history."""
    values = ", ".join(
        f"('{customer}', TIMESTAMP '2025-06-{day} 00:00:00', '{phone}', {deleted})" for customer, day, phone, deleted in versions
    )
    rows = spark.sql(f"SELECT * FROM VALUES {values} AS v(customer_id, updated_ts, phone, is_deleted)")
    hashed = rows.withColumn("_row_hash", F.sha2(F.to_json(F.struct("*")), 256))
    names = [name for name in column_names(contract("cmdm.customer_history")) if name not in hashed.columns]
    return hashed.withColumns({name: F.lit(None).cast("string") for name in names})


def shown(versions: DataFrame) -> list[tuple[object, ...]]:
    """`(customer, phone, from, to, current)`, days only."""
    return plain(
        versions.select(
            "customer_id", "phone", F.date_format("effective_from", "dd"), F.date_format("effective_to", "yyyy-MM-dd"), "is_current"
        )
    )


STORY: list[Version] = [("c", "01", "a", False), ("c", "05", "b", False), ("c", "09", "c", False), ("d", "03", "x", False)]
TOLD = [
    ("c", "a", "01", "2025-06-05", False),
    ("c", "b", "05", "2025-06-09", False),
    ("c", "c", "09", "9999-12-31", True),
    ("d", "x", "03", "9999-12-31", True),
]


def test_versions_are_contiguous_with_one_current_row_a_customer(spark: SparkSession) -> None:
    found = customer_versions(history(spark, STORY))
    assert shown(found) == TOLD
    assert found.where("NOT _keeps").count() == 0


def test_a_version_that_changes_nothing_is_none(spark: SparkSession) -> None:
    found = customer_versions(history(spark, [*STORY, ("c", "07", "b", False)]))
    assert shown(found.where("_keeps")) == TOLD


def test_a_value_that_comes_back_is_a_version_again(spark: SparkSession) -> None:
    found = customer_versions(history(spark, [("c", "01", "a", False), ("c", "02", "b", False), ("c", "03", "a", False)]))
    assert [(row[2], row[1]) for row in sorted(shown(found), key=lambda row: str(row[2]))] == [("01", "a"), ("02", "b"), ("03", "a")]


def test_values_that_only_trade_places_are_a_change(spark: SparkSession) -> None:
    first = history(spark, [("c", "01", "a", False)]).withColumns({"first_name": F.lit("a"), "last_name": F.lit(None).cast("string")})
    second = history(spark, [("c", "02", "a", False)]).withColumns({"first_name": F.lit(None).cast("string"), "last_name": F.lit("a")})
    assert customer_versions(first.unionByName(second)).where("_keeps").count() == 2


def test_a_deletion_closes_the_version_before_it(spark: SparkSession) -> None:
    found = customer_versions(history(spark, [("c", "01", "a", False), ("c", "02", "a", True)]))
    assert plain(found.select("is_deleted", "is_current", F.date_format("effective_to", "yyyy"))) == [
        (False, False, "2025"),
        (True, True, "9999"),
    ]


def test_two_versions_of_one_moment_leave_one_row_whatever_their_order(spark: SparkSession) -> None:
    both: list[Version] = [("c", "01", "a", False), ("c", "01", "b", False)]
    assert shown(customer_versions(history(spark, both))) == shown(customer_versions(history(spark, reversed(both))))
    assert customer_versions(history(spark, both)).count() == 1


@pytest.fixture
def target(catalogs: LocalCatalogs) -> TableName:
    """The history table, empty."""
    return catalogs.table(contract("customer.dim_customer_scd2"))


def test_a_late_change_lands_between_its_neighbours_in_whatever_order_rows_arrive(spark: SparkSession, target: TableName) -> None:
    # A customer an order of arrival, all of them in the same three deliveries.
    orders = {f"c{number}": order for number, order in enumerate(itertools.permutations(STORY[:3]))}
    for number in range(1, 4):
        arrived = [(customer, *version[1:]) for customer, order in orders.items() for version in order[:number]]
        write_versions(customer_versions(history(spark, arrived)), target)
    assert shown(table(spark, "customer.dim_customer_scd2")) == [(customer, *told[1:]) for customer in orders for told in TOLD[:3]]


def test_a_late_row_that_makes_its_follower_a_repetition_takes_that_version_away_and_a_rerun_changes_nothing(
    spark: SparkSession, target: TableName
) -> None:
    write_versions(customer_versions(history(spark, [("c", "01", "a", False), ("c", "05", "b", False)])), target)
    late = customer_versions(history(spark, [("c", "01", "a", False), ("c", "03", "b", False), ("c", "05", "b", False)]))
    for _ in range(2):
        write_versions(late, target)
        assert shown(table(spark, "customer.dim_customer_scd2")) == [
            ("c", "a", "01", "2025-06-03", False),
            ("c", "b", "03", "9999-12-31", True),
        ]
    last = one(spark.sql(f"DESCRIBE HISTORY {target} LIMIT 1"))
    assert last["operation"] == "MERGE"
    # Delta may write a file anew with the rows that it has; none of them changes.
    changed = ("numTargetRowsInserted", "numTargetRowsUpdated", "numTargetRowsDeleted")
    assert {name: last["operationMetrics"].get(name, "0") for name in changed} == dict.fromkeys(changed, "0")


def silver(spark: SparkSession, name: str, rows: str) -> DataFrame:
    """`rows` is `SELECT …` with the columns that matter; the others are null."""
    dataset = contract(name)
    given = spark.sql(rows)
    return given.withColumns({c.name: F.lit(None).cast(c.physical_type) for c in dataset.columns if c.name not in given.columns})


def test_dim_customer_stays_at_customer_grain_and_its_key_survives_a_new_email(spark: SparkSession) -> None:
    services = "SELECT * FROM VALUES ('s1', 'c', 'ACTIVE'), ('s2', 'c', 'CANCELLED') AS s(service_id, account_id, status)"
    cases = "SELECT * FROM VALUES ('k1', 'c', 'OPEN'), ('k2', 'c', 'CLOSED'), ('k3', 'c', 'OPEN') AS k(case_id, customer_id, status)"

    def dimension(email: str) -> DataFrame:
        people = f"""SELECT *, 'A' amdm_addr_id, current_timestamp() updated_ts
                     FROM VALUES ('c', '{email}', false), ('gone', 'x', true) AS c(customer_id, email, is_deleted)"""
        return dim_customer(
            silver(spark, "cmdm.customer_silver", people),
            silver(spark, "amdm.address_silver", "SELECT 'A' amdm_addr_id, '1 X ST' full_address"),
            silver(spark, "jarvis.service_silver", services),
            silver(spark, "pega.case_silver", cases),
            silver(spark, "sfdc.contact_silver", "SELECT * FROM VALUES ('n2', 'c'), ('n1', 'c') AS n(contact_id, customer_id)"),
        )

    row = one(dimension("a@example.com"))
    assert (row["full_address"], row["services_total"], row["services_active"], row["cases_total"], row["cases_open"]) == (
        "1 X ST",
        2,
        1,
        3,
        2,
    )
    assert row["sfdc_contact_id"] == "n1"
    assert one(dimension("b@example.com"))["customer_sk"] == row["customer_sk"]


def test_case_metrics_count_breaches_of_closed_and_open_cases_by_the_data_s_own_time(spark: SparkSession) -> None:
    cases = silver(
        spark,
        "pega.case_silver",
        """SELECT id case_id, 'FAULT' case_type, status, CAST(done AS TIMESTAMP) resolved_ts, CAST(due AS TIMESTAMP) sla_due_ts,
                  minutes handle_time_minutes, reopened reopen_count, CAST(at AS TIMESTAMP) updated_ts
           FROM VALUES ('1', 'CLOSED', '2025-06-01', '2025-06-02', 10, 0, '2025-06-01'),
                       ('2', 'CLOSED', '2025-06-03', '2025-06-02', 20, 1, '2025-06-03'),
                       ('3', 'CLOSED', '2025-06-03', NULL, NULL, NULL, '2025-06-03'),
                       ('4', 'OPEN', NULL, '2025-06-04', NULL, 0, '2025-06-05')
                AS c(id, status, done, due, minutes, reopened, at)""",
    )
    found = {row["status"]: row for row in case_metrics(cases).collect()}
    closed, opened = found["CLOSED"], found["OPEN"]
    assert (closed["cases"], closed["cases_with_sla"], closed["sla_breached"], closed["sla_breach_pct"]) == (3, 2, 1, 50.0)
    assert (closed["avg_handle_time_minutes"], closed["cases_reopened"]) == (15.0, 1)
    assert (opened["sla_breached"], opened["avg_handle_time_minutes"]) == (1, None)


def test_chunks_cover_the_text_with_stable_ids_and_leave_out_what_is_no_text(spark: SparkSession) -> None:
    text = "".join(chr(97 + number % 26) for number in range(3000))
    documents = spark.sql(
        f"""SELECT concat('dbfs:/Volumes/a/knowledge/documents/', name) path, current_timestamp() modificationTime, content
            FROM VALUES ('pega/guide.md', CAST('{text}' AS BINARY)), ('short.txt', CAST('hi' AS BINARY)), ('bad.txt', X'FF00'),
                        ('x.pdf', CAST('x' AS BINARY)) AS d(name, content)"""
    )
    root = "/Volumes/a/knowledge/documents/"
    found = chunks(readable(documents), root).orderBy("domain", "position").collect()
    assert [(row["domain"], row["position"]) for row in found] == [("general", 0), ("pega", 0), ("pega", 1), ("pega", 2)]
    whole = found[1]["chunk"] + "".join(row["chunk"][OVERLAP_CHARACTERS:] for row in found[2:])
    assert whole == text and all(len(row["chunk"]) <= CHUNK_CHARACTERS for row in found)
    assert [row["chunk_id"] for row in chunks(readable(documents), root).orderBy("domain", "position").collect()] == [
        row["chunk_id"] for row in found
    ]


def test_no_document_gives_no_chunk(spark: SparkSession) -> None:
    nothing = spark.sql("SELECT '' path, current_timestamp() modificationTime, X'' content WHERE false")
    assert chunks(readable(nothing), "/Volumes/a/knowledge/documents/").count() == 0
