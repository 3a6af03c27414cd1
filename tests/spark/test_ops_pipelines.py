"""A full refresh that stops half-way leaves what people read as it was."""

from __future__ import annotations

import pytest

from tests.spark.conftest import DataPlane
from tests.spark.pipelines_fixture import Pipeline

SOURCE = """
from pyspark.sql import SparkSession, functions as F
spark = SparkSession.active()

@dp.table(name="bronze")
@dp.expect_or_fail("positive", "id > 0")
def bronze():
    reader = spark.readStream.format("cloudFiles").option("cloudFiles.format", "json").schema("id INT")
    return reader.load(spark.conf.get("mt.volume") + "/in")

@dp.materialized_view
def gold():
    return spark.read.table("bronze").agg(F.count("*").alias("orders"))
"""


@pytest.fixture
def pipeline(plane: DataPlane) -> Pipeline:
    plane.land("in/1.json", '{"id":1}\n{"id":2}\n')
    return Pipeline(plane, SOURCE)


def test_a_full_refresh_that_stops_half_way_leaves_the_marts_of_before(pipeline: Pipeline) -> None:
    assert pipeline.update().outcome.succeeded
    assert pipeline.rows("gold", "orders", "1") == [("2",)]

    pipeline.source = SOURCE.replace("id > 0", "id > 1")
    stopped = pipeline.update(full_refresh=True)
    assert not stopped.outcome.succeeded
    assert stopped.flow("gold")["status"] == "SKIPPED"
    assert pipeline.rows("gold", "orders", "1") == [("2",)]

    # As docs/runbooks/the-pipeline.md says: an ordinary update goes on.
    pipeline.source = SOURCE
    pipeline.plane.land("in/2.json", '{"id":3}\n')
    again = pipeline.update()
    assert again.outcome.succeeded, again.outcome.error_trace
    assert pipeline.rows("gold", "orders", "1") == [("3",)]
