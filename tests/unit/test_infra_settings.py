"""Settings: a bad value names key, file and fix before any resource exists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import siblings
from infra.errors import SettingsError
from infra.node_types import NODE_TYPES
from infra.settings import AccountSettings, EnvironmentSettings, parse
from local_estate.api.services.compute import node_types

REPOSITORY = Path(__file__).resolve().parents[2]


def configuration(stack: str) -> dict[str, Any]:
    content = yaml.safe_load((REPOSITORY / f"Pulumi.{stack}.yaml").read_text())["config"]
    return {key: value for key, value in content.items() if key.startswith("lakehouse:")}


def _parse(stack: str, config: dict[str, Any]) -> AccountSettings | EnvironmentSettings:
    return parse(stack, {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()})


@pytest.mark.parametrize("stack", ["shared", "dev", "test", "prod"])
def test_the_committed_stack_files_are_sound(stack: str) -> None:
    assert isinstance(_parse(stack, configuration(stack)), AccountSettings if stack == "shared" else EnvironmentSettings)


def test_the_environments_do_not_share_addresses_or_catalogs() -> None:
    settings = [_parse(stack, configuration(stack)) for stack in ("dev", "test", "prod")]
    assert len({each.network.address_space for each in settings if isinstance(each, EnvironmentSettings)}) == 3
    assert len({each.catalog_prefix for each in settings if isinstance(each, EnvironmentSettings)}) == 3


@pytest.mark.parametrize(
    ("section", "change", "said"),
    [
        (
            "network",
            {"public_subnet": "10.99.0.0/24"},
            "lakehouse:network: public_subnet 10.99.0.0/24 is outside address_space 10.10.0.0/16",
        ),
        ("network", {"private_subnet": "10.10.0.0/24"}, "overlaps"),
        ("network", {"private_subnet": "10.10.4.0/27"}, "must be /26 or larger"),
        ("network", {"endpoint_subnet": "10.10.8.1/24"}, "endpoint_subnet: 10.10.8.1/24 has host bits set"),
        ("azure", {"tenant_id": "nobody"}, "lakehouse:azure.tenant_id"),
        ("storage", {"redundancy": "LRS"}, "lakehouse:storage.redundancy"),
        ("compute", {"spark_version": "14"}, "lakehouse:compute.spark_version"),
        ("compute", {"max_workers": 0}, "lakehouse:compute.max_workers"),
        (
            "compute",
            {"node_types": ["Standard_D4ds_v5", "Standard_D4ds_v55"]},
            "lakehouse:compute.node_types: Standard_D4ds_v55 is no node type that Databricks offers here; near it: Standard_D4ds_v5",
        ),
        ("compute", {"gpu": True}, "lakehouse:compute.gpu is no known setting. Fix: remove it"),
        ("tags", {"COST_CENTER": None}, "lakehouse:tags.COST_CENTER"),
        ("tags", {"ENVM": "prod"}, "lakehouse:tags.ENVM is prod, but lakehouse:environment is dev. Fix: correct one of them"),
        ("artifact", {"digest": "abc"}, "lakehouse:artifact.digest"),
    ],
)
def test_a_wrong_value_names_key_and_file(section: str, change: dict[str, Any], said: str) -> None:
    config = configuration("dev")
    config[f"lakehouse:{section}"] = {**config.get(f"lakehouse:{section}", {}), **change}
    with pytest.raises(SettingsError) as refused:
        _parse("dev", config)
    assert str(refused.value).startswith("Pulumi.dev.yaml: ")
    assert said in str(refused.value)
    assert "Fix: " in str(refused.value)


def test_the_node_types_are_those_the_local_databricks_lists() -> None:
    assert {node.node_type_id for node in node_types.NODE_TYPES} == NODE_TYPES


def _beside(root: Path, **changed: dict[str, Any]) -> Path:
    """The committed stack files, with some settings of some stacks changed."""
    for stack in ("shared", "dev", "test", "prod"):
        content = yaml.safe_load((REPOSITORY / f"Pulumi.{stack}.yaml").read_text())
        content["config"] |= changed.get(stack, {})
        (root / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(content))
    return root


@pytest.mark.parametrize("stack", ["shared", "dev", "test", "prod"])
def test_the_committed_stacks_stand_beside_each_other(stack: str) -> None:
    siblings.check(stack, _parse(stack, configuration(stack)), REPOSITORY)


@pytest.mark.parametrize(
    ("of_test", "said"),
    [
        (
            {"lakehouse:catalog_prefix": "dev_"},
            "Pulumi.dev.yaml: lakehouse:catalog_prefix is 'dev_', which Pulumi.test.yaml has, too: "
            "both would claim its catalogs in the region's one metastore. Fix: give it another.",
        ),
        (
            {"lakehouse:environment": "dev"},
            "Pulumi.dev.yaml: lakehouse:environment is 'dev', which Pulumi.test.yaml has, too: "
            "both would claim the names of its resources. Fix: give it another.",
        ),
        (
            {"lakehouse:network": {"address_space": "10.10.128.0/17"}},
            "Pulumi.dev.yaml: lakehouse:network.address_space: 10.10.0.0/16 overlaps 10.10.128.0/17 of Pulumi.test.yaml. "
            "Fix: give it a range of its own.",
        ),
    ],
)
def test_two_environments_do_not_claim_the_same(tmp_path: Path, of_test: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        siblings.check("dev", _parse("dev", configuration("dev")), _beside(tmp_path, test=of_test))
    assert str(refused.value) == said


def test_an_empty_prefix_is_taken_once_like_any_other(tmp_path: Path) -> None:
    config = {**configuration("dev"), "lakehouse:catalog_prefix": ""}
    with pytest.raises(SettingsError, match=r"lakehouse:catalog_prefix is '', which Pulumi\.prod\.yaml has, too"):
        siblings.check("dev", _parse("dev", config), _beside(tmp_path))


def test_an_environment_is_in_the_region_of_the_metastore_it_takes(tmp_path: Path) -> None:
    config = {**configuration("dev"), "lakehouse:azure": {**configuration("dev")["lakehouse:azure"], "location": "westeurope"}}
    with pytest.raises(SettingsError) as refused:
        siblings.check("dev", _parse("dev", config), _beside(tmp_path))
    assert str(refused.value) == (
        "Pulumi.dev.yaml: lakehouse:azure.location is 'westeurope', but Pulumi.shared.yaml has 'australiaeast', "
        "whose metastore this environment takes. Fix: write the same in both."
    )
    shared = {"lakehouse:azure": {**configuration("shared")["lakehouse:azure"], "location": "westeurope"}}
    siblings.check("dev", _parse("dev", config), _beside(tmp_path, shared=shared))


def test_a_cost_centre_is_a_matter_of_the_stack(tmp_path: Path) -> None:
    config = {**configuration("dev"), "lakehouse:tags": {**configuration("dev")["lakehouse:tags"], "COST_CENTER": "MT-9000"}}
    siblings.check("dev", _parse("dev", config), _beside(tmp_path))


def test_a_sibling_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (_beside(tmp_path) / "Pulumi.test.yaml").write_text("config: {secret: [1, 2}")
    with pytest.raises(SettingsError, match=r"^Pulumi\.test\.yaml: no valid YAML, so dev cannot be compared with it\. Fix: "):
        siblings.check("dev", _parse("dev", configuration("dev")), tmp_path)


def test_a_missing_key_is_named() -> None:
    config = configuration("dev")
    del config["lakehouse:storage"]
    with pytest.raises(SettingsError, match=r"Pulumi\.dev\.yaml: lakehouse:storage is missing\. Fix: set it"):
        _parse("dev", config)


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(SettingsError, match="lakehouse:catalogprefix is no known setting"):
        _parse("dev", {**configuration("dev"), "lakehouse:catalogprefix": "x"})


@pytest.mark.parametrize("scope", ["", "workspace"])
def test_the_scope_is_one_of_two(scope: str) -> None:
    with pytest.raises(SettingsError, match="lakehouse:scope must be account or environment"):
        _parse("dev", {**configuration("dev"), "lakehouse:scope": scope})


def test_vacuum_never_undercuts_a_week() -> None:
    with pytest.raises(SettingsError, match="vacuum_retention_hours"):
        _parse("dev", {**configuration("dev"), "lakehouse:vacuum_retention_hours": 24})


@pytest.mark.parametrize(
    ("stack", "key", "value"),
    [
        ("dev", "environment", "Dev"),
        ("dev", "environment", "007"),
        ("dev", "catalog_prefix", "[dev"),
        ("dev", "network", "{10.0.0.0/16"),
        ("dev", "azure", "here"),
        ("dev", "protect", "perhaps"),
        ("shared", "environments", ["dev", "dev"]),
        ("shared", "environments", []),
        ("shared", "hub", {"address_space": "10.0.0.1/20"}),
    ],
)
def test_a_value_of_the_wrong_form_names_its_key(stack: str, key: str, value: Any) -> None:
    with pytest.raises(SettingsError) as refused:
        _parse(stack, {**configuration(stack), f"lakehouse:{key}": value})
    lines = str(refused.value).splitlines()
    assert all(line.startswith(f"Pulumi.{stack}.yaml: lakehouse:{key}") for line in lines), lines
    assert not any(f"{key}.{key}" in line for line in lines)


def test_what_is_protected_is_not_deleted_with_its_contents() -> None:
    with pytest.raises(SettingsError, match="lakehouse:force_destroy deletes what lakehouse:protect keeps"):
        _parse("dev", {**configuration("dev"), "lakehouse:protect": "true"})


def test_every_wrong_value_is_named_at_once() -> None:
    config = {**configuration("dev"), "lakehouse:catalog_prefix": "Dev", "lakehouse:vacuum_retention_hours": 1, "lakehouse:typo": "x"}
    with pytest.raises(SettingsError) as refused:
        _parse("dev", config)
    assert len(str(refused.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("schedules", "said"),
    [
        ({"running": ["bronze"]}, "lakehouse:schedules.running.0"),
        ({"timezone": "Sydney"}, "lakehouse:schedules.timezone: 'Sydney' is no time zone, such as Australia/Sydney"),
        (
            {"maintenance": "0 2 * * *"},
            "'0 2 * * *' is no Quartz expression, which begins with the second: `0 0 2 * * ?` is every day at two",
        ),
    ],
)
def test_a_bad_schedule_is_named(schedules: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        _parse("dev", {**configuration("dev"), "lakehouse:schedules": schedules})
    assert said in str(caught.value)
