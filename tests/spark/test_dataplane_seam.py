"""The riskiest seam: a governed stream by one principal, and another kept out by name and by path."""

from __future__ import annotations

import pytest

from local_estate.spark.runtime import SqlFailed
from tests.spark.conftest import DataPlane

STREAM = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
(spark.readStream.schema("id INT, city STRING").option("header", True).csv(f"{V}/landing")
 .writeStream.option("checkpointLocation", f"{V}/checkpoint").trigger(availableNow=True).toTable(f"{S}.people").awaitTermination())
print(spark.table(f"{S}.people").count())
"""


def test_a_stream_of_a_volume_lands_in_a_table_once(plane: DataPlane) -> None:
    plane.land("landing/a.csv", "id,city\n1,Perth\n2,Hobart\n")
    assert plane.succeed("alice", STREAM).split() == ["2"]
    plane.land("landing/b.csv", "id,city\n3,Darwin\n")
    assert plane.succeed("alice", STREAM).split() == ["3"]
    assert plane.sql("alice", "SELECT id, city FROM {s}.people ORDER BY id") == [("1", "Perth"), ("2", "Hobart"), ("3", "Darwin")]


def test_who_was_granted_nothing_is_denied_by_name_and_by_every_path(plane: DataPlane) -> None:
    landed = plane.land("landing/a.csv", "id,city\n1,Perth\n")
    plane.succeed("alice", STREAM)
    table = plane.governed.uc("admin", "GET", f"tables/c.{plane.schema}.people")
    local = plane.home / "adls" / "accone" / "lake" / table["storage_location"].split("/", 3)[3]
    attempts = [
        f"spark.table('c.{plane.schema}.people').show()",
        f"spark.read.format('delta').load('{table['storage_location']}').show()",
        f"spark.read.parquet('{table['storage_location']}').show()",
        f"spark.read.csv('{plane.volume}/landing').show()",
        f"spark.read.csv('dbfs:{plane.volume}/landing').show()",
        f"spark.read.csv('file:{landed}').show()",
        f"spark.read.parquet('file:{local}').show()",
        f"spark.read.format('delta').load('file:{local}').show()",
        f"spark.sql('INSERT INTO c.{plane.schema}.people VALUES (9, null)')",
        f"spark.range(1).write.format('delta').mode('append').save('{table['storage_location']}')",
        f"spark.range(1).write.csv('{plane.volume}/out')",
        f"spark.readStream.table('c.{plane.schema}.people').writeStream.format('noop').trigger(availableNow=True).start().awaitTermination()",
    ]
    source = "from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n"
    for attempt in attempts:
        source += f"try:\n    {attempt}\n    print('ALLOWED', {attempt!r})\nexcept Exception as error:\n"
        source += f"    print('denied' if 'INSUFFICIENT_PERMISSIONS' in str(error) else 'OTHER ' + {attempt!r} + str(error)[:600])\n"
    assert plane.succeed("bob", source).splitlines() == ["denied"] * len(attempts)


def test_a_denial_in_sql_names_the_privilege_and_the_securable(plane: DataPlane) -> None:
    plane.sql("alice", "CREATE TABLE {s}.t (id INT)")
    with pytest.raises(SqlFailed) as refused:
        plane.sql("bob", "SELECT * FROM {s}.t")
    assert refused.value.error_class == "INSUFFICIENT_PERMISSIONS"
    assert refused.value.sql_state == "42501"
    # The first link that is missing is named; other tests may have opened the catalog.
    assert "User does not have USE " in refused.value.message


TWO = """
import sys, time
from pyspark.sql import SparkSession, functions as F
from pyspark.sql.types import StringType
spark = SparkSession.builder.getOrCreate()
me, other = sys.argv[1], sys.argv[2]
spark.sql(f"CREATE OR REPLACE TEMP VIEW mine AS SELECT '{me}' AS who")
tag = F.udf(lambda value: f"{me}:{value}", StringType())

def batch(frame, number):
    assert frame.sparkSession.sql("SELECT current_timestamp()").count() == 1
    frame.withColumn("tag", tag("id")).write.mode("append").saveAsTable(f"c.{S.split('.')[1]}.out_{me}")

for round in range(3):
    (spark.readStream.schema("id INT").option("header", True).option("maxFilesPerTrigger", 1).csv(f"{V}/in_{me}")
     .writeStream.foreachBatch(batch).option("checkpointLocation", f"{V}/check_{me}").trigger(availableNow=True).start().awaitTermination())
    try:
        spark.table(f"{S}.out_{other}").collect()
        print("LEAK")
    except Exception as error:
        print("kept apart" if "INSUFFICIENT_PERMISSIONS" in str(error) or "TABLE_OR_VIEW_NOT_FOUND" in str(error) else str(error))
print(sorted(row.tag for row in spark.table(f"{S}.out_{me}").collect()), spark.table("mine").first().who)
"""


def test_two_principals_stream_at_once_in_one_jvm_and_stay_apart(plane: DataPlane) -> None:
    plane.grant("catalog", "c", "carol", "USE_CATALOG")
    for who in ("alice", "carol"):
        plane.land(f"in_{who}/1.csv", "id\n1\n")
        plane.land(f"in_{who}/2.csv", "id\n2\n")
    # Both may create tables and use the volume; each owns what it creates and sees nothing of the other's.
    plane.revoke("schema", f"c.{plane.schema}", "engineers", "ALL_PRIVILEGES")
    for who in ("alice", "carol"):
        plane.grant("schema", f"c.{plane.schema}", who, "USE_SCHEMA", "CREATE_TABLE", "READ_VOLUME", "WRITE_VOLUME")
    running = {who: plane.start(who, TWO, who, other) for who, other in (("alice", "carol"), ("carol", "alice"))}
    for who, (task, directory) in running.items():
        outcome = task.wait(240)
        assert outcome is not None
        assert outcome.succeeded, outcome.error_trace
        assert (directory / "stdout").read_text().splitlines() == ["kept apart"] * 3 + [f"['{who}:1', '{who}:2'] {who}"]
