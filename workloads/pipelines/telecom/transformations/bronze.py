"""Bronze: the landing files of customers and services as they came, each file once."""

from __future__ import annotations

from expectations import must_hold
from pyspark import pipelines as dp
from pyspark.sql import DataFrame, SparkSession
from settings import RUN_ID, places

from lakehouse.contracts import Kind, of_system
from lakehouse.ingest.bronze import bronze_rows, landing_stream
from lakehouse.quality.rules import ERRORS
from lakehouse.silver.outcome import prepared
from lakehouse.silver.typed import PAYLOAD

spark = SparkSession.active()
at = places(spark)

REJECTED = at.bronze("rejected_rows")
dp.create_streaming_table(REJECTED, comment="Rows that the silver tables dropped, each with every reason")


def bronze(system: str, table: str) -> None:
    """One table of a system's landing files, and the flow of its unfit rows into the shared table of rejected ones."""
    contract, silver = of_system(system, Kind.BRONZE), of_system(system, Kind.SILVER)

    @dp.table(name=at.bronze(table), comment=contract.description)
    def rows() -> DataFrame:
        return bronze_rows(landing_stream(spark, contract, at.landing(system)), contract, run_id=RUN_ID)

    @dp.append_flow(target=REJECTED, name=f"rejected_{table}")
    def rejected() -> DataFrame:
        judged = prepared(spark.readStream.table(at.bronze(table)), contract, silver)
        unfit = judged.where(" OR ".join(f"NOT ({condition})" for condition in must_hold(silver).values()))
        return unfit.selectExpr(
            f"'{silver.name}' AS dataset", f"{PAYLOAD} AS payload", f"{ERRORS} AS errors", "_source_file AS source_file"
        )


bronze("cmdm", "customer_changes")
bronze("jarvis", "service_changes")
