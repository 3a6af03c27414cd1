"""Publishes the marts: customer dimension, customer history, case metrics."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from lakehouse import merge
from lakehouse.contracts import contract
from lakehouse.gold.cases import case_metrics
from lakehouse.gold.customer import dim_customer
from lakehouse.gold.scd2 import customer_versions, write_versions
from lakehouse.jobs.parameters import parse
from lakehouse.jobs.session import session
from lakehouse.jobs.streams import progress
from lakehouse.names import Catalogs
from lakehouse.schema import column_names


def main() -> None:
    parameters = parse("gold")
    spark = session()
    catalogs = parameters.catalogs
    history = start_history(spark, catalogs)
    publish_customers(spark, catalogs)
    publish_case_metrics(spark, catalogs)
    history.awaitTermination()
    grown = progress(history)
    for name, what in (
        ("customer.dim_customer", "synchronised with silver"),
        ("operations.case_metrics", "synchronised with silver"),
        ("customer.dim_customer_scd2", f"brought to {grown} new versions" if grown else "no new versions"),
    ):
        print(f"{catalogs.table(contract(name)).dotted}: {what}")


def publish_customers(spark: SparkSession, catalogs: Catalogs) -> None:
    """dim_customer equals what silver says now; unchanged rows are not rewritten."""
    silver = ("cmdm.customer_silver", "amdm.address_silver", "jarvis.service_silver", "pega.case_silver", "sfdc.contact_silver")
    customers, addresses, services, cases, contacts = (_read(spark, catalogs, name) for name in silver)
    _synchronise(dim_customer(customers, addresses, services, cases, contacts), "customer.dim_customer", catalogs)


def publish_case_metrics(spark: SparkSession, catalogs: Catalogs) -> None:
    _synchronise(case_metrics(_read(spark, catalogs, "pega.case_silver")), "operations.case_metrics", catalogs)


def start_history(spark: SparkSession, catalogs: Catalogs) -> StreamingQuery:
    """Starts the stream that recomputes the versions of the customers whose history grew since the last run."""
    source = catalogs.table(contract("cmdm.customer_history"))
    dataset = contract("customer.dim_customer_scd2")

    def write(batch: DataFrame, _: int) -> None:
        whole = batch.sparkSession.read.table(source.dotted)
        touched = whole.join(batch.select("customer_id").distinct(), "customer_id", "left_semi")
        write_versions(customer_versions(touched), catalogs.table(dataset))

    stream = spark.readStream.table(source.dotted).writeStream.foreachBatch(write)
    return stream.option("checkpointLocation", catalogs.checkpoint(dataset)).trigger(availableNow=True).start()


def _read(spark: SparkSession, catalogs: Catalogs, name: str) -> DataFrame:
    return spark.read.table(catalogs.table(contract(name)).dotted)


def _synchronise(rows: DataFrame, name: str, catalogs: Catalogs) -> None:
    dataset = contract(name)
    merge.synchronise(rows, catalogs.table(dataset), dataset.key, differs=merge.any_differs(column_names(dataset)))


if __name__ == "__main__":
    main()
