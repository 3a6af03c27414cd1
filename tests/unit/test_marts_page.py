"""What docs/marts.md and the contracts say of keys and words is what the code does."""

from __future__ import annotations

import hashlib
import json
import re

import pytest

from lakehouse.contracts import contract
from lakehouse.silver.address import _STATES
from lakehouse.silver.standardise import _CASE_STATUSES, _CASE_TYPES
from local_estate.paths import REPOSITORY

KEYS = re.findall(r"^\| [a-z_, ]+ \| `(\{.*\})` \| `([0-9a-f]{64})` \|$", (REPOSITORY / "docs/marts.md").read_text(), re.MULTILINE)


def test_the_worked_examples_of_surrogate_keys_can_be_worked_out_by_hand() -> None:
    assert [list(json.loads(natural)) for natural, _ in KEYS] == [["customer_id"], ["amdm_addr_id"], ["customer_id", "effective_from"]]
    for natural, key in KEYS:
        assert hashlib.sha256(natural.encode()).hexdigest() == key


@pytest.mark.parametrize(
    ("dataset", "column", "synonyms"),
    [
        ("pega.case_silver", "case_type", _CASE_TYPES),
        ("pega.case_silver", "status", _CASE_STATUSES),
        ("amdm.address_silver", "state", _STATES),
    ],
)
def test_every_synonym_stands_in_the_contract(dataset: str, column: str, synonyms: dict[str, str]) -> None:
    said = re.split(r", |; then ", contract(dataset).column(column).transformation)
    for word, meant in synonyms.items():
        assert any(re.search(rf"(^|\W){word}(\W|$)", part) and part.endswith(meant) for part in said), f"{word} is {meant}"


def test_order_of_the_full_address_tolerance_and_casing_are_in_contracts_and_their_pages() -> None:
    address, case = contract("amdm.address_silver"), contract("pega.case_silver")
    assert address.column("full_address").transformation.startswith("addr_line_2, addr_line_1, suburb, state, postcode in this order")
    assert "n.s.w. is NSW" in address.column("state").transformation
    assert case.column("channel").transformation == "upper case, blanks, hyphens and slashes to underscores"
    for dataset, column in ((case, "updated_ts"), (address, "updated_ts"), (case, "created_ts")):
        (rule,) = dataset.column(column).quality
        assert rule.description == "more than 15 minutes after its arrival"
    deleted = contract("customer.customer_identity").description
    assert deleted.endswith("a customer that CMDM deleted has no row")
    assert "addr_line_2, addr_line_1, suburb" in (REPOSITORY / "docs/contracts/amdm.md").read_text()
