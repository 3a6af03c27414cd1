"""Tables under three-level names: what Spark changes, Unity Catalog knows."""

from __future__ import annotations

from typing import Any

import pytest

from local_estate.spark.runtime import SqlFailed
from tests.spark.conftest import DataPlane


def _entry(plane: DataPlane, table: str) -> dict[str, Any]:
    return dict(plane.governed.uc("admin", "GET", f"tables/c.{plane.schema}.{table}"))


def _columns(plane: DataPlane, table: str) -> list[tuple[str, str, str]]:
    return [(column["name"], column["type_name"], column["type_text"]) for column in _entry(plane, table)["columns"]]


def test_a_created_table_is_registered_with_its_columns_and_comment(plane: DataPlane) -> None:
    plane.sql("alice", "CREATE TABLE {s}.t (id BIGINT NOT NULL, price DECIMAL(10,2) COMMENT 'in AUD', at TIMESTAMP) COMMENT 'prices'")
    entry = _entry(plane, "t")
    assert (entry["table_type"], entry["data_source_format"], entry["owner"], entry["comment"]) == ("MANAGED", "DELTA", "alice", "prices")
    assert _columns(plane, "t") == [("id", "LONG", "bigint"), ("price", "DECIMAL", "decimal(10,2)"), ("at", "TIMESTAMP", "timestamp")]
    assert entry["columns"][1]["comment"] == "in AUD"
    assert entry["columns"][0]["nullable"] is False


def test_create_table_as_select_registers_and_fills_it(plane: DataPlane) -> None:
    plane.sql("alice", "CREATE TABLE {s}.t AS SELECT id, id * 2 AS twice FROM range(3)")
    assert plane.sql("alice", "SELECT sum(twice) FROM {s}.t") == [("6",)]
    assert [name for name, *_ in _columns(plane, "t")] == ["id", "twice"]


def test_replace_keeps_the_id_and_the_history(plane: DataPlane) -> None:
    plane.sql("alice", "CREATE TABLE {s}.t AS SELECT 1 AS a")
    before = _entry(plane, "t")
    plane.sql("alice", "CREATE OR REPLACE TABLE {s}.t AS SELECT 'x' AS b, 2 AS c")
    after = _entry(plane, "t")
    assert (after["table_id"], after["storage_location"]) == (before["table_id"], before["storage_location"])
    assert [name for name, *_ in _columns(plane, "t")] == ["b", "c"]
    assert plane.sql("alice", "SELECT * FROM {s}.t VERSION AS OF 0") == [("1",)]


def test_merge_updates_and_inserts(plane: DataPlane) -> None:
    plane.sql("alice", "CREATE TABLE {s}.t AS SELECT * FROM VALUES (1, 'a'), (2, 'b') AS v(id, name)")
    changes = "(SELECT * FROM VALUES (2, 'B'), (3, 'C') AS v(id, name)) s"
    matched = "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    plane.sql("alice", f"MERGE INTO {{s}}.t t USING {changes} ON t.id = s.id {matched}")
    assert plane.sql("alice", "SELECT * FROM {s}.t ORDER BY id") == [("1", "a"), ("2", "B"), ("3", "C")]


def test_update_delete_and_alter_work_and_new_columns_reach_unity_catalog(plane: DataPlane) -> None:
    plane.sql("alice", "CREATE TABLE {s}.t AS SELECT * FROM VALUES (1, 'a'), (2, 'b') AS v(id, name)")
    plane.sql("alice", "UPDATE {s}.t SET name = 'z' WHERE id = 1")
    plane.sql("alice", "DELETE FROM {s}.t WHERE id = 2")
    plane.sql("alice", "ALTER TABLE {s}.t ADD COLUMNS (extra DOUBLE)")
    assert plane.sql("alice", "SELECT * FROM {s}.t") == [("1", "z", None)]
    assert _columns(plane, "t")[-1] == ("extra", "DOUBLE", "double")


def test_a_check_constraint_refuses_rows_until_it_is_dropped(plane: DataPlane) -> None:
    plane.sql("alice", "CREATE TABLE {s}.t (word STRING)")
    plane.sql("alice", "ALTER TABLE {s}.t ADD CONSTRAINT known CHECK (word IN ('a', 'b'))")
    with pytest.raises(SqlFailed, match="CHECK constraint known .*violated"):
        plane.sql("alice", "INSERT INTO {s}.t VALUES ('c')")
    plane.sql("alice", "ALTER TABLE {s}.t DROP CONSTRAINT known")
    plane.sql("alice", "INSERT INTO {s}.t VALUES ('c')")
    assert plane.sql("alice", "SELECT * FROM {s}.t") == [("c",)]


def test_columns_that_a_write_adds_reach_unity_catalog(plane: DataPlane) -> None:
    plane.sql("alice", "CREATE TABLE {s}.t (id INT)")
    plane.succeed(
        "alice",
        """
        from delta.tables import DeltaTable
        from pyspark.sql import SparkSession
        spark = SparkSession.builder.getOrCreate()
        spark.sql("SELECT 1 AS id, 'Perth' AS city").write.mode("append").option("mergeSchema", True).saveAsTable(f"{S}.t")
        target = DeltaTable.forName(spark, f"{S}.t")
        (target.alias("t").merge(spark.sql("SELECT 2 AS id, 'Hobart' AS city, true AS coast").alias("s"), "t.id = s.id")
         .withSchemaEvolution().whenNotMatchedInsertAll().execute())
        target.optimize().executeCompaction()
        """,
    )
    assert [name for name, *_ in _columns(plane, "t")] == ["id", "city", "coast"]
    assert plane.sql("alice", "SELECT * FROM {s}.t ORDER BY id") == [("1", "Perth", None), ("2", "Hobart", "true")]


def test_an_external_table_lives_where_its_location_says_and_survives_its_drop(plane: DataPlane) -> None:
    place = f"abfss://lake@accone.dfs.core.windows.net/external/{plane.schema}"
    with pytest.raises(SqlFailed, match="External Location"):
        plane.sql("alice", f"CREATE TABLE {{s}}.t (id INT) LOCATION '{place}'")
    plane.grant("external_location", "lake", "alice", "CREATE_EXTERNAL_TABLE", "READ_FILES", "WRITE_FILES")
    plane.sql("alice", f"CREATE TABLE {{s}}.t LOCATION '{place}' AS SELECT 7 AS id")
    assert _entry(plane, "t")["table_type"] == "EXTERNAL"
    assert plane.sql("alice", "SELECT id FROM {s}.t") == [("7",)]
    plane.sql("alice", "DROP TABLE {s}.t")
    assert (plane.home / "adls/accone/lake/external" / plane.schema / "_delta_log").is_dir()


def test_a_failed_create_leaves_no_name_and_can_be_repeated(plane: DataPlane) -> None:
    with pytest.raises(SqlFailed, match="DIVIDE_BY_ZERO"):
        plane.sql("alice", "CREATE TABLE {s}.t AS SELECT 1 / (id - 1) AS x FROM range(3)")
    assert plane.sql("alice", "SHOW TABLES IN {s}") == []
    plane.sql("alice", "CREATE TABLE {s}.t AS SELECT 1 AS x")
    assert [row[1] for row in plane.sql("alice", "SHOW TABLES IN {s}")] == ["t"]


def test_a_table_that_exists_is_not_created_again(plane: DataPlane) -> None:
    plane.sql("alice", "CREATE TABLE {s}.t (id INT)")
    with pytest.raises(SqlFailed, match="ALREADY_EXISTS"):
        plane.sql("alice", "CREATE TABLE {s}.t (id INT)")
    plane.sql("alice", "CREATE TABLE IF NOT EXISTS {s}.t (id INT)")


def test_parameters_types_limits_and_the_default_schema_reach_a_statement(plane: DataPlane) -> None:
    plane.sql("alice", "CREATE TABLE {s}.t AS SELECT id, date'2026-01-31' AS day FROM range(5)")
    result = plane.result(
        "alice",
        "SELECT id, day, :label AS label, named_struct('a', 1) AS s, timestamp'2026-01-31 10:00:00' AS at, :none AS n "
        "FROM t WHERE id >= :low ORDER BY id",
        catalog="c",
        schema=plane.schema,
        row_limit=2,
        parameters={"low": ("2", "BIGINT"), "label": ("it's", "STRING"), "none": (None, "STRING")},
    )
    assert [(column.name, column.type_name, column.type_text) for column in result.columns[:5]] == [
        ("id", "LONG", "BIGINT"),
        ("day", "DATE", "DATE"),
        ("label", "STRING", "STRING"),
        ("s", "STRUCT", "STRUCT<a: INT NOT NULL>"),
        ("at", "TIMESTAMP", "TIMESTAMP"),
    ]
    assert result.rows == (
        ("2", "2026-01-31", "it's", '{"a":1}', "2026-01-31T10:00:00.000Z", None),
        ("3", "2026-01-31", "it's", '{"a":1}', "2026-01-31T10:00:00.000Z", None),
    )
    assert result.truncated


def test_select_alone_reads_and_modify_alone_appends(plane: DataPlane) -> None:
    plane.sql("alice", "CREATE TABLE {s}.t AS SELECT 1 AS id")
    for name, privileges in (("bob", ["SELECT"]), ("carol", ["MODIFY"])):
        plane.grant("catalog", "c", name, "USE_CATALOG")
        plane.grant("schema", f"c.{plane.schema}", name, "USE_SCHEMA")
        plane.grant("table", f"c.{plane.schema}.t", name, *privileges)
    plane.sql("carol", "INSERT INTO {s}.t VALUES (2)")
    assert plane.sql("bob", "SELECT count(*) FROM {s}.t") == [("2",)]
    for who, statement, missing in (
        ("carol", "SELECT * FROM {s}.t", "SELECT"),
        ("carol", "DELETE FROM {s}.t WHERE id = 1", "SELECT"),
        ("carol", "INSERT INTO {s}.t SELECT * FROM {s}.t", "SELECT"),
        ("bob", "INSERT INTO {s}.t VALUES (3)", "MODIFY"),
        ("bob", "UPDATE {s}.t SET id = 0", "MODIFY"),
        ("bob", "ALTER TABLE {s}.t ADD COLUMNS (x INT)", "MODIFY"),
        ("bob", "OPTIMIZE {s}.t", "MODIFY"),
        ("bob", "MERGE INTO {s}.t t USING (SELECT 1 AS id) s ON t.id = s.id WHEN MATCHED THEN DELETE", "MODIFY"),
        ("bob", "RESTORE TABLE {s}.t TO VERSION AS OF 0", "MODIFY"),
        ("bob", "TRUNCATE TABLE {s}.t", "MODIFY"),
        ("bob", "CREATE TABLE {s}.other AS SELECT 1 AS x", "CREATE TABLE"),
        ("bob", "VACUUM {s}.t", "MODIFY"),
        ("bob", "DROP TABLE {s}.t", ""),
    ):
        with pytest.raises(SqlFailed) as refused:
            plane.sql(who, statement)
        assert refused.value.error_class == "INSUFFICIENT_PERMISSIONS", (statement, refused.value.message)
        assert missing in refused.value.message.replace("_", " "), (statement, refused.value.message)


def test_granting_by_sql_opens_a_table_and_revoking_closes_it(plane: DataPlane) -> None:
    plane.sql("alice", "CREATE TABLE {s}.t AS SELECT 1 AS id")
    plane.grant("catalog", "c", "analysts", "USE_CATALOG")
    plane.grant("schema", f"c.{plane.schema}", "analysts", "USE_SCHEMA")
    plane.sql("alice", "GRANT SELECT ON TABLE {s}.t TO `analysts`")
    assert plane.sql("bob", "SELECT * FROM {s}.t") == [("1",)]
    assert ("analysts", "SELECT", "TABLE", f"c.{plane.schema}.t") in plane.sql("alice", "SHOW GRANTS ON TABLE {s}.t")
    plane.sql("alice", "REVOKE SELECT ON TABLE {s}.t FROM `analysts`")
    with pytest.raises(SqlFailed, match="SELECT"):
        plane.sql("bob", "SELECT * FROM {s}.t")


def test_schemas_are_made_listed_and_dropped_by_sql(plane: DataPlane) -> None:
    plane.grant("catalog", "c", "alice", "CREATE_SCHEMA")
    plane.sql("alice", f"CREATE SCHEMA c.made_{plane.schema}")
    assert (f"made_{plane.schema}",) in plane.sql("alice", "SHOW SCHEMAS IN c")
    plane.sql("alice", f"DROP SCHEMA c.made_{plane.schema}")
    assert (f"made_{plane.schema}",) not in plane.sql("alice", "SHOW SCHEMAS IN c")
