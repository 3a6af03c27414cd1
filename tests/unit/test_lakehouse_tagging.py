"""Which statements bring the tags of columns to what the contracts say."""

from __future__ import annotations

import pytest

from lakehouse.contracts import load_contracts
from lakehouse.names import Catalogs, TableName
from lakehouse.tagging import Tagging, taggings, tags_query, wanted_tags

DEV = Catalogs(raw="dev_ep_raw", curated="dev_ep_curated", marts="dev_ep_marts", ai="dev_ep_ai")
PROD = Catalogs(raw="ep_raw", curated="ep_curated", marts="ep_marts", ai="ep_ai")
PEOPLE = TableName(catalog="c", schema="s", table="people")


def test_the_keys_carry_what_the_catalogs_carry() -> None:
    silver = (TableName(catalog="dev_ep_curated", schema="cmdm", table="customer_silver"), "email")
    assert wanted_tags(load_contracts(), DEV)[silver] == {"dev_classification": "pii", "dev_pii": "email"}
    row = (TableName(catalog="ep_marts", schema="customer", table="customer_360"), "state")
    assert wanted_tags(load_contracts(), PROD)[row] == {"row_filter": "region"}


def test_catalogs_that_carry_no_environment_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"catalog main is not named <prefix>ep_raw, so that the keys of its tags are unknown\. Fix: --raw_c"
    ):
        wanted_tags(load_contracts(), Catalogs(raw="main", curated="main", marts="main", ai="main"))


def test_a_tag_policy_tells_columns_of_different_types_apart() -> None:
    quarantine = TableName(catalog="ep_raw", schema="cmdm", table="cmdm_quarantine")
    wanted = wanted_tags(load_contracts(), PROD)
    assert (wanted[quarantine, "payload"]["pii"], wanted[quarantine, "errors"]["pii"]) == ("text", "text_array_string")


def test_nothing_is_said_where_nothing_differs() -> None:
    wanted = wanted_tags(load_contracts(), DEV)
    assert taggings(wanted, wanted, prefix="dev_") == ()
    assert len(taggings(wanted, {}, prefix="dev_")) == len(wanted)


def test_only_what_differs_is_set_and_only_our_keys_are_taken_off() -> None:
    wanted = {(PEOPLE, "mail"): {"pii": "email", "classification": "pii"}, (PEOPLE, "name"): {"pii": "name"}}
    present = {
        (PEOPLE, "mail"): {"pii": "text", "classification": "pii", "steward": "ann"},
        (PEOPLE, "name"): {"pii": "name"},
        (PEOPLE, "gone"): {"pii": "text", "row_filter": "region", "steward": "ann"},
    }
    made = taggings(wanted, present, prefix="")
    assert made == (
        Tagging(table=PEOPLE, column="gone", removing=("pii", "row_filter")),
        Tagging(table=PEOPLE, column="mail", setting=(("pii", "email"),)),
    )
    assert [each.statement for each in made] == [
        "ALTER TABLE `c`.`s`.`people` ALTER COLUMN `gone` UNSET TAGS ('pii', 'row_filter')",
        "ALTER TABLE `c`.`s`.`people` ALTER COLUMN `mail` SET TAGS ('pii' = 'email')",
    ]


def test_one_query_looks_at_all_catalogs() -> None:
    query = tags_query(DEV)
    assert query.count("information_schema.column_tags") == 4
    assert "FROM `dev_ep_ai`.information_schema.column_tags WHERE tag_name IN ('dev_classification', 'dev_pii', 'dev_row_filter')" in query
