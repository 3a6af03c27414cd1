"""Who a session runs as, and the names that no principal may leave for another."""

from __future__ import annotations

import pytest

from local_estate.spark.runtime import SqlFailed
from tests.spark.conftest import DataPlane

WHO = "SELECT current_user(), session_user(), current_user, is_account_group_member('engineers'), is_member('users'), is_member('admins')"


def test_the_user_and_the_groups_of_a_session_are_those_of_its_principal(plane: DataPlane) -> None:
    assert plane.sql("alice", WHO) == [("alice", "alice", "alice", "true", "true", "false")]
    assert plane.sql("bob", WHO) == [("bob", "bob", "bob", "false", "true", "false")]
    assert [column.name for column in plane.result("alice", "SELECT current_user(), is_member('x')").columns] == [
        "current_user()",
        "is_member(x)",
    ]
    with pytest.raises(SqlFailed, match="WRONG_NUM_ARGS"):
        plane.sql("alice", "SELECT is_member()")


def test_a_cached_plan_of_one_principal_answers_no_other(plane: DataPlane) -> None:
    source = """
    from pyspark.sql import SparkSession, functions as F
    spark = SparkSession.builder.getOrCreate()
    mine = spark.range(1).select(F.current_user().alias("who"), F.session_user(), F.expr("is_account_group_member('engineers')"))
    print(*mine.cache().first())
    """
    assert plane.succeed("alice", source).split() == ["alice", "alice", "True"]
    assert plane.succeed("bob", source).split() == ["bob", "bob", "False"]


def test_nothing_is_kept_under_a_name_outside_unity_catalog(plane: DataPlane) -> None:
    for statement in (
        "CREATE TABLE loose (id INT)",
        "CREATE TABLE default.loose AS SELECT 1 AS id",
        "CREATE TABLE loose USING parquet AS SELECT 1 AS id",
        "CREATE VIEW loose AS SELECT 1 AS id",
        "CREATE SCHEMA loose",
        "SELECT * FROM loose",
        "SELECT * FROM default.loose",
        "INSERT INTO loose VALUES (1)",
        "CREATE GLOBAL TEMP VIEW loose AS SELECT 1 AS id",
        "SELECT * FROM global_temp.loose",
    ):
        with pytest.raises(SqlFailed, match=r"write catalog\.schema\.name, or USE CATALOG first, or make a temporary view") as refused:
            plane.sql("alice", statement)
        assert refused.value.error_class == (
            "TABLE_OR_VIEW_NOT_FOUND" if "SELECT *" in statement or "INSERT" in statement else "UNSUPPORTED_FEATURE"
        )


def test_temporary_views_paths_and_used_catalogs_need_no_three_parts(plane: DataPlane) -> None:
    plane.land("rows/a.csv", "id\n7\n")
    printed = plane.succeed(
        "alice",
        """
        from pyspark.sql import SparkSession
        spark = SparkSession.builder.getOrCreate()
        spark.range(3).createOrReplaceTempView("mine")
        print(spark.sql("SELECT count(*) FROM mine").first()[0], spark.catalog.tableExists("nothing"))
        print(spark.sql(f"SELECT count(*) FROM text.`{V}/rows`").first()[0])
        spark.range(2).write.format("delta").save(f"{V}/delta")
        print(spark.sql(f"SELECT count(*) FROM delta.`{V}/delta`").first()[0])
        spark.sql("USE CATALOG c")
        schema = S.split(".")[1]
        spark.sql(f"CREATE TABLE {schema}.used AS SELECT 5 AS id")
        spark.sql(f"USE {S}")
        print(spark.table("used").first()[0], spark.sql(f"SELECT id FROM {schema}.used").first()[0])
        for make in ("createGlobalTempView", "createOrReplaceGlobalTempView"):
            try:
                getattr(spark.range(1), make)("shared")
            except Exception as error:
                print("global temporary view shared would be seen by every principal" in str(error))
        spark.sql("USE spark_catalog")
        try:
            spark.range(1).write.saveAsTable("loose")
        except Exception as error:
            print("names no table of Unity Catalog" in str(error))
        """,
    )
    assert printed.split() == ["3", "False", "2", "2", "5", "5", "True", "True", "True"]
