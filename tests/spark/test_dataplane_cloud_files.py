"""Auto Loader as Databricks describes it: nothing is lost, new columns stop a stream once."""

from __future__ import annotations

import json

from tests.spark.conftest import DataPlane

LOAD = """
import sys, json
from pyspark.sql import SparkSession, functions as F
spark = SparkSession.builder.getOrCreate()
options = json.loads(sys.argv[1])
reader = spark.readStream.format("cloudFiles")
for key, value in options.items():
    reader = reader.option(key, value)
if len(sys.argv) > 2:
    reader = reader.schema(sys.argv[2])
frame = reader.load(f"{V}/in").withColumn("_file", F.col("_metadata.file_path"))
(frame.writeStream.option("checkpointLocation", f"{V}/check").option("mergeSchema", True).trigger(availableNow=True)
 .toTable(f"{S}.out").awaitTermination())
"""


def _options(plane: DataPlane, **more: str) -> str:
    asked = {name.replace("__", "."): value for name, value in more.items()}
    return json.dumps({"cloudFiles.format": "csv", "header": "true", "cloudFiles.schemaLocation": f"{plane.volume}/schema", **asked})


def test_what_does_not_fit_is_rescued_with_the_path_of_its_file(plane: DataPlane) -> None:
    plane.land("in/a.csv", "id,city\n1,Perth\nx,Hobart\n3,Darwin,extra\n")
    plane.land("in/b.csv", "city,id,note\nSydney,4,hello\n")
    plane.succeed("alice", LOAD, _options(plane, rescuedDataColumn="_rescued_data"), "id INT, city STRING")
    rows = plane.sql("alice", "SELECT id, city, _rescued_data, _file FROM {s}.out ORDER BY city")
    a, b = (f"dbfs:{plane.volume}/in/{name}.csv" for name in "ab")
    assert [(row[0], row[1], row[2] and json.loads(row[2]), row[3]) for row in rows] == [
        ("3", "Darwin", {"_c2": "extra", "_file_path": a}, a),
        (None, "Hobart", {"id": "x", "_file_path": a}, a),
        ("1", "Perth", None, a),
        ("4", "Sydney", {"note": "hello", "_file_path": b}, b),
    ]


def test_a_new_column_fails_the_stream_once_and_is_there_after_a_restart(plane: DataPlane) -> None:
    plane.land("in/a.csv", "id,city\n1,Perth\n")
    plane.succeed("alice", LOAD, _options(plane, cloudFiles__inferColumnTypes="true"))
    plane.land("in/b.csv", "id,city,score\n2,Hobart,7\n")
    outcome, _ = plane.run("alice", LOAD, _options(plane, cloudFiles__inferColumnTypes="true"))
    assert not outcome.succeeded
    assert "UNKNOWN_FIELD_EXCEPTION" in outcome.error, outcome.error
    assert "score" in outcome.error
    plane.succeed("alice", LOAD, _options(plane, cloudFiles__inferColumnTypes="true"))
    result = plane.result("alice", "SELECT id, city, score, _rescued_data FROM {s}.out ORDER BY id")
    assert result.rows == (("1", "Perth", None, None), ("2", "Hobart", "7", None))
    assert [column.type_name for column in result.columns] == ["LONG", "STRING", "LONG", "STRING"]


def test_mode_rescue_keeps_the_schema_and_hints_fix_types(plane: DataPlane) -> None:
    plane.land("in/a.csv", "id,price\n1,2.50\n")
    options = _options(plane, cloudFiles__schemaEvolutionMode="rescue", cloudFiles__schemaHints="price DECIMAL(8,2), id INT")
    plane.succeed("alice", LOAD, options)
    plane.land("in/b.csv", "id,price,new\n2,cheap,yes\n")
    plane.succeed("alice", LOAD, options)
    rows = plane.sql("alice", "SELECT id, price, _rescued_data FROM {s}.out ORDER BY id")
    assert rows[0] == ("1", "2.50", None)
    assert rows[1][:2] == ("2", None)
    assert json.loads(rows[1][2] or "") == {"price": "cheap", "new": "yes", "_file_path": f"dbfs:{plane.volume}/in/b.csv"}


def test_json_mismatches_and_broken_lines_are_rescued(plane: DataPlane) -> None:
    deep = "[" * 100_000
    lines = ['{"id": 1, "at": "2026-01-31T10:00:00Z", "tags": ["x"]}', '{"id": "two", "who": {"name": "Ann"}}', '{"id": 3,', deep]
    plane.land("in/a.json", "\n".join(lines) + "\n")
    options = json.dumps({"cloudFiles.format": "json", "rescuedDataColumn": "_rescued_data"})
    plane.succeed("alice", LOAD, options, "id BIGINT, at TIMESTAMP, tags ARRAY<STRING>")
    rows = plane.sql("alice", "SELECT id, at, tags, _rescued_data FROM {s}.out ORDER BY id DESC, length(_rescued_data)")
    assert rows[0] == ("1", "2026-01-31T10:00:00.000Z", '["x"]', None)
    rescued = [json.loads(row[3] or "") for row in rows[1:]]
    path = f"dbfs:{plane.volume}/in/a.json"
    assert {"_corrupt_record": '{"id": 3,', "_file_path": path} in rescued
    assert {"id": "two", "who": {"name": "Ann"}, "_file_path": path} in rescued
    assert {"_corrupt_record": deep, "_file_path": path} in rescued
    assert len(rescued) == 3


def test_an_option_that_is_not_supported_is_refused_by_name(plane: DataPlane) -> None:
    plane.land("in/a.csv", "id\n1\n")
    for name, value in (("cloudFiles.useNotifications", "true"), ("cloudFiles.fetchParallelism", "2"), ("inferSchema", "true")):
        outcome, _ = plane.run("alice", LOAD, _options(plane, **{name.replace(".", "__"): value}))
        assert name.lower() in outcome.error.lower()
        assert "does not support" in outcome.error
