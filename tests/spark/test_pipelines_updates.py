"""Updates of declarative pipelines on the real data plane: expectations, streams, materialized views, refreshes."""

from __future__ import annotations

import re

import pytest

from tests.spark.conftest import DataPlane
from tests.spark.pipelines_fixture import Pipeline

MEDALLION = """
from pyspark.sql import SparkSession, functions as F
spark = SparkSession.active()

@dp.table(name="bronze")
def bronze():
    reader = spark.readStream.format("cloudFiles").option("cloudFiles.format", "json").schema("id INT, amount INT, kind STRING")
    return reader.load(spark.conf.get("mt.volume") + "/in")

@dp.temporary_view
@dp.expect("known_kind", "kind IN ('a', 'b')")
def named():
    return spark.readStream.table("bronze").where("id < 100")

@dp.table(comment="one row an order", partition_cols=["kind"])
@dp.expect("small", "amount < 50")
@dp.expect_or_drop("has_amount", "amount IS NOT NULL")
@dp.expect_all_or_fail({"positive_id": "id > 0"})
def silver():
    return spark.readStream.table("named")

@dp.materialized_view
@dp.expect_all({"seen": F.col("orders") > 0})
def gold():
    return spark.read.table("silver").groupBy("kind").agg(F.count("*").alias("orders"), F.sum("amount").alias("amount"))
"""


@pytest.fixture
def pipeline(plane: DataPlane) -> Pipeline:
    plane.land(
        "in/1.json",
        '{"id":1,"amount":10,"kind":"a"}\n{"id":2,"kind":"b"}\n{"id":3,"amount":70,"kind":"x"}\n{"id":100,"amount":1,"kind":"a"}\n',
    )
    return Pipeline(plane, MEDALLION)


def test_a_medallion_counts_drops_and_goes_on_where_it_stopped(pipeline: Pipeline) -> None:
    first = pipeline.update()
    assert first.outcome.succeeded, first.outcome.error_trace
    assert first.states == ["INITIALIZING", "SETTING_UP_TABLES", "RUNNING"]
    assert first.expectations("silver") == {"known_kind": (2, 1), "small": (1, 2), "has_amount": (2, 1), "positive_id": (3, 0)}
    assert first.flow("silver")["data_quality"]["dropped_records"] == 1
    assert first.flow("silver")["metrics"] == {"num_output_rows": 2}
    assert first.expectations("gold") == {"seen": (2, 0)}
    assert pipeline.rows("gold") == [("a", "1", "10"), ("x", "1", "70")]

    pipeline.plane.land("in/2.json", '{"id":4,"amount":5,"kind":"a"}\n')
    second = pipeline.update()
    assert second.outcome.succeeded, second.outcome.error_trace
    assert second.flow("bronze")["metrics"] == {"num_output_rows": 1}
    assert pipeline.rows("gold") == [("a", "2", "15"), ("x", "1", "70")]

    pipeline.plane.land("in/3.json", '{"id":-1,"amount":5,"kind":"a"}\n')
    third = pipeline.update()
    assert not third.outcome.succeeded
    assert "1 flow(s) failed" in third.outcome.error
    assert "EXPECTATION_VIOLATION" in third.error("silver") and "'positive_id'" in third.error("silver")
    assert '"id":-1' in third.error("silver")
    assert third.flow("gold")["status"] == "SKIPPED"
    assert pipeline.rows("silver", "count(*)", "1") == [("3",)]

    pipeline.source = MEDALLION.replace("id > 0", "id > -9")
    again = pipeline.update(full_refresh_selection=["silver"], refresh_selection=["gold"])
    assert again.outcome.succeeded, again.outcome.error_trace
    assert "RESETTING" in again.states
    assert again.flow("bronze")["status"] == "EXCLUDED"
    assert again.expectations("silver")["positive_id"] == (5, 0)
    assert pipeline.rows("gold") == [("a", "3", "20"), ("x", "1", "70")]


def test_validation_plans_everything_and_writes_nothing(pipeline: Pipeline) -> None:
    checked = pipeline.update(validate_only=True)
    assert checked.outcome.succeeded, checked.outcome.error_trace
    assert checked.states == ["INITIALIZING"]
    defined = {each["origin"]["dataset_name"].rpartition(".")[2] for each in checked.events if each["event_type"] == "dataset_definition"}
    assert defined == {"bronze", "named", "silver", "gold"}
    assert pipeline.plane.sql("alice", "SHOW TABLES IN {s}") == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "@dp.table\ndef t(): return spark.range(3)",
            r"BATCH_RELATION_FOR_STREAMING_TABLE\] flow \S+\.t reads a batch into the streaming table",
        ),
        (
            "@dp.materialized_view\ndef a(): return spark.read.table('b')\n@dp.materialized_view\ndef b(): return spark.read.table('a')",
            r"datasets read each other in a circle: \S+\.a -> \S+\.b -> \S+\.a",
        ),
        ("@dp.materialized_view\n@dp.expect('e', 'nope > 0')\ndef m(): return spark.range(3)", "`nope` cannot be resolved"),
        (
            "@dp.materialized_view\ndef a(): return spark.range(3)\n@dp.materialized_view\ndef b(): return spark.sql('SELECT * FROM a')",
            r"does not support spark\.sql over a, a dataset of the pipeline itself; use spark\.read\.table\('a'\)",
        ),
        ("@dp.materialized_view(schema='id STRING')\ndef m(): return spark.range(3)", "does not fit its query: id is bigint"),
    ],
)
def test_a_source_that_cannot_be_planned_fails_by_name_and_makes_nothing(plane: DataPlane, source: str, said: str) -> None:
    refused = Pipeline(plane, source).update()
    assert not refused.outcome.succeeded
    assert re.search(said, refused.outcome.error), refused.outcome.error
    assert plane.sql("alice", "SHOW TABLES IN {s}") == []


def test_a_table_of_somebody_else_is_left_alone(plane: DataPlane) -> None:
    plane.sql("alice", "CREATE TABLE {s}.m AS SELECT 1 AS id")
    refused = Pipeline(plane, "@dp.materialized_view\ndef m(): return spark.range(3)").update()
    assert not refused.outcome.succeeded
    assert "exists already and is no table of a pipeline; drop it or give the dataset another name" in refused.outcome.error
    assert plane.sql("alice", "SELECT * FROM {s}.m") == [("1",)]
