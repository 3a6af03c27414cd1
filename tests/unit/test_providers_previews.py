"""What a preview knows: the published azure-native shows the inputs and little else, bridged providers keep what the service decided."""

from __future__ import annotations

import pytest

from local_estate.providers.azure_native.provider import AzureNative
from local_estate.providers.databricks.provider import Databricks
from local_estate.providers.wire import UNKNOWN

CONNECTOR = "azure-native:databricks:AccessConnector"


def test_a_creation_knows_what_the_program_states_and_not_even_the_name_as_arm_will_say_it() -> None:
    stated = {"resourceGroupName": "rg", "connectorName": "dbac", "location": "australiaeast", "identity": {"type": "SystemAssigned"}}
    foreseen = AzureNative().kind(CONNECTOR).foresee(stated)
    assert foreseen["location"] == "australiaeast"
    assert foreseen["identity"]["type"] == "SystemAssigned"
    assert foreseen["identity"]["principalId"] is UNKNOWN
    assert foreseen["name"] is foreseen["tags"] is foreseen["properties"] is UNKNOWN
    assert "id" not in foreseen  # the engine's


def test_an_update_keeps_name_and_location_and_no_other_answer_of_arm() -> None:
    before = {"resourceGroupName": "rg", "connectorName": "dbac", "identity": {"type": "SystemAssigned"}, "tags": {"a": "1"}}
    outputs = {
        "name": "dbac",
        "location": "australiaeast",
        "identity": {"type": "SystemAssigned", "principalId": "p", "tenantId": "t"},
        "tags": {"a": "1"},
        "properties": {"provisioningState": "Succeeded"},
    }
    foreseen = AzureNative().kind(CONNECTOR).foresee_update(before, {**before, "tags": {"a": "2"}}, outputs)
    assert (foreseen["name"], foreseen["location"], foreseen["tags"]) == ("dbac", "australiaeast", {"a": "2"})
    assert foreseen["identity"]["principalId"] is foreseen["properties"] is UNKNOWN


def test_what_is_nested_is_foreseen_part_by_part() -> None:
    rules = {"defaultAction": "Deny", "ipRules": [{"iPAddressOrRange": "10.0.0.1"}]}
    foreseen = AzureNative().kind("azure-native:storage:StorageAccount").foresee({"accountName": "st", "networkRuleSet": rules})
    assert foreseen["networkRuleSet"]["defaultAction"] == "Deny"
    assert foreseen["networkRuleSet"]["bypass"] is UNKNOWN
    assert foreseen["networkRuleSet"]["ipRules"] == [{"action": UNKNOWN, "iPAddressOrRange": "10.0.0.1"}]


def test_an_update_of_databricks_keeps_what_the_service_decided_and_forgets_what_the_program_no_longer_states() -> None:
    kind = Databricks().kind("databricks:index/servicePrincipal:ServicePrincipal")
    before = {"displayName": "etl", "externalId": "x"}
    outputs = {"displayName": "etl", "externalId": "x", "applicationId": "app", "home": "/Users/app"}
    foreseen = kind.foresee_update(before, {"displayName": "etl2"}, outputs)
    assert foreseen == {"displayName": "etl2", "applicationId": "app", "home": "/Users/app"}


@pytest.mark.parametrize(
    ("token", "path", "replaced"),
    [
        ("keyvault:Vault", "location", True),
        ("keyvault:Vault", "properties.softDeleteRetentionInDays", True),
        ("keyvault:Vault", "properties.networkAcls.bypass", False),
        ("privatedns:PrivateZone", "location", True),
        ("privatedns:VirtualNetworkLink", "location", True),
        ("privatedns:VirtualNetworkLink", "registrationEnabled", False),
        ("databricks:Workspace", "location", True),
        ("databricks:Workspace", "parameters.storageAccountName.value", True),
        ("databricks:Workspace", "parameters.enableNoPublicIp.value", False),
        ("databricks:AccessConnector", "location", True),
        ("databricks:AccessConnector", "identity.type", False),
        ("operationalinsights:Workspace", "location", True),
        ("operationalinsights:Workspace", "retentionInDays", False),
        ("authorization:RoleAssignment", "roleDefinitionId", True),
        ("authorization:RoleAssignment", "principalType", True),
        ("authorization:RoleAssignment", "description", False),
        ("network:PublicIPAddress", "zones", True),
        ("network:PublicIPAddress", "publicIPAllocationMethod", True),
        ("network:PublicIPAddress", "idleTimeoutInMinutes", False),
        ("storage:StorageAccount", "encryption.requireInfrastructureEncryption", True),
        ("storage:StorageAccount", "encryption.services.blob.keyType", True),
        ("storage:StorageAccount", "encryption.keySource", False),
        ("storage:StorageAccount", "sku.name", False),
    ],
)
def test_what_arm_takes_at_creation_alone_needs_a_new_resource(token: str, path: str, replaced: bool) -> None:
    """The ARM reference marks these properties as settable at creation only."""
    assert AzureNative().kind(f"azure-native:{token}").replaces(path) is replaced


@pytest.mark.parametrize(
    ("token", "path", "replaced"),
    [
        ("metastore:Metastore", "region", False),
        ("metastore:Metastore", "storageRoot", True),
        ("instancePool:InstancePool", "enableElasticDisk", True),
        ("pipeline:Pipeline", "gatewayDefinition.connectionId", True),
        ("pipeline:Pipeline", "gatewayDefinition", False),
    ],
)
def test_databricks_replaces_what_the_published_provider_replaces(token: str, path: str, replaced: bool) -> None:
    assert Databricks().kind(f"databricks:index/{token}").replaces(path) is replaced
