"""customer_360: the living people behind the customers, each with its surviving values and all that it has with us."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import contract
from lakehouse.gold.cases import OPEN
from lakehouse.gold.surrogate import surrogate_key
from lakehouse.schema import column_names

_ADDRESS = ("full_address", "suburb", "state", "postcode", "gcc_cd", "mesh_block_id")


def customer_360(people: DataFrame, accounts: DataFrame, addresses: DataFrame, services: DataFrame, cases: DataFrame) -> DataFrame:
    """`people` are survivors; `accounts` says which person (`customer_id`) an `account_id`, a customer of CMDM, is."""
    held = (
        services.join(accounts, "account_id")
        .groupBy("customer_id")
        .agg(F.count("*").alias("services_total"), F.count_if(F.col("status") == "ACTIVE").alias("services_active"))
    )
    raised = (
        cases.withColumnRenamed("customer_id", "account_id")
        .join(accounts, "account_id")
        .groupBy("customer_id")
        .agg(
            F.count("*").alias("cases_total"),
            F.count_if(F.col("status").isin(*OPEN)).alias("cases_open"),
            F.max("created_ts").alias("last_case_ts"),
        )
    )
    joined = (
        people.join(addresses.select("amdm_addr_id", *_ADDRESS), "amdm_addr_id", "left")
        .join(held, "customer_id", "left")
        .join(raised, "customer_id", "left")
    )
    counts = ("services_total", "services_active", "cases_total", "cases_open")
    return joined.withColumns(
        {"customer_sk": surrogate_key("customer_id"), **{name: F.coalesce(F.col(name), F.lit(0)) for name in counts}}
    ).select(*column_names(contract("customer.customer_360")))
