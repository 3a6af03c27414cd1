"""History against a model of it in plain Python: generated stories, arriving in any order, always end in the same versions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import contract
from lakehouse.gold.scd2 import customer_versions, forget_versions, write_versions
from lakehouse.gold.surrogate import surrogate_key
from lakehouse.names import TableName
from lakehouse.schema import column_names
from tests.spark.lakehouse_fixtures import LocalCatalogs, catalogs, plain, spark

__all__ = ["catalogs", "spark"]
DAY = datetime(2025, 6, 1)
END = datetime(9999, 12, 31)
SCD2 = contract("customer.dim_customer_scd2")
HISTORY = contract("cmdm.customer_history")
# An example is several MERGEs over many customers: one of many, for smaller ones tell no more, and a failure is not shrunk.
BATCHED = settings(
    max_examples=1,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
    ],
)


@dataclass(frozen=True, kw_only=True)
class Change:
    """A row of customer_history, and the delivery it arrives with."""

    customer_id: str
    day: int
    row_hash: str
    first_name: str | None
    phone: str | None
    is_deleted: bool
    delivery: int = 0

    @property
    def at(self) -> datetime:
        return DAY + timedelta(days=self.day)

    @property
    def tracked(self) -> tuple[object, ...]:
        return (self.first_name, self.phone, self.is_deleted)


Version = tuple[object, ...]


def modelled(changes: Sequence[Change]) -> list[Version]:
    """`(customer, from, to, current, deleted, first name, phone)` of one customer's versions."""
    of_moment: dict[int, Change] = {}
    for change in changes:
        best = of_moment.get(change.day)
        if best is None or change.row_hash > best.row_hash:
            of_moment[change.day] = change
    told: list[Change] = []
    for day in sorted(of_moment):
        if not told or told[-1].tracked != of_moment[day].tracked:
            told.append(of_moment[day])
    ends = [change.at for change in told[1:]] + [END]
    return [
        (one.customer_id, one.at, end, end == END, one.is_deleted, one.first_name, one.phone) for one, end in zip(told, ends, strict=True)
    ]


def stories(customers: int = 60, deliveries: int = 3) -> st.SearchStrategy[list[Change]]:
    """The changes of many customers, each with the delivery it comes in. Days and values are few, so that ties and repeats abound."""
    some = st.none() | st.sampled_from(["a", "b"])
    change = st.tuples(st.integers(0, 5), some, some, st.sampled_from([False, False, True]), st.integers(0, deliveries - 1))
    of_customer = st.lists(change, min_size=1, max_size=7)

    def told(drawn: list[list[tuple[int, str | None, str | None, bool, int]]]) -> list[Change]:
        return [
            Change(
                customer_id=f"C{customer}",
                day=day,
                # Of the content, as in silver, but so that neither time nor delivery decides which is greater.
                row_hash=f"{(hash_of := (position * 7 + customer) % 10)}{hash_of}-{position}",
                first_name=first,
                phone=phone,
                is_deleted=deleted,
                delivery=delivery,
            )
            for customer, rows in enumerate(drawn)
            for position, (day, first, phone, deleted, delivery) in enumerate(rows)
        ]

    return st.lists(of_customer, min_size=customers, max_size=customers).map(told)


def history(spark: SparkSession, changes: Sequence[Change]) -> DataFrame:
    """Changes as rows of customer_history, made without Python workers."""
    rows = [{**asdict(change), "updated_ts": change.at.isoformat(), "_row_hash": change.row_hash} for change in changes]
    columns = [column for column in HISTORY.columns if column.name != "is_deleted"]
    shape = ", ".join([*(f"`{column.name}`: {column.physical_type}" for column in columns), "is_deleted: boolean"])
    return spark.range(1).select(F.inline(F.from_json(F.lit(json.dumps(rows)), f"array<struct<{shape}>>")))


def versions_of(rows: DataFrame) -> list[Version]:
    names = ("customer_id", "effective_from", "effective_to", "is_current", "is_deleted", "first_name", "phone")
    return sorted((tuple(row[name] for name in names) for row in rows.select(*names).collect()), key=repr)


def expected(changes: Sequence[Change]) -> list[Version]:
    customers = {change.customer_id for change in changes}
    return sorted(
        (version for one in customers for version in modelled([change for change in changes if change.customer_id == one])), key=repr
    )


@pytest.fixture
def target(catalogs: LocalCatalogs) -> TableName:
    """The history table, empty."""
    return catalogs.table(SCD2)


def publish(spark: SparkSession, arrived: Sequence[Change], new: Sequence[Change], target: TableName) -> None:
    """What the job does with a delivery: all of history of the customers it speaks of, computed anew."""
    speaks_of = {change.customer_id for change in new}
    write_versions(customer_versions(history(spark, [change for change in arrived if change.customer_id in speaks_of])), target)


@BATCHED
@given(stories())
def test_deliveries_in_any_order_end_in_the_versions_of_the_model(spark: SparkSession, target: TableName, changes: list[Change]) -> None:
    # The first that hypothesis tries is a change a customer, where no order can be wrong.
    assume(len(changes) > 2 * len({change.customer_id for change in changes}))
    for delivery in range(3):
        new = [change for change in changes if change.delivery == delivery]
        arrived = [change for change in changes if change.delivery <= delivery]
        if new:
            publish(spark, arrived, new, target)
            assert versions_of(spark.read.table(target.dotted)) == expected(arrived)
    table = spark.read.table(target.dotted)
    whole = plain(table)
    shuffled = customer_versions(history(spark, sorted(changes, key=lambda change: (change.row_hash, change.day))))
    # Keys and hashes too are a function of the history alone.
    assert plain(shuffled.where("_keeps").select(*column_names(SCD2))) == whole
    write_versions(shuffled, target)
    assert plain(table) == whole
    keys = table.select("customer_sk", surrogate_key("customer_id").alias("of_id"), "customer_version_sk")
    assert keys.where("customer_sk <> of_id").isEmpty()
    assert keys.select("customer_version_sk").distinct().count() == len(whole)


def test_a_customer_who_comes_back_after_a_deletion_is_current_again(spark: SparkSession) -> None:
    told = [
        Change(customer_id="C", day=day, row_hash=str(day), first_name="a", phone="1", is_deleted=deleted)
        for day, deleted in ((0, False), (1, True), (2, False))
    ]
    found = versions_of(customer_versions(history(spark, told)).where("_keeps"))
    assert [(version[2], version[3], version[4]) for version in found] == [
        (DAY + timedelta(days=1), False, False),
        (DAY + timedelta(days=2), False, True),
        (END, True, False),
    ]


def test_what_history_takes_back_leaves_no_version(spark: SparkSession, target: TableName) -> None:
    told = [
        Change(customer_id=customer, day=day, row_hash=str(day), first_name="a", phone=str(day), is_deleted=False)
        for customer in ("C", "D", "E")
        for day in range(3)
    ]
    write_versions(customer_versions(history(spark, told)), target)
    # C keeps its first and last change, D none; nobody speaks of E.
    left = [change for change in told if (change.customer_id, change.day) in {("C", 0), ("C", 2)}]
    versions = customer_versions(history(spark, left))
    touched = spark.sql("SELECT * FROM VALUES ('C'), ('D') AS c(customer_id)")
    forget_versions(versions, touched, target)
    write_versions(versions, target)
    assert versions_of(spark.read.table(target.dotted)) == expected([*left, *(c for c in told if c.customer_id == "E")])
