"""Silver: typed, standardised changes that keep their contract, then today's services and every version of a customer."""

from __future__ import annotations

from expectations import must_hold, must_never_break, should_hold
from pyspark import pipelines as dp
from pyspark.sql import DataFrame, SparkSession
from settings import places

from lakehouse.contracts import Kind, of_system
from lakehouse.schema import declared_names
from lakehouse.silver.outcome import prepared

spark = SparkSession.active()
at = places(spark)

CUSTOMER, SERVICE = (of_system(system, Kind.SILVER) for system in ("cmdm", "jarvis"))


def events(system: str, source: str, table: str) -> None:
    """The rows of a bronze table that keep the silver contract, in its columns."""
    bronze, silver = of_system(system, Kind.BRONZE), of_system(system, Kind.SILVER)

    @dp.temporary_view(name=f"{table}_judged")
    @dp.expect_all_or_fail(must_never_break(silver))
    @dp.expect_all(should_hold(silver))
    @dp.expect_all_or_drop(must_hold(silver))
    def judged() -> DataFrame:
        return prepared(spark.readStream.table(at.bronze(source)), bronze, silver)

    @dp.table(name=at.silver(table), comment=f"Changes of {silver.name}, in the order they came")
    def kept() -> DataFrame:
        return spark.readStream.table(f"{table}_judged").select(*declared_names(silver))


events("cmdm", "customer_changes", "customer_events")
events("jarvis", "service_changes", "service_events")

dp.create_streaming_table(at.silver("service_current"), comment="Services, latest state, one row a service")
dp.create_auto_cdc_flow(
    target=at.silver("service_current"),
    source=at.silver("service_events"),
    keys=list(SERVICE.key),
    sequence_by=str(SERVICE.sequence),
    stored_as_scd_type=1,
)

dp.create_streaming_table(at.silver("customer_versions"), comment="Every version of every customer; a deletion ends the last one")
dp.create_auto_cdc_flow(
    target=at.silver("customer_versions"),
    source=at.silver("customer_events"),
    keys=list(CUSTOMER.key),
    sequence_by=str(CUSTOMER.sequence),
    apply_as_deletes="is_deleted",
    except_column_list=["is_deleted", "change_type"],
    stored_as_scd_type=2,
    track_history_except_column_list=[str(CUSTOMER.sequence)],
)
