"""The wheel uses of Spark, Delta and the runtime what wheel_allow_list.toml records, and nothing else.

No cloud runs these tests: what holds the wheel to Databricks is that each name in the list is one that Databricks documents.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Column, DataFrame, DataFrameReader, DataFrameWriter, GroupedData, Row, SparkSession, Window
from pyspark.sql.conf import RuntimeConfig
from pyspark.sql.streaming import DataStreamReader, DataStreamWriter, StreamingQuery, StreamingQueryManager

WHEEL = Path(__file__).parents[2] / "workloads" / "lakehouse"
RECORDED = Path(__file__).parent / "wheel_allow_list.toml"
CLASSES = (
    *(Column, DataFrame, DataFrameReader, DataFrameWriter, GroupedData, Row, SparkSession, Window, RuntimeConfig),
    *(DataStreamReader, DataStreamWriter, StreamingQuery, StreamingQueryManager),
)
SPARK_NAMES = {name for each in CLASSES for name, _ in inspect.getmembers(each) if not name.startswith("_")}
# Ways out of what Databricks documents for standard (shared) access mode.
WAYS_OUT = {
    "_jvm",
    "_jsc",
    "_jdf",
    "_sc",
    "_gateway",
    "sparkContext",
    "rdd",
    "toPandas",
    "mapInPandas",
    "applyInPandas",
    "udf",
    "pandas_udf",
}
SETTING = re.compile(r"^(cloudFiles|spark|delta|kafka|databricks)\.[A-Za-z][A-Za-z.]*$")
VERBS = "ALTER|ANALYZE|CACHE|CALL|COPY|CREATE|DELETE|DESCRIBE|DROP|GRANT|INSERT|MERGE|OPTIMIZE|REFRESH|RESTORE|REVOKE|SELECT|SET|SHOW"
STATEMENT = re.compile(rf"^\s*((?:{VERBS}|TRUNCATE|UPDATE|USE|VACUUM)(?: [A-Z]+)*)(?= |$)")


class Uses(ast.NodeVisitor):
    """What one file uses, by section of the list."""

    def __init__(self, *, spark: bool) -> None:
        self.spark = spark
        self.found: set[tuple[str, str]] = set()

    def add(self, section: str, name: str) -> None:
        self.found.add((section, name))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._imported(alias.name, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self._imported(str(node.module), f"{node.module}.{alias.name}")

    def _imported(self, module: str, name: str) -> None:
        top = module.partition(".")[0]
        if top not in sys.stdlib_module_names and top != "lakehouse":
            self.add("imports", name)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.value.id == "F":
            self.add("functions", node.attr)
        elif self.spark and node.attr in SPARK_NAMES:
            self.add("members", node.attr)
        if node.attr in WAYS_OUT:
            self.add("ways_out", node.attr)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        first = node.args[0] if node.args else None
        if isinstance(node.func, ast.Attribute) and isinstance(first, ast.Constant) and isinstance(first.value, str):
            if self.spark and node.func.attr == "option":
                self.add("options", first.value)
            if self.spark and node.func.attr == "format" and isinstance(node.func.value, ast.Attribute | ast.Call):
                self.add("formats", first.value)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            if SETTING.match(node.value):
                self.add("settings", node.value)
            if statement := STATEMENT.match(node.value):
                self.add("statements", statement[1])

    def visit_Expr(self, node: ast.Expr) -> None:
        """Docstrings are prose."""
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)


def uses_of(source: str) -> set[tuple[str, str]]:
    uses = Uses(spark="pyspark" in source)
    uses.visit(ast.parse(source))
    return uses.found


@cache
def used() -> dict[tuple[str, str], tuple[str, ...]]:
    """`(section, name)` → the files that use it."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for file in sorted(WHEEL.rglob("*.py")):
        for use in uses_of(file.read_text()):
            found[use] = (*found.get(use, ()), str(file.relative_to(WHEEL.parent)))
    return found


def listed() -> dict[str, Any]:
    return tomllib.loads(RECORDED.read_text())


def recorded() -> Iterator[tuple[str, str]]:
    for section, content in listed().items():
        yield from ((section, name) for name in content["names"])


def test_the_wheel_uses_nothing_that_is_not_recorded() -> None:
    new = {use: files for use, files in used().items() if use not in set(recorded())}
    told = [f"{section}: {name} in {', '.join(files)}" for (section, name), files in sorted(new.items())]
    assert not told, f"look each up in Databricks' documentation, then add it to {RECORDED.name}: " + "; ".join(told)


def test_nothing_is_recorded_that_the_wheel_does_not_use() -> None:
    assert set(recorded()) - set(used()) == set()


def test_every_section_says_where_its_names_are_documented() -> None:
    for section, content in listed().items():
        pages = content.get("pages", {})
        assert all(
            re.match(r"https://(learn\.microsoft\.com/azure|docs)[./]databricks", page) for page in [content["documented"], *pages.values()]
        )
        assert content["names"] == sorted(set(content["names"])), f"{section}: sort the names, each once"
        assert set(pages) <= set(content["names"]), f"{section}.pages: {set(pages) - set(content['names'])} is not in use"


@pytest.mark.parametrize(
    ("source", "use"),
    [
        ("from pyspark.sql import DataFrame\nfrom delta.tables import DeltaTable", ("imports", "delta.tables.DeltaTable")),
        ("from pyspark.sql import functions as F\nF.bround('x', 2)", ("functions", "bround")),
        ("import pyspark\nrows.mapInArrow(f, s)", ("members", "mapInArrow")),
        ("import pyspark\nspark.sparkContext.parallelize([1])", ("ways_out", "sparkContext")),
        ("import pyspark\nspark.conf.set('spark.databricks.delta.x', '1')", ("settings", "spark.databricks.delta.x")),
        ("import pyspark\nspark.read.option('mergeSchema', 'true')", ("options", "mergeSchema")),
        ("import pyspark\nspark.read.format('cloudFiles')", ("formats", "cloudFiles")),
        ("spark.sql(f'DROP TABLE {name}')", ("statements", "DROP TABLE")),
    ],
)
def test_a_use_of_each_section_is_seen(source: str, use: tuple[str, str]) -> None:
    assert use in uses_of(source)


def test_no_way_out_of_the_documented_is_taken() -> None:
    assert [use for use in used() if use[0] == "ways_out"] == []
