"""What `estate sql` makes of a result set: for eyes, for JSON, for CSV."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from local_estate import airflow, answers
from local_estate.ask import Answer


def shown(answer: Answer, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    for part in answers.shown(answer, width):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


TWO = Answer(columns=("id", "name"), types=("INT", "STRING"), rows=(("1", "[red]Ada[/red]"), ("2", None)))


def test_what_fits_is_a_table_and_markup_is_text() -> None:
    assert shown(TWO, 40).split() == ["id", "┃", "name", "━━━━╇━━━━━━━━━━━━━━━━", "1", "│", "[red]Ada[/red]", "2", "│", "NULL"]


def test_what_is_too_wide_for_a_table_is_a_record_a_row() -> None:
    wide = Answer(columns=tuple(f"column_{n}" for n in range(10)), types=("STRING",) * 10, rows=(("some words here",) * 10,) * 2)
    lines = shown(wide, 60).splitlines()
    assert lines[:3] == ["row 1", "column_0 some words here", "column_1 some words here"]
    assert lines.count("column_9 some words here") == 2
    assert max(map(len, lines)) <= 60
    assert "┃" in shown(wide, 200)


def test_nothing_found_still_names_the_columns() -> None:
    assert shown(Answer(columns=("id", "name"), types=("INT", "STRING"), rows=()), 40).split()[:3] == ["id", "┃", "name"]


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("42", "BIGINT", 42),
        ("true", "BOOLEAN", True),
        ("false", "BOOLEAN", False),
        ("1.5", "DOUBLE", 1.5),
        ("NaN", "DOUBLE", "NaN"),
        ("0.10", "DECIMAL(10,2)", "0.10"),
        ("007", "STRING", "007"),
        ("2025-06-02", "DATE", "2025-06-02"),
        ('["a",1]', "ARRAY<STRING>", ["a", 1]),
        ('{"a":"b"}', "STRUCT<a: STRING>", {"a": "b"}),
        (None, "INT", None),
    ],
)
def test_json_has_the_type_of_the_column(value: str | None, kind: str, expected: Any) -> None:
    found = answers.typed(value, kind)
    assert (found, type(found)) == (expected, type(expected))


def test_json_names_columns_and_types() -> None:
    assert answers.as_json(TWO) == {
        "columns": [{"name": "id", "type": "INT"}, {"name": "name", "type": "STRING"}],
        "rows": [{"id": 1, "name": "[red]Ada[/red]"}, {"id": 2, "name": None}],
    }


def test_a_name_that_comes_twice_loses_no_value() -> None:
    twice = Answer(columns=("n", "n"), types=("INT", "INT"), rows=(("1", "2"),))
    assert answers.as_json(twice)["rows"] == [{"n": 1, "n_2": 2}]


def test_csv_quotes_what_must_be() -> None:
    said = Answer(columns=("a", "b"), types=("STRING", "STRING"), rows=(('x,"y"', None), ("two\nlines", "z")))
    assert answers.as_csv(said) == 'a,b\n"x,""y""",\n"two\nlines",z\n'


def test_airflow_gets_scheme_host_and_port_apart() -> None:
    assert json.loads(airflow.connection("http://127.0.0.1:4711", "dapi1")) == {
        "conn_type": "databricks",
        "schema": "http",
        "host": "127.0.0.1",
        "port": 4711,
        "password": "dapi1",
    }
    assert "port" not in json.loads(airflow.connection("https://adb-1.1.azuredatabricks.net", "dapi1"))
