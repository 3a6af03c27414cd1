"""Names by Azure's rules, whatever the parts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import BadName
from infra.naming import RULES, Naming, identifier

naming = Naming(organisation="mt", workload="lakehouse", environment="dev", subscription_id="2b8d4c6e-5a17-4f39-8e20-9c1d3e5f7a9b")
word = st.from_regex(r"[a-z][a-z0-9]{1,7}", fullmatch=True)


@given(kind=st.sampled_from(sorted(RULES)), organisation=word, workload=word, environment=word, role=st.one_of(st.just(""), word))
def test_every_name_obeys_its_types_rule(kind: str, organisation: str, workload: str, environment: str, role: str) -> None:
    made = Naming(organisation=organisation, workload=workload, environment=environment, subscription_id="s").azure(kind, role)
    assert re.fullmatch(RULES[kind].pattern, made)
    assert len(made) <= RULES[kind].longest


@given(first=word, second=word)
def test_globally_unique_names_differ_between_environments(first: str, second: str) -> None:
    names = {
        environment: Naming(organisation="mt", workload="lakehouse", environment=environment, subscription_id="s").azure("st")
        for environment in (first, second)
    }
    assert len(set(names.values())) == len({first, second})


def test_the_same_settings_give_the_same_names() -> None:
    assert naming.azure("rg") == "rg-mt-lakehouse-dev"
    assert naming.azure("st") == naming.azure("st")
    assert naming.guid("a") == naming.guid("a") != naming.guid("b")


def test_another_subscription_has_other_global_names() -> None:
    other = Naming(organisation="mt", workload="lakehouse", environment="dev", subscription_id="other")
    assert other.azure("st") != naming.azure("st")
    assert other.azure("rg") == naming.azure("rg")


def test_ids_are_known_before_anything_exists() -> None:
    assert naming.id("Microsoft.Databricks/workspaces", "dbw") == (
        "/subscriptions/2b8d4c6e-5a17-4f39-8e20-9c1d3e5f7a9b/resourceGroups/rg-mt-lakehouse-dev/providers/Microsoft.Databricks/workspaces/dbw"
    )


def test_a_kind_without_a_rule_is_refused() -> None:
    with pytest.raises(BadName, match="no naming rule for 'vm'; add one to RULES"):
        naming.azure("vm")


@pytest.mark.parametrize("name", ["Upper", "with-dash", "1st", "", "a b", "a.b"])
def test_a_catalog_name_that_needs_quoting_is_refused(name: str) -> None:
    with pytest.raises(BadName, match="must be lower-case letters"):
        identifier(name)
