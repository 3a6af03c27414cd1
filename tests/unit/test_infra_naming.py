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


longer = st.from_regex(r"[a-z][a-z0-9]{1,11}", fullmatch=True)  # the longest workload the settings admit


@given(kind=st.sampled_from(sorted(RULES)), workload=longer, environment=st.from_regex(r"[a-z]{3,8}", fullmatch=True))
def test_the_longest_settings_still_make_a_name_for_every_role(kind: str, workload: str, environment: str) -> None:
    made = Naming(organisation="o2345678", workload=workload, environment=environment, subscription_id="s")
    for role in ("", "con", "managed", "workspace", "endpoints", "lake-blob", "databricks_ui_api".replace("_", "-")):
        assert re.fullmatch(RULES[kind].pattern, made.azure(kind, role))


@given(role=word, other=word)
def test_roles_of_one_environment_do_not_share_a_name(role: str, other: str) -> None:
    for kind in ("st", "kv", "pe", "snet"):
        assert (naming.azure(kind, role) == naming.azure(kind, other)) == (role == other)


@pytest.mark.parametrize(
    ("kind", "role", "name"),
    [
        ("rg", "", "rg-mt-lakehouse-dev"),
        ("rg", "managed", "rg-mt-lakehouse-managed-dev"),
        ("vnet", "", "vnet-mt-lakehouse-dev"),
        ("snet", "public", "snet-mt-lakehouse-public-dev"),
        ("dbw", "", "dbw-mt-lakehouse-dev"),
        ("dbac", "", "dbac-mt-lakehouse-dev"),
        ("log", "", "log-mt-lakehouse-dev"),
    ],
)
def test_deployed_names_stay(kind: str, role: str, name: str) -> None:
    assert naming.azure(kind, role) == name


def test_deployed_global_names_stay() -> None:
    assert re.fullmatch(r"stmtlakehousedev[0-9a-f]{4}", naming.azure("st"))
    assert re.fullmatch(r"kv-mt-lakehouse-con[0-9a-f]{4}", naming.azure("kv", "con"))


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


def test_a_name_longer_than_azure_takes_is_refused() -> None:
    with pytest.raises(BadName, match="is no valid name for vnet: at most 64 characters"):
        naming.azure("vnet", "r" * 60)


def test_a_kind_without_a_rule_is_refused() -> None:
    with pytest.raises(BadName, match="no naming rule for 'vm'; add one to RULES"):
        naming.azure("vm")


@pytest.mark.parametrize("name", ["Upper", "with-dash", "1st", "", "a b", "a.b"])
def test_a_catalog_name_that_needs_quoting_is_refused(name: str) -> None:
    with pytest.raises(BadName, match="must be lower-case letters"):
        identifier(name)
