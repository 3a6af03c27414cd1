"""What changed in silver since the marts were last published, from the change feeds of its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import contract
from lakehouse.names import Catalogs
from lakehouse.schema import declared_names

Silver = Mapping[str, DataFrame]

CMDM, SFDC, JARVIS, PEGA, AMDM = "cmdm", "sfdc", "jarvis", "pega", "amdm"


@dataclass(frozen=True, kw_only=True)
class Feed:
    """A silver table that marts are made of: its key, and the columns that say which customer and which service a row speaks of."""

    dataset: str
    key: str
    customer: str | None = None
    service: str | None = None


FEEDS: Mapping[str, Feed] = {
    CMDM: Feed(dataset="cmdm.customer_silver", key="customer_id", customer="customer_id"),
    SFDC: Feed(dataset="sfdc.contact_silver", key="contact_id", customer="customer_id"),
    JARVIS: Feed(dataset="jarvis.service_silver", key="service_id", customer="account_id", service="service_id"),
    PEGA: Feed(dataset="pega.case_silver", key="case_id", customer="customer_id", service="service_id"),
    AMDM: Feed(dataset="amdm.address_silver", key="amdm_addr_id"),
}


def changes(spark: SparkSession, catalogs: Catalogs) -> DataFrame:
    """A stream of `system, key, customer_id, service_id`: a row for each row of silver that came, changed (as it was and as it is) or went.

    Its first run has every row. Other columns are not read.
    """
    reader = spark.readStream.option("readChangeFeed", "true")
    return _together({system: reader.table(catalogs.table(contract(feed.dataset)).dotted) for system, feed in FEEDS.items()})


def everything(tables: Silver) -> DataFrame:
    """The same for all of silver as it is."""
    return _together(tables)


def silver(spark: SparkSession, catalogs: Catalogs) -> Silver:
    """The silver tables by system, without the platform's columns."""
    datasets = {system: contract(feed.dataset) for system, feed in FEEDS.items()}
    return {system: spark.read.table(catalogs.table(item).dotted).select(*declared_names(item)) for system, item in datasets.items()}


def _together(tables: Mapping[str, DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionAll, [_keys(rows, system) for system, rows in tables.items()])


def _keys(rows: DataFrame, system: str) -> DataFrame:
    feed = FEEDS[system]
    columns = {"key": feed.key, "customer_id": feed.customer, "service_id": feed.service}
    return rows.select(
        F.lit(system).alias("system"),
        *[(F.col(column) if column else F.lit(None).cast("string")).alias(name) for name, column in columns.items()],
    )


def keys_of(changed: DataFrame, system: str, name: str = "key") -> DataFrame:
    """The keys of one system's changed rows, once, in a column `name`."""
    return changed.where(F.col("system") == system).select(F.col("key").alias(name)).distinct()


def touched_customers(changed: DataFrame, customers: DataFrame) -> DataFrame:
    """`customer_id` of every customer that a changed row speaks of, a changed address included."""
    spoken_of = changed.where("customer_id IS NOT NULL").select("customer_id")
    moved = customers.join(keys_of(changed, AMDM, "amdm_addr_id"), "amdm_addr_id", "left_semi").select("customer_id")
    return spoken_of.unionAll(moved).distinct()
