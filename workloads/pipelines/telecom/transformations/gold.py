"""Gold: services and who holds them, by kind and status. No row speaks of a person."""

from __future__ import annotations

from pyspark import pipelines as dp
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from settings import places

spark = SparkSession.active()
at = places(spark)


@dp.materialized_view(name=at.gold("services_by_status"), comment="Services, their accounts, and how many of those are customers of CMDM")
@dp.expect_or_fail("some_services", "services > 0")
@dp.expect("every_account_known", "accounts = accounts_known")
def services_by_status() -> DataFrame:
    services = spark.read.table(at.silver("service_current"))
    current = spark.read.table(at.silver("customer_versions")).where("__END_AT IS NULL").select(F.col("customer_id").alias("known"))
    joined = services.join(current, services.account_id == current.known, "left")
    return joined.groupBy("service_type", "status").agg(
        F.count("*").alias("services"),
        F.count_distinct("account_id").alias("accounts"),
        F.count_distinct("known").alias("accounts_known"),
    )
