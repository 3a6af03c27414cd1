"""dim_customer: the customers of today at customer grain. What a customer has many of comes as counts, never as rows."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import contract
from lakehouse.gold.cases import OPEN
from lakehouse.gold.surrogate import surrogate_key
from lakehouse.schema import column_names

_ADDRESS = ("full_address", "suburb", "state", "postcode", "gcc_cd", "mesh_block_id")


def dim_customer(customers: DataFrame, addresses: DataFrame, services: DataFrame, cases: DataFrame, contacts: DataFrame) -> DataFrame:
    """One row for each customer that is not deleted, in the columns of the contract, whatever else matches or does not.

    Address by AMDM id, services by account_id, cases and contacts by customer_id.
    """
    living = customers.where(~F.col("is_deleted")).drop("is_deleted")
    held = services.groupBy(F.col("account_id").alias("customer_id")).agg(
        F.count("*").alias("services_total"), F.count_if(F.col("status") == "ACTIVE").alias("services_active")
    )
    raised = cases.groupBy("customer_id").agg(
        F.count("*").alias("cases_total"), F.count_if(F.col("status").isin(*OPEN)).alias("cases_open")
    )
    # The smallest id where several contacts name a customer: any would do, but it must be the same one each time.
    linked = contacts.where("customer_id IS NOT NULL").groupBy("customer_id").agg(F.min("contact_id").alias("linked_contact_id"))
    joined = (
        living.join(addresses.select("amdm_addr_id", *_ADDRESS), "amdm_addr_id", "left")
        .join(held, "customer_id", "left")
        .join(raised, "customer_id", "left")
        .join(linked, "customer_id", "left")
    )
    counts = ("services_total", "services_active", "cases_total", "cases_open")
    return joined.withColumns(
        {
            "customer_sk": surrogate_key("customer_id"),
            "sfdc_contact_id": F.coalesce("sfdc_contact_id", "linked_contact_id"),
            **{name: F.coalesce(F.col(name), F.lit(0)) for name in counts},
        }
    ).select(*column_names(contract("customer.dim_customer")))
