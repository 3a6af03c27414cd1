"""sql/functions against the contracts that need them: every mask and filter has its file and signature, and none is without use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from infra.databricks.governance import policies
from infra.databricks.groups import REGION_GROUPS, REGIONS
from infra.databricks.sql_functions import FunctionFile, function_files
from infra.errors import Refused
from lakehouse.contracts import contract, load_contracts
from lakehouse.contracts.masks import filters, masks

CATALOGS = {layer: f"dev_ep_{layer}" for layer in ("raw", "curated", "marts", "ai")}
FILES = {file.name: file for file in function_files()}


def _parsed(file: FunctionFile) -> exp.Create:
    parsed = sqlglot.parse_one(file.statement(CATALOGS), dialect="databricks")
    assert isinstance(parsed, exp.Create), file
    return parsed


@pytest.mark.parametrize("file", FILES.values(), ids=list(FILES))
def test_a_file_replaces_the_function_that_its_path_says(file: FunctionFile) -> None:
    made = _parsed(file)
    assert made.args["replace"]
    assert made.kind == "FUNCTION"
    table = made.this.this
    assert f"{table.catalog}.{table.db}.{table.name}" == file.full_name(CATALOGS)
    assert re.search(r"^COMMENT '.+'$", file.text, re.MULTILINE)


def test_every_mask_and_filter_of_the_contracts_has_its_function_and_there_is_no_other() -> None:
    signatures = {mask.function: (mask.column_type, mask.column_type) for mask in masks(load_contracts())}
    signatures |= {each.function: (each.column_type, "BOOLEAN") for each in filters(load_contracts())}
    found = {}
    for name, file in FILES.items():
        made = re.search(rf"\.{name}\(\w+ (\S+)\)\nRETURNS (\S+)\n", file.text)
        assert made, file
        found[name] = (made[1], made[2])
    assert found == signatures
    assert {policy.function for policy in policies()} == set(found)


def test_every_state_that_a_contract_allows_has_its_group_in_the_filter() -> None:
    assert sorted(contract("amdm.address_silver").column("state").valid_values) == sorted(REGIONS)
    asked = re.findall(r"WHEN '(\w+)' THEN is_account_group_member\('([\w-]+)'\)", FILES["in_region"].text)
    assert dict(asked) == dict(zip(REGIONS, REGION_GROUPS, strict=True))


def test_a_placeholder_that_is_no_layer_is_named_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "raw" / "governance" / "f.sql"
    file.parent.mkdir(parents=True)
    file.write_text(
        "-- {bronze} in a comment is nobody's business\nCREATE OR REPLACE FUNCTION {bronze}.governance.f() RETURNS INT RETURN 1;\n"
    )
    (found,) = function_files(tmp_path)
    with pytest.raises(Refused, match=r"sql/functions/raw/governance/f\.sql: names \{bronze\}\. Fix: use one of \{raw\}, \{curated\}"):
        found.statement(CATALOGS)
