"""Attribute-based policies: one policy on a catalog or schema masks every column that carries the governed tag."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from local_estate.spark.runtime import SqlFailed
from tests.spark.conftest import DataPlane


def _policy(plane: DataPlane, on: str, **given: Any) -> str:
    """Defined by the metastore's admin on the schema of the test."""
    name = f"p_{uuid.uuid4().hex[:8]}"
    body = {
        "name": name,
        "on_securable_type": on,
        "on_securable_fullname": "c" if on == "CATALOG" else f"c.{plane.schema}",
        "for_securable_type": "TABLE",
        "to_principals": ["account users"],
        "except_principals": ["engineers"],
        **given,
    }
    plane.governed.uc("admin", "POST", "policies", body)
    return name


@pytest.fixture
def tagged(plane: DataPlane) -> DataPlane:
    plane.grant("schema", f"c.{plane.schema}", "admin", "USE_SCHEMA", "EXECUTE")
    plane.grant("catalog", "c", "admin", "USE_CATALOG")
    for key, *values in (("pii", "name"), ("level", "high"), ("area",), ("regional", "yes")):
        plane.governed.govern(key, *values)
    plane.sql("alice", "CREATE FUNCTION {s}.hide(x STRING, rest STRING) RETURNS STRING RETURN concat(left(x, 1), rest)")
    plane.sql("alice", "CREATE FUNCTION {s}.only(state STRING, wanted STRING) RETURNS BOOLEAN RETURN state = wanted")
    for table in ("people", "calls"):
        plane.sql("alice", f"CREATE TABLE {{s}}.{table} AS SELECT * FROM VALUES (1, 'ann', 'NSW'), (2, 'ben', 'VIC') AS v(id, name, state)")
        plane.sql("alice", f"ALTER TABLE {{s}}.{table} ALTER COLUMN name SET TAGS ('pii' = 'name', 'level' = 'high')")
    plane.grant("catalog", "c", "analysts", "USE_CATALOG")
    plane.grant("schema", f"c.{plane.schema}", "analysts", "USE_SCHEMA", "SELECT", "MODIFY")
    return plane


def _mask(schema: str, condition: str) -> dict[str, Any]:
    return {
        "policy_type": "POLICY_TYPE_COLUMN_MASK",
        "match_columns": [{"alias": "secret", "condition": condition}],
        "column_mask": {"function_name": f"c.{schema}.hide", "on_column": "secret", "using": [{"constant": "..."}]},
    }


@pytest.mark.parametrize("on", ["CATALOG", "SCHEMA"])
def test_a_policy_masks_every_tagged_column_below_it_but_not_for_who_is_excepted(tagged: DataPlane, on: str) -> None:
    marker = f"only_{tagged.schema}"
    tagged.governed.govern(marker)
    tagged.sql("alice", f"ALTER TABLE {{s}}.people ALTER COLUMN name SET TAGS ('{marker}')")
    tagged.sql("alice", f"ALTER TABLE {{s}}.calls ALTER COLUMN name SET TAGS ('{marker}')")
    _policy(tagged, on, **_mask(tagged.schema, f"has_tag('{marker}') AND has_tag_value('pii', 'name')"))
    for table in ("people", "calls"):
        assert tagged.sql("bob", f"SELECT name FROM {{s}}.{table} ORDER BY id") == [("a...",), ("b...",)]
        assert tagged.sql("alice", f"SELECT name FROM {{s}}.{table} ORDER BY id") == [("ann",), ("ben",)]
    tagged.sql("alice", "DELETE FROM {s}.people WHERE id = 1")  # who is excepted works with the table as before
    with pytest.raises(SqlFailed, match="which hides columns or rows from this principal"):
        tagged.sql("bob", "DELETE FROM {s}.people WHERE id = 2")
    tagged.sql("alice", "CREATE OR REPLACE TABLE {s}.people AS SELECT 'new' AS name")
    assert tagged.sql("bob", "SELECT name FROM {s}.people") == [("n...",)]
    tagged.sql("alice", f"ALTER TABLE {{s}}.people ALTER COLUMN name UNSET TAGS ('{marker}')")
    assert tagged.sql("bob", "SELECT name FROM {s}.people") == [("new",)]


@pytest.fixture
def closed(tagged: DataPlane) -> str:
    """A schema with a mask, where the analysts have no right at all."""
    schema = f"c.{tagged.schema}_rules"
    tagged.governed.uc("admin", "POST", "schemas", {"name": f"{tagged.schema}_rules", "catalog_name": "c"})
    tagged.grant("schema", schema, "engineers", "ALL_PRIVILEGES")
    tagged.grant("schema", schema, "admin", "USE_SCHEMA", "EXECUTE")
    tagged.sql("alice", f"CREATE FUNCTION {schema}.hide(x STRING, rest STRING) RETURNS STRING RETURN concat(left(x, 1), rest)")
    return schema


def test_a_new_table_is_masked_as_soon_as_its_columns_are_tagged_and_who_is_excepted_changes_it_as_any_other(
    tagged: DataPlane, closed: str
) -> None:
    marker = f"new_{tagged.schema}"
    tagged.governed.govern(marker, "mail")
    masking = _mask(tagged.schema, f"has_tag_value('{marker}', 'mail')")
    masking["column_mask"]["function_name"] = f"{closed}.hide"
    _policy(tagged, "CATALOG", **masking)
    tagged.sql("alice", "CREATE TABLE {s}.fresh AS SELECT * FROM VALUES (1, 'ann@x'), (2, 'ben@y') AS v(id, mail)")
    assert tagged.sql("bob", "SELECT mail FROM {s}.fresh ORDER BY id") == [("ann@x",), ("ben@y",)]
    tagged.sql("alice", f"ALTER TABLE {{s}}.fresh ALTER COLUMN mail SET TAGS ('{marker}' = 'mail')")
    assert tagged.sql("bob", "SELECT mail FROM {s}.fresh ORDER BY id") == [("a...",), ("b...",)]
    with pytest.raises(SqlFailed, match="User does not have USE SCHEMA"):
        tagged.sql("bob", f"SELECT {closed}.hide('x', 'y')")
    tagged.sql("alice", "UPDATE {s}.fresh SET mail = 'amy@x' WHERE mail = 'ann@x'")
    source = "(SELECT 2 AS id, 'bob@y' AS mail UNION ALL SELECT 3, 'cat@z')"
    merge = f"MERGE INTO {{s}}.fresh t USING {source} s ON t.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    tagged.sql("alice", merge)
    assert tagged.sql("alice", "SELECT mail FROM {s}.fresh ORDER BY id") == [("amy@x",), ("bob@y",), ("cat@z",)]
    assert tagged.sql("bob", "SELECT mail FROM {s}.fresh ORDER BY id") == [("a...",), ("b...",), ("c...",)]
    for statement in ("UPDATE {s}.fresh SET mail = 'x'", merge):
        with pytest.raises(SqlFailed, match="which hides columns or rows from this principal"):
            tagged.sql("bob", statement)


def test_set_tags_follows_the_tag_policy_of_a_governed_key(tagged: DataPlane) -> None:
    with pytest.raises(SqlFailed, match=r"Tag value mail is not an allowed value for tag policy key pii\. Allowed values: \[name\]"):
        tagged.sql("alice", "ALTER TABLE {s}.people ALTER COLUMN name SET TAGS ('pii' = 'mail')")
    tagged.grant("schema", f"c.{tagged.schema}", "analysts", "APPLY_TAG")
    for statement in ("SET TAGS ('pii' = 'name')", "UNSET TAGS ('pii')"):
        with pytest.raises(SqlFailed, match="User does not have ASSIGN on governed tag 'pii'"):
            tagged.sql("bob", f"ALTER TABLE {{s}}.people ALTER COLUMN name {statement}")
    tagged.sql("bob", "ALTER TABLE {s}.people ALTER COLUMN name SET TAGS ('note' = 'mine')")


def test_a_policy_whose_governed_tag_is_deleted_closes_its_tables(tagged: DataPlane) -> None:
    marker = f"lost_{tagged.schema}"
    tagged.governed.govern(marker)
    _policy(tagged, "SCHEMA", **_mask(tagged.schema, f"has_tag('{marker}')"))
    assert tagged.sql("bob", "SELECT count(*) FROM {s}.people") == [("2",)]
    tagged.governed.ask("admin", "DELETE", f"/api/2.1/tag-policies/{marker}")
    with pytest.raises(SqlFailed, match=rf"cannot be read: policy \w+ needs governed tag {marker}, which does not exist"):
        tagged.sql("bob", "SELECT id FROM {s}.people")
    assert tagged.sql("alice", "SELECT count(*) FROM {s}.people") == [("2",)]


def test_a_row_filter_policy_takes_its_column_by_tag_and_applies_when_the_table_says_so(tagged: DataPlane) -> None:
    tagged.sql("alice", "ALTER TABLE {s}.people ALTER COLUMN state SET TAGS ('area')")
    tagged.sql("alice", "ALTER TABLE {s}.calls ALTER COLUMN state SET TAGS ('area')")
    tagged.sql("alice", "ALTER TABLE {s}.people SET TAGS ('regional' = 'yes')")
    using = [{"alias": "area"}, {"constant": "VIC"}]
    _policy(
        tagged,
        "SCHEMA",
        policy_type="POLICY_TYPE_ROW_FILTER",
        match_columns=[{"alias": "area", "condition": "has_tag('area')"}],
        when_condition="has_tag_value('regional', 'yes')",
        row_filter={"function_name": f"c.{tagged.schema}.only", "using": using},
    )
    assert tagged.sql("bob", "SELECT id FROM {s}.people") == [("2",)]
    assert tagged.sql("bob", "SELECT count(*) FROM {s}.calls") == [("2",)]
    assert tagged.sql("alice", "SELECT count(*) FROM {s}.people") == [("2",)]


def test_policies_that_disagree_close_the_table(tagged: DataPlane) -> None:
    _policy(tagged, "SCHEMA", **_mask(tagged.schema, "has_tag('pii')"))
    other = _mask(tagged.schema, "has_tag('level')")
    other["column_mask"] = {**other["column_mask"], "using": [{"constant": "!"}]}
    _policy(tagged, "SCHEMA", **other)
    with pytest.raises(SqlFailed, match="cannot be read: column name has more than one mask; its policies must be changed"):
        tagged.sql("bob", "SELECT id FROM {s}.people")


def test_a_renamed_column_would_lose_its_tag_and_is_refused(tagged: DataPlane) -> None:
    tagged.sql("alice", "ALTER TABLE {s}.people SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
    with pytest.raises(SqlFailed, match="column name of .* is masked, filtered by or tagged; drop that first"):
        tagged.sql("alice", "ALTER TABLE {s}.people RENAME COLUMN name TO plain")


def test_information_schema_lists_the_tags_of_tables_and_columns_that_one_may_see(tagged: DataPlane) -> None:
    tagged.sql("alice", "ALTER TABLE {s}.calls SET TAGS ('domain' = 'telecom', 'flag')")
    where = f"FROM c.information_schema.{{}} WHERE schema_name = '{tagged.schema}'"
    columns = "SELECT catalog_name, table_name, column_name, tag_name, tag_value " + where.format("column_tags") + " ORDER BY ALL"
    every = [("c", table, "name", *tag) for table in ("calls", "people") for tag in (("level", "high"), ("pii", "name"))]
    assert tagged.sql("alice", columns) == every
    assert tagged.sql("alice", "SELECT table_name, tag_name, tag_value " + where.format("table_tags") + " ORDER BY ALL") == [
        ("calls", "domain", "telecom"),
        ("calls", "flag", None),
    ]
    tagged.sql("alice", "ALTER TABLE {s}.calls ALTER COLUMN name UNSET TAGS ('level')")
    assert len(tagged.sql("alice", columns)) == 3
    tagged.governed.uc(
        "admin", "PATCH", f"permissions/schema/c.{tagged.schema}", {"changes": [{"principal": "analysts", "remove": ["SELECT", "MODIFY"]}]}
    )
    assert tagged.sql("bob", columns) == []
