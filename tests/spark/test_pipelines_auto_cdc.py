"""AUTO CDC: events in any order, twice, with deletions, into today's rows and into every version."""

from __future__ import annotations

import json

from tests.spark.conftest import DataPlane
from tests.spark.pipelines_fixture import Pipeline

SOURCE = """
from pyspark.sql import SparkSession, functions as F
spark = SparkSession.active()

@dp.table
@dp.expect_or_drop("sequenced", "seq IS NOT NULL")
def changes():
    schema = "id STRING, name STRING, tier STRING, op STRING, seq INT"
    reader = spark.readStream.format("cloudFiles").option("cloudFiles.format", "json").schema(schema)
    return reader.load(spark.conf.get("mt.volume") + "/in")

dp.create_streaming_table("today", expect_all={"named": "name IS NOT NULL"})
dp.create_auto_cdc_flow(
    target="today", source="changes", keys=["id"], sequence_by="seq", apply_as_deletes="op = 'D'", except_column_list=["op", "seq"]
)

dp.create_streaming_table("history")
dp.create_auto_cdc_flow(
    target="history", source="changes", keys=["id"], sequence_by=F.col("seq"), apply_as_deletes=F.expr("op = 'D'"),
    except_column_list=["op", "seq"], stored_as_scd_type=2, track_history_except_column_list=["tier"],
)
"""


def land(plane: DataPlane, name: str, *rows: tuple[str, str | None, str, str, int | None]) -> None:
    keys = ("id", "name", "tier", "op", "seq")
    plane.land(f"in/{name}.json", "".join(json.dumps(dict(zip(keys, row, strict=True))) + "\n" for row in rows))


def test_late_repeated_and_deleting_events_land_where_they_belong(plane: DataPlane) -> None:
    pipeline = Pipeline(plane, SOURCE)
    land(
        plane, "1", ("a", "Ann", "gold", "U", 10), ("a", "Anna", "gold", "U", 30), ("b", "Bob", "tin", "U", 10), ("b", None, "tin", "D", 20)
    )
    land(plane, "2", ("z", "Zed", "tin", "U", None))
    first = pipeline.update()
    assert first.outcome.succeeded, first.outcome.error_trace
    assert first.expectations("changes") == {"sequenced": (4, 1)}
    assert first.expectations("today") == {"named": (3, 1)}
    assert first.flow("today")["metrics"] == {"num_upserted_rows": 1, "num_deleted_rows": 0}
    assert pipeline.rows("today") == [("a", "Anna", "gold")]
    assert pipeline.rows("history") == [
        ("a", "Ann", "gold", "10", "30"),
        ("a", "Anna", "gold", "30", None),
        ("b", "Bob", "tin", "10", "20"),
    ]

    # Between neighbours, before a deletion, after it, an exact repetition, and one that changes an untracked column only.
    land(
        plane,
        "3",
        ("a", "Annie", "gold", "U", 20),
        ("b", "Bobby", "tin", "U", 15),
        ("a", "Anna", "gold", "U", 30),
        ("a", "Anna", "silver", "U", 40),
    )
    second = pipeline.update()
    assert second.outcome.succeeded, second.outcome.error_trace
    assert pipeline.rows("today") == [("a", "Anna", "silver")]
    assert pipeline.rows("history", order="1, 4") == [
        ("a", "Ann", "gold", "10", "20"),
        ("a", "Annie", "gold", "20", "30"),
        ("a", "Anna", "silver", "30", None),
        ("b", "Bob", "tin", "10", "15"),
        ("b", "Bobby", "tin", "15", "20"),
    ]

    land(plane, "4", ("b", "Rob", "tin", "U", 25), ("a", None, "silver", "D", 50), ("a", "Anne", "gold", "U", 35))
    third = pipeline.update()
    assert third.outcome.succeeded, third.outcome.error_trace
    assert third.flow("today")["metrics"] == {"num_upserted_rows": 1, "num_deleted_rows": 1}
    incremental = pipeline.rows("history", order="1, 4")
    assert incremental[2:5] == [("a", "Anna", "gold", "30", "35"), ("a", "Anne", "gold", "35", "40"), ("a", "Anna", "silver", "40", "50")]
    assert incremental[-1] == ("b", "Rob", "tin", "25", None)
    assert pipeline.rows("today") == [("b", "Rob", "tin")]

    again = pipeline.update(full_refresh=True)
    assert again.outcome.succeeded, again.outcome.error_trace
    assert pipeline.rows("today") == [("b", "Rob", "tin")]
    assert pipeline.rows("history", order="1, 4") == incremental
