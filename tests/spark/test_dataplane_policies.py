"""Masks and row filters as two personas meet them: an engineer, who is in the reader group, and an analyst, who is not."""

from __future__ import annotations

import pytest

from local_estate.spark.runtime import SqlFailed
from tests.spark.conftest import DataPlane

MASK = "CREATE FUNCTION {s}.mask(x STRING) RETURNS STRING RETURN CASE WHEN is_account_group_member('engineers') THEN x ELSE '***' END"
YEAR = "CREATE FUNCTION {s}.year_only(x DATE) RETURNS DATE RETURN IF(is_account_group_member('engineers'), x, trunc(x, 'year'))"
FILTER = "CREATE FUNCTION {s}.own_state(state STRING) RETURNS BOOLEAN RETURN is_account_group_member('engineers') OR state = 'NSW'"
ROWS = "(1, 'ann@x.au', DATE'1990-05-06', 'NSW'), (2, 'ben@y.au', DATE'1985-07-08', 'VIC')"

EVERY_WAY = """
import json
from pyspark.sql import SparkSession, functions as F
spark = SparkSession.builder.getOrCreate()
T = f"{S}.people"

def mails(frame):
    return sorted(row.mail for row in frame.collect())

def streamed(options):
    reader = spark.readStream
    for name, value in options.items():
        reader = reader.option(name, value)
    name = "q" + str(len(seen))
    found = []
    reader.table(T).writeStream.foreachBatch(lambda batch, _: found.extend(mails(batch))).option(
        "checkpointLocation", f"{V}/checkpoints/{name}-{spark.sql('SELECT current_user()').first()[0]}"
    ).trigger(availableNow=True).start().awaitTermination()
    return sorted(found)

seen = {}
seen["sql"] = mails(spark.sql(f"SELECT mail FROM {T}"))
seen["dataframe"] = mails(spark.table(T).where("id > 0"))
seen["predicate"] = mails(spark.table(T).where("mail LIKE '%@x.au'"))
seen["subquery"] = mails(spark.sql(f"SELECT mail FROM (SELECT max(mail) AS mail FROM {T}) WHERE mail IN (SELECT mail FROM {T})"))
seen["join"] = mails(spark.table(T).alias("a").join(spark.table(T).alias("b"), "id").select("a.mail"))
seen["time travel"] = mails(spark.sql(f"SELECT mail FROM {T} VERSION AS OF 1"))
seen["time travel by option"] = mails(spark.read.option("versionAsOf", 1).table(T))
seen["table_changes"] = mails(spark.sql(f"SELECT mail FROM table_changes('{T}', 1)"))
seen["change feed"] = mails(spark.read.option("readChangeFeed", True).option("startingVersion", 1).table(T))
seen["stream"] = streamed({})
seen["streamed change feed"] = streamed({"readChangeFeed": True, "startingVersion": 1})
spark.table(T).createOrReplaceTempView("mine")
seen["temporary view"] = mails(spark.sql("SELECT mail FROM mine"))
seen["cache"] = mails(spark.table(T).cache())
spark.sql(f"CACHE TABLE kept AS SELECT * FROM {T}")
seen["cached table"] = mails(spark.table("kept"))
seen["delta table"] = mails(__import__("delta").tables.DeltaTable.forName(spark, T).toDF())
seen["metadata column"] = mails(spark.table(T).where("_metadata.file_path IS NOT NULL").select("mail"))
seen["rdd"] = sorted(row.mail for row in spark.table(T).rdd.collect())
bounds = spark.sql(f"SELECT min(born), max(born), count(*) FROM {T}").first()
print(json.dumps({"seen": seen, "bounds": [str(value) for value in bounds]}))
"""


@pytest.fixture
def people(plane: DataPlane) -> DataPlane:
    for statement in (MASK, YEAR, FILTER):
        plane.sql("alice", statement)
    plane.sql(
        "alice", "CREATE TABLE {s}.people (id INT, mail STRING, born DATE, state STRING) TBLPROPERTIES (delta.enableChangeDataFeed = true)"
    )
    plane.sql("alice", f"INSERT INTO {{s}}.people VALUES {ROWS}")
    plane.grant("catalog", "c", "analysts", "USE_CATALOG")
    plane.grant("schema", f"c.{plane.schema}", "analysts", "USE_SCHEMA", "SELECT", "CREATE_TABLE", "READ_VOLUME", "WRITE_VOLUME")
    return plane


def _protect(plane: DataPlane) -> None:
    plane.sql("alice", "ALTER TABLE {s}.people ALTER COLUMN mail SET MASK {s}.mask")
    plane.sql("alice", "ALTER TABLE {s}.people ALTER COLUMN born SET MASK {s}.year_only")
    plane.sql("alice", "ALTER TABLE {s}.people SET ROW FILTER {s}.own_state ON (state)")


def test_each_persona_sees_the_same_in_sql_dataframe_stream_time_travel_and_change_feed(people: DataPlane) -> None:
    import json

    _protect(people)
    engineer = json.loads(people.succeed("alice", EVERY_WAY).splitlines()[-1])
    analyst = json.loads(people.succeed("bob", EVERY_WAY).splitlines()[-1])
    clear = {way: ["ann@x.au", "ben@y.au"] for way in engineer["seen"]} | {"predicate": ["ann@x.au"], "subquery": ["ben@y.au"]}
    assert engineer == {"seen": clear, "bounds": ["1985-07-08", "1990-05-06", "2"]}
    masked = {way: ["***"] for way in analyst["seen"]} | {"predicate": []}
    assert analyst == {"seen": masked, "bounds": ["1990-01-01", "1990-01-01", "1"]}


def test_masks_travel_into_what_an_analyst_writes_from_them(people: DataPlane) -> None:
    _protect(people)
    people.sql("bob", "CREATE TABLE {s}.copied AS SELECT * FROM {s}.people")
    assert people.sql("alice", "SELECT id, mail, born, state FROM {s}.copied") == [("1", "***", "1990-01-01", "NSW")]
    people.sql("bob", "CREATE TABLE {s}.merged (id INT, mail STRING)")
    merge = "MERGE INTO {s}.merged t USING {s}.people s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id, mail) VALUES (s.id, s.mail)"
    people.sql("bob", merge)
    assert people.sql("alice", "SELECT * FROM {s}.merged") == [("1", "***")]
    people.sql("bob", "INSERT INTO {s}.merged SELECT id + 10, mail FROM {s}.people")
    assert people.sql("alice", "SELECT mail FROM {s}.merged WHERE id > 10") == [("***",)]


def test_who_does_not_see_all_may_append_but_not_change_replace_or_clone(people: DataPlane) -> None:
    _protect(people)
    people.grant("table", f"c.{people.schema}.people", "analysts", "MODIFY")
    people.sql("bob", "INSERT INTO {s}.people VALUES (3, 'cat@z.au', DATE'2000-01-02', 'NSW')")
    for statement in (
        "UPDATE {s}.people SET state = 'NSW'",
        "DELETE FROM {s}.people WHERE id = 2",
        "MERGE INTO {s}.people t USING (SELECT 2 AS id) s ON t.id = s.id WHEN MATCHED THEN DELETE",
        "INSERT OVERWRITE {s}.people SELECT * FROM {s}.people",
        "CREATE OR REPLACE TABLE {s}.people AS SELECT 1 AS id",
        "CREATE TABLE {s}.cloned SHALLOW CLONE {s}.people",
    ):
        with pytest.raises(
            SqlFailed, match="which hides columns or rows from this principal; run it as one that its policies except"
        ) as refused:
            people.sql("bob", statement)
        assert refused.value.error_class == "UNSUPPORTED_FEATURE", statement
    attempts = """
    from delta.tables import DeltaTable
    from pyspark.sql import SparkSession, functions as F
    spark = SparkSession.builder.getOrCreate()
    target = DeltaTable.forName(spark, f"{S}.people")
    for attempt in (
        lambda: target.delete("id = 2"),
        lambda: target.update(set={"state": F.lit("NSW")}),
        lambda: target.alias("t").merge(spark.range(1).alias("s"), "t.id = s.id").whenMatchedDelete().execute(),
        lambda: spark.table(f"{S}.people").write.mode("overwrite").option("replaceWhere", "id = 2").saveAsTable(f"{S}.people"),
    ):
        try:
            attempt()
            print("ALLOWED")
        except Exception as error:
            # DeltaTable.merge plans without the analyser, so there it is Delta that refuses the masked target.
            print("which hides columns or rows" in str(error) or "DELTA_UNEXPECTED_PARTIAL_SCAN" in str(error) or str(error)[:300])
    """
    assert people.succeed("bob", attempts).splitlines() == ["True"] * 4
    assert people.sql("alice", "SELECT count(*) FROM {s}.people") == [("3",)]


def test_dropping_masks_and_filters_opens_the_table_and_a_lost_function_closes_it(people: DataPlane) -> None:
    _protect(people)
    with pytest.raises(SqlFailed, match="column mail of .* is masked, filtered by or tagged; drop that first"):
        people.sql("alice", "ALTER TABLE {s}.people DROP COLUMN mail")
    with pytest.raises(SqlFailed, match="MANAGE"):
        people.sql("bob", "ALTER TABLE {s}.people ALTER COLUMN mail DROP MASK")
    people.sql("alice", "DROP FUNCTION {s}.mask")
    with pytest.raises(
        SqlFailed, match=r"function c\.\w+\.mask, which masks or filters it, does not exist; create it again or drop the mask"
    ):
        people.sql("bob", "SELECT id FROM {s}.people")
    people.sql("alice", "ALTER TABLE {s}.people ALTER COLUMN mail DROP MASK")
    people.sql("alice", "ALTER TABLE {s}.people DROP ROW FILTER")
    assert people.sql("bob", "SELECT mail, born FROM {s}.people ORDER BY id") == [("ann@x.au", "1990-01-01"), ("ben@y.au", "1985-01-01")]
    with pytest.raises(SqlFailed, match=r"Function 'c\.\w+\.year_only' takes 1 argument\(s\), not 2"):
        people.sql("alice", "ALTER TABLE {s}.people ALTER COLUMN born SET MASK {s}.year_only USING COLUMNS (state)")


def test_a_mask_may_use_further_columns_and_look_into_a_table(people: DataPlane) -> None:
    people.sql("alice", "CREATE FUNCTION {s}.by_state(x STRING, state STRING) RETURNS STRING RETURN IF(state = 'NSW', x, left(x, 1))")
    people.sql("alice", "ALTER TABLE {s}.people ALTER COLUMN mail SET MASK {s}.by_state USING COLUMNS (state)")
    assert people.sql("bob", "SELECT mail FROM {s}.people ORDER BY id") == [("ann@x.au",), ("b",)]
    people.sql("alice", "CREATE TABLE {s}.areas AS SELECT * FROM VALUES ('bob', 'VIC') AS v(who, state)")
    people.sql(
        "alice",
        "CREATE FUNCTION {s}.area(state STRING) RETURNS BOOLEAN "
        "RETURN EXISTS (SELECT 1 FROM {s}.areas a WHERE a.who = current_user() AND a.state = area.state)",
    )
    people.sql("alice", "ALTER TABLE {s}.people SET ROW FILTER {s}.area ON (state)")
    assert people.sql("bob", "SELECT id, mail FROM {s}.people") == [("2", "b")]
    assert people.sql("alice", "SELECT id FROM {s}.people") == []


def test_an_unmasked_table_costs_no_request_for_its_policies(people: DataPlane) -> None:
    people.sql("bob", "SELECT 1 FROM {s}.people")
    people.api.calls.clear()
    people.sql("bob", "SELECT 1 FROM {s}.people")
    paths = [path for _, _, path in people.api.calls]
    assert {path.split("/")[4] for path in paths if path.startswith("/api/2.1")} == {"tables"}
