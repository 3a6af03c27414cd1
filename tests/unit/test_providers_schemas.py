"""The SDKs' own types, as the providers read them, and what Check makes of them."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

import pytest

from local_estate.providers.azure_native.arm_types import ARM_TYPES
from local_estate.providers.azure_native.provider import AzureNative
from local_estate.providers.checking import Checker
from local_estate.providers.databricks.provider import KINDS, Databricks
from local_estate.providers.introspection import tokens
from local_estate.providers.package_schema import package_schema
from local_estate.providers.schemas import Schemas, TypeSchema, UnknownType
from local_estate.providers.wire import UNKNOWN, Secret


@pytest.fixture(scope="module")
def databricks() -> Schemas:
    return Schemas("pulumi_databricks", version("pulumi_databricks"))


def failures(schema: Any, inputs: dict[str, Any], *, lenient: bool = True) -> dict[str, str]:
    checker = Checker(schema, lenient=lenient)
    checker.inputs(inputs)
    return {each.property: each.reason for each in checker.failures}


def test_every_databricks_type_of_the_sdk_is_checked_for_unknown_and_missing_properties(databricks: Schemas) -> None:
    found = tokens("pulumi_databricks")
    resources = [token for token in found if not token.startswith("pulumi:providers")]
    assert len(resources) == 177
    for token in resources:
        schema = databricks.get(token)
        assert failures(schema, {"noSuchProperty": 1})["noSuchProperty"].startswith("Unknown property 'noSuchProperty'"), token
        for name in schema.required:
            assert failures(schema, {})[name] == f"Missing required property '{name}'", token


def _stated(schema: TypeSchema, path: str) -> bool:
    """Whether a path of names leads to an input of the type."""
    first, *rest = path.split(".")
    node = schema.inputs.get(first)
    for name in rest:
        node = schema.properties_of(node).get(name) if node and node["type"] == "object" else None
    return node is not None


def test_every_azure_type_of_the_platform_has_the_inputs_its_path_needs() -> None:
    provider = AzureNative()
    for token, arm in ARM_TYPES.items():
        schema = provider.kind(token).schema
        for name in (part.partition("}")[0] for part in arm.path.split("{")[1:]):
            assert name == "subscriptionId" or name in schema.inputs, token
        assert arm.top <= set(schema.inputs), token
        assert all(_stated(schema, path) for path in arm.replaces), token


def test_what_steers_a_databricks_type_and_what_it_defaults_to_are_its_inputs() -> None:
    provider = Databricks()
    for token in KINDS:
        kind = provider.kind(token)
        for name in (*kind.input_only, *kind.defaults):  # type: ignore[attr-defined]
            assert name in kind.schema.inputs, f"{token} has no {name}"


def test_args_classes_of_one_name_in_two_modules_are_told_apart() -> None:
    provider = AzureNative()
    vault = provider.kind("azure-native:keyvault:Vault").schema
    storage = provider.kind("azure-native:storage:StorageAccount").schema
    assert "value" in vault.definitions["IPRuleArgs"]["properties"]
    assert "iPAddressOrRange" in storage.definitions["IPRuleArgs"]["properties"]


def test_unknown_values_and_secrets_pass_and_secrets_are_checked_inside(databricks: Schemas) -> None:
    job = databricks.get("databricks:index/job:Job")
    assert failures(job, {"tasks": UNKNOWN, "name": Secret("x"), "tags": {"a": UNKNOWN}}) == {}
    assert failures(job, {"tasks": Secret([{"taskKey": "a", "nope": 1}])}) == {"tasks[0].nope": "Unknown property 'nope'"}


def test_numbers_and_booleans_in_strings_are_converted_as_the_bridge_does(databricks: Schemas) -> None:
    checker = Checker(databricks.get("databricks:index/mwsPermissionAssignment:MwsPermissionAssignment"), lenient=True)
    values = checker.inputs({"workspaceId": 3141592653589793, "principalId": "7", "permissions": ["USER"]})
    assert values["workspaceId"] == "3141592653589793" and not checker.failures
    job = Checker(databricks.get("databricks:index/job:Job"), lenient=True)
    assert job.inputs({"maxConcurrentRuns": "3", "queue": {"enabled": "true"}}) == {"maxConcurrentRuns": 3, "queue": {"enabled": True}}


def test_azure_takes_no_number_for_a_string() -> None:
    schema = AzureNative().kind("azure-native:network:Subnet").schema
    found = failures(schema, {"resourceGroupName": "g", "virtualNetworkName": "v", "subnetName": 5}, lenient=False)
    assert found == {"subnetName": "Expected a string, got number"}


def test_a_type_that_is_none_is_named(databricks: Schemas) -> None:
    with pytest.raises(UnknownType, match="databricks:index/spaceship:Spaceship"):
        databricks.get("databricks:index/spaceship:Spaceship")


def test_the_package_schema_for_imports_declares_all_that_it_requires() -> None:
    """An object whose required `id` was not among its properties could not be bound, and no code came of it."""
    for provider in (AzureNative(), Databricks()):
        schema = json.loads(package_schema(provider))
        for name, found in schema["types"].items():
            assert set(found["required"]) <= set(found["properties"]), name
        for token, found in schema["resources"].items():
            assert set(found["requiredInputs"]) <= set(found["inputProperties"]), token
            assert not {"id", "urn"} & {*found["properties"], *found["inputProperties"]}, token


def test_the_package_schema_for_imports_resolves_every_reference() -> None:
    for provider in (AzureNative(), Databricks()):
        schema = json.loads(package_schema(provider))
        assert set(schema["resources"]) == set(provider.tokens())
        text = json.dumps(schema)
        names = {part.split('"')[0] for part in text.split("#/types/")[1:]}
        assert names <= set(schema["types"])


def test_the_enumerations_are_those_of_the_databricks_sdk(databricks: Schemas) -> None:
    assert {"SELECT", "USE_CATALOG", "MANAGE"} <= set(databricks.enum("Privilege"))
    assert {"CAN_MANAGE_RUN", "IS_OWNER"} <= set(databricks.enum("PermissionLevel"))
