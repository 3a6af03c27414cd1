"""Cluster policies applied to cluster specs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_estate.api.services.compute.evaluation import PolicyMalformed, PolicyViolation, evaluate

SPEC = {"spark_version": "17.3.x-scala2.13", "node_type_id": "Standard_D4ds_v5", "num_workers": 2}


def apply(rules: dict[str, Any], spec: dict[str, Any] = SPEC, *, defaults: bool = False) -> dict[str, Any]:
    return evaluate(json.dumps(rules), spec, apply_defaults=defaults)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"num_workers": {"type": "fixed", "value": 4}}, 'num_workers, the value must be 4 (is "2")'),
        ({"num_workers": {"type": "range", "maxValue": 1}}, 'num_workers, the value must be at most 1 (is "2")'),
        ({"num_workers": {"type": "range", "minValue": 3}}, "at least 3"),
        ({"num_workers": {"type": "forbidden"}}, 'num_workers, the value must not be present (is "2")'),
        ({"node_type_id": {"type": "allowlist", "values": ["Standard_E4ds_v5"]}}, "must be one of Standard_E4ds_v5"),
        ({"node_type_id": {"type": "blocklist", "values": ["Standard_D4ds_v5"]}}, "must not be one of Standard_D4ds_v5"),
        ({"spark_version": {"type": "regex", "pattern": "16\\..*"}}, "must match the regular expression"),
        ({"autotermination_minutes": {"type": "range", "maxValue": 60}}, "autotermination_minutes, the value must be present"),
        ({"custom_tags.ENVM": {"type": "allowlist", "values": ["dev"]}}, "custom_tags.ENVM, the value must be present"),
        ({"cluster_type": {"type": "fixed", "value": "all-purpose"}}, 'cluster_type, the value must be all-purpose (is "job")'),
        ({"dbus_per_hour": {"type": "range", "maxValue": 2}}, 'dbus_per_hour, the value must be at most 2 (is "3.0")'),
    ],
)
def test_a_violation_names_attribute_limit_and_value(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyViolation) as caught:
        apply(rules)
    assert str(caught.value).startswith("Validation failed for ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "rules",
    [
        {"num_workers": {"type": "fixed", "value": "2"}},
        {"num_workers": {"type": "unlimited"}},
        {"autotermination_minutes": {"type": "range", "maxValue": 60, "isOptional": True}},
        {"autotermination_minutes": {"type": "unlimited"}},
        {"autoscale": {"type": "forbidden"}},
        {"dbus_per_hour": {"type": "range", "maxValue": 3}},
        {"cluster_type": {"type": "fixed", "value": "job"}},
        {"init_scripts.*.workspace.destination": {"type": "forbidden"}},
    ],
)
def test_what_keeps_to_the_policy_passes_unchanged(rules: dict[str, Any]) -> None:
    assert apply(rules) == SPEC


def test_fixed_values_fill_in_always_and_defaults_on_request() -> None:
    rules = {
        "data_security_mode": {"type": "fixed", "value": "USER_ISOLATION", "hidden": True},
        "custom_tags.ENVM": {"type": "fixed", "value": "dev"},
        "spark_conf.spark.sql.shuffle.partitions": {"type": "fixed", "value": "8"},
        "autotermination_minutes": {"type": "unlimited", "defaultValue": 30},
        "azure_attributes.availability": {"type": "unlimited", "defaultValue": "SPOT_AZURE"},
    }
    fixed = {
        "data_security_mode": "USER_ISOLATION",
        "custom_tags": {"ENVM": "dev"},
        "spark_conf": {"spark.sql.shuffle.partitions": "8"},
    }
    assert apply(rules) == {**SPEC, **fixed}
    defaults = {"autotermination_minutes": 30, "azure_attributes": {"availability": "SPOT_AZURE"}}
    assert apply(rules, defaults=True) == {**SPEC, **fixed, **defaults}


def test_an_alternative_is_not_added_beside_what_was_chosen() -> None:
    rules = {"autoscale.min_workers": {"type": "range", "minValue": 1, "defaultValue": 1, "isOptional": True}}
    assert "autoscale" not in apply(rules, defaults=True)


def test_every_element_of_an_array_is_checked() -> None:
    rules = {"init_scripts.*.workspace.destination": {"type": "allowlist", "values": ["/a"]}}
    good = {**SPEC, "init_scripts": [{"workspace": {"destination": "/a"}}]}
    assert apply(rules, good) == good
    bad = {**SPEC, "init_scripts": [{"workspace": {"destination": "/a"}}, {"workspace": {"destination": "/b"}}]}
    with pytest.raises(PolicyViolation, match="init_scripts.1.workspace.destination"):
        apply(rules, bad)


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("{", "is malformed"),
        ("[]", "must map attribute paths to rules"),
        ('{"a": {"type": "sometimes"}}', "a has type 'sometimes'"),
        ('{"a": {"type": "fixed"}}', "lacks 'value'"),
    ],
)
def test_a_malformed_policy_is_found_when_it_is_applied(definition: str, message: str) -> None:
    with pytest.raises(PolicyMalformed, match=message):
        evaluate(definition, SPEC, apply_defaults=False)
