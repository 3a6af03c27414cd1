"""The source of the pipeline `telecom`: what Databricks documents and nothing else, and rules that come from the contracts."""

from __future__ import annotations

import ast
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lakehouse.contracts import DatasetContract, Severity, contract

TELECOM = Path(__file__).resolve().parents[2] / "workloads" / "pipelines" / "telecom"
SOURCES = sorted(TELECOM.rglob("*.py"))
# https://docs.databricks.com/aws/en/ldp/developer/python-ref
DOCUMENTED = {
    "append_flow",
    "create_auto_cdc_flow",
    "create_streaming_table",
    "expect",
    "expect_all",
    "expect_all_or_drop",
    "expect_all_or_fail",
    "expect_or_drop",
    "expect_or_fail",
    "materialized_view",
    "table",
    "temporary_view",
}


def test_the_source_uses_documented_names_of_the_pipelines_module_only() -> None:
    used = {
        node.attr
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "dp"
    }
    assert used and used <= DOCUMENTED


def test_the_source_imports_the_wheel_pyspark_and_its_own_helpers_only() -> None:
    helpers = {file.stem for file in TELECOM.glob("*.py")}
    roots = set()
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                roots.add((node.module or "").partition(".")[0])
            elif isinstance(node, ast.Import):
                roots |= {name.name.partition(".")[0] for name in node.names}
    assert roots <= {"__future__", "dataclasses", "pyspark", "lakehouse", *helpers}


@pytest.mark.parametrize("name", ["cmdm.customer_silver", "jarvis.service_silver"])
def test_expectations_are_the_contracts_rules(name: str) -> None:
    functions: dict[str, Any] = runpy.run_path(str(TELECOM / "expectations.py"))
    must: Callable[[DatasetContract], Mapping[str, str]] = functions["must_hold"]
    should: Callable[[DatasetContract], Mapping[str, str]] = functions["should_hold"]
    silver = contract(name)
    errors = {column.name for column in silver.declared_columns if any(rule.severity is Severity.ERROR for rule in column.quality)}
    warnings = {column.name for column in silver.declared_columns if any(rule.severity is Severity.WARNING for rule in column.quality)}
    required = {column.name for column in silver.declared_columns if column.required}
    assert {f"valid_{column}" for column in errors | required} | {"readable_row"} <= set(must(silver))
    assert set(should(silver)) == {f"likely_{column}" for column in warnings}
    assert must(silver)["readable_row"] == "NOT exists(_errors, reason -> startswith(reason, 'row: '))"
