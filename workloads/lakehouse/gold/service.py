"""fact_service and customer_service_view: services at service grain, for joins and for reading."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import contract
from lakehouse.gold.cases import OPEN
from lakehouse.gold.surrogate import reference
from lakehouse.schema import column_names


def fact_service(services: DataFrame, accounts: DataFrame, people: DataFrame, addresses: DataFrame) -> DataFrame:
    """Services by surrogate keys. `accounts` says which person (`customer_id`) an `account_id` is, `people` are rows of customer_360,
    `addresses` of AMDM: an id that AMDM has not delivered leads nowhere, so it gives no key."""
    known_addresses = addresses.select("amdm_addr_id", F.col("amdm_addr_id").alias("_address"))
    held = people.select("customer_id", "amdm_addr_id").join(known_addresses, "amdm_addr_id", "left").drop("amdm_addr_id")
    joined = services.join(accounts, "account_id", "left").join(held, "customer_id", "left")
    known = F.when(F.col("customer_id").isNotNull(), F.col("account_id"))
    return joined.withColumns(
        {
            "customer_sk": reference("customer_id", known),
            "person_sk": reference("customer_id", F.col("customer_id")),
            "address_sk": reference("amdm_addr_id", F.col("_address")),
            "active_services": (F.col("status") == "ACTIVE").cast("bigint"),
        }
    ).select(*column_names(contract("customer.fact_service")))


def customer_service_view(services: DataFrame, accounts: DataFrame, people: DataFrame, cases: DataFrame) -> DataFrame:
    """Services with who holds them and where, and the cases about them."""
    about = (
        cases.where("service_id IS NOT NULL")
        .groupBy("service_id")
        .agg(F.count("*").alias("cases_total"), F.count_if(F.col("status").isin(*OPEN)).alias("cases_open"))
    )
    columns = column_names(contract("customer.customer_service_view"))
    own = {*services.columns, "customer_id", "cases_total", "cases_open"}
    holders = people.select("customer_id", *[name for name in columns if name not in own])
    joined = services.join(accounts, "account_id", "left").join(holders, "customer_id", "left").join(about, "service_id", "left")
    return joined.withColumns({name: F.coalesce(name, F.lit(0)) for name in ("cases_total", "cases_open")}).select(*columns)
