"""SQL functions under three-level names."""

from __future__ import annotations

import pytest

from local_estate.spark.runtime import SqlFailed
from tests.spark.conftest import DataPlane

MASK = "CREATE OR REPLACE FUNCTION {s}.hide(x STRING) RETURNS STRING COMMENT 'for mail' RETURN concat('*', substr(x, instr(x, '@')))"


def test_a_function_is_kept_by_unity_catalog_and_runs_wherever_an_expression_may_stand(plane: DataPlane) -> None:
    plane.sql("alice", MASK)
    (kept,) = plane.governed.uc("alice", "GET", "functions", catalog_name="c", schema_name=plane.schema)["functions"]
    assert (kept["full_name"], kept["data_type"], kept["comment"], kept["owner"]) == (
        f"c.{plane.schema}.hide",
        "STRING",
        "for mail",
        "alice",
    )
    assert [each["name"] for each in kept["input_params"]["parameters"]] == ["x"]
    plane.sql("alice", "CREATE TABLE {s}.t AS SELECT * FROM VALUES ('a@x.au'), ('b@y.au') AS v(mail)")
    assert plane.sql("alice", "SELECT {s}.hide(mail) AS m FROM {s}.t WHERE {s}.hide(mail) = '*@x.au'") == [("*@x.au",)]
    assert plane.sql("alice", "SELECT max({s}.hide(x => mail)) FROM {s}.t GROUP BY {s}.hide(mail) ORDER BY 1") == [("*@x.au",), ("*@y.au",)]
    plane.sql("alice", "UPDATE {s}.t SET mail = {s}.hide(mail) WHERE mail LIKE 'a%'")
    assert plane.sql("alice", "SELECT mail FROM {s}.t ORDER BY mail") == [("*@x.au",), ("b@y.au",)]
    plane.sql("alice", "CREATE OR REPLACE FUNCTION {s}.hide(x STRING) RETURNS STRING RETURN 'none'")
    replaced = plane.governed.uc("alice", "GET", f"functions/c.{plane.schema}.hide")
    assert (replaced["function_id"], replaced["routine_definition"]) == (kept["function_id"], "'none'")
    plane.sql("alice", "DROP FUNCTION {s}.hide")
    with pytest.raises(SqlFailed, match=r"the function c\.\w+\.hide does not exist"):
        plane.sql("alice", "SELECT {s}.hide('x')")
    plane.sql("alice", "DROP FUNCTION IF EXISTS {s}.hide")


def test_functions_call_functions_take_lambdas_and_look_into_tables(plane: DataPlane) -> None:
    plane.sql("alice", "CREATE FUNCTION {s}.twice(n INT) RETURNS INT RETURN n * 2")
    plane.sql(
        "alice", "CREATE FUNCTION {s}.four(n INT, by ARRAY<INT>) RETURNS ARRAY<INT> RETURN transform(by, i -> i + {s}.twice({s}.twice(n)))"
    )
    assert plane.sql("alice", "SELECT {s}.four(1, array(1, 2))") == [("[5,6]",)]
    plane.sql("alice", "CREATE TABLE {s}.areas AS SELECT * FROM VALUES ('alice', 'NSW'), ('alice', 'ACT') AS v(who, state)")
    plane.sql(
        "alice",
        "CREATE FUNCTION {s}.sees(state STRING) RETURNS BOOLEAN RETURN EXISTS (SELECT 1 FROM {s}.areas a WHERE a.state = sees.state)",
    )
    rows = "SELECT state FROM VALUES ('NSW'), ('VIC') AS v(state) WHERE {s}.sees(state)"
    assert plane.sql("alice", rows) == [("NSW",)]


def test_a_function_needs_execute_and_a_body_that_analyses(plane: DataPlane) -> None:
    plane.sql("alice", MASK)
    plane.grant("catalog", "c", "bob", "USE_CATALOG")
    plane.grant("schema", f"c.{plane.schema}", "bob", "USE_SCHEMA")
    with pytest.raises(SqlFailed, match="EXECUTE"):
        plane.sql("bob", "SELECT {s}.hide('a@b')")
    with pytest.raises(SqlFailed, match="CREATE.FUNCTION"):
        plane.sql("bob", "CREATE FUNCTION {s}.mine() RETURNS INT RETURN 1")
    plane.sql("alice", "GRANT EXECUTE ON FUNCTION {s}.hide TO `bob`")
    assert plane.sql("bob", "SELECT {s}.hide('a@b')") == [("*@b",)]
    with pytest.raises(SqlFailed, match="nothing_there"):
        plane.sql("alice", "CREATE FUNCTION {s}.wrong(x INT) RETURNS INT RETURN x + nothing_there")
    with pytest.raises(SqlFailed, match=r"hide takes 1 argument\(s\) \(x\), not 2"):
        plane.sql("alice", "SELECT {s}.hide('a', 'b')")


def test_a_used_catalog_completes_the_name_of_a_function(plane: DataPlane) -> None:
    plane.sql("alice", "CREATE FUNCTION {s}.one() RETURNS INT RETURN 1")
    assert plane.sql("alice", f"SELECT one() + {plane.schema}.one() + abs(-1)", catalog="c", schema=plane.schema) == [("3",)]
    plane.sql("alice", "CREATE FUNCTION two() RETURNS INT RETURN one() + 1", catalog="c", schema=plane.schema)
    assert plane.sql("alice", "SELECT {s}.two()") == [("2",)]
