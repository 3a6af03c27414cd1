"""Days of data through the jobs the stack exports."""

from __future__ import annotations

from local_estate.day.run import StepResult
from tests.estate.conftest import Deployed
from tests.estate.image import Image


def test_shared_and_dev_deploy_from_nothing_and_every_step_of_day_one_succeeds(freshly_made: Image) -> None:
    assert [result.result for result in freshly_made.steps] == ["SUCCESS"] * len(freshly_made.steps)
    jobs = {result.step.job for result in freshly_made.steps}
    assert jobs == {"migrate", "bronze_autoloader", "silver_standardize", "gold_marts", "quality_kpis"}


REPLAY = """
import json, sys
from pyspark.sql import SparkSession
from lakehouse.contracts import Kind, of_system
from lakehouse.ddl import create_table
from lakehouse.ingest.bronze import bronze_rows, landing_stream
from lakehouse.names import TableName
raw, told = sys.argv[1], {}
spark = SparkSession.builder.getOrCreate()
for system in ("cmdm", "pega"):
    bronze = of_system(system, Kind.BRONZE)
    again = TableName(catalog=raw, schema="platform", table=f"replayed_{system}")
    spark.sql(create_table(bronze, again))
    rows = bronze_rows(landing_stream(spark, bronze, f"/Volumes/{raw}/{system}/landing/"), bronze, run_id="replay")
    writer = rows.writeStream.option("checkpointLocation", f"/Volumes/{raw}/platform/checkpoints/replayed_{system}")
    writer.trigger(availableNow=True).toTable(again.dotted).awaitTermination()
    # When and by which run a row was taken in is what may differ.
    first, second = (spark.read.table(name).drop("ingest_ts", "run_id") for name in (f"{raw}.{system}.{system}_bronze", again.dotted))
    told[system] = [second.count(), first.exceptAll(second).count(), second.exceptAll(first).count()]
    spark.sql(f"DROP TABLE {again}")
print("TOLD " + json.dumps(told))
"""


def test_bronze_taken_in_again_from_landing_is_the_same_table(deployed: Deployed, day_one: list[StepResult]) -> None:
    assert day_one
    before = deployed.counts()
    # From anybody else bronze hides what landing shows.
    engineer = deployed.member("sp-test-replay", "data_engineering", "pii_readers")
    told = deployed.told(engineer, deployed.submit(engineer, REPLAY, "dev_ep_raw", wheel=True))
    assert told == {system: [before[f"dev_ep_raw.{system}.{system}_bronze"], 0, 0] for system in ("cmdm", "pega")}
