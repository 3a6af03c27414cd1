"""The ARM types of the estate, a row each: where they live, which API version, which changes need a new one.

azure-native flattens an ARM body's `properties` into the resource's top level. `top` names what ARM itself keeps beside `properties`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_GROUP = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"
_TRACKED = frozenset({"location", "tags"})


@dataclass(frozen=True, kw_only=True)
class ArmType:
    """`path` holds input names in braces, the last one the resource's own name. `replaces`: paths besides the path's parameters.

    `explicit_properties`: the SDK shows `properties` as such. `singleton`: exists with its parent; Delete PUTs this body.
    `inline`: sub-collections that are resources too; what a PUT leaves out is read back and sent again.
    """

    path: str
    api_version: str
    top: frozenset[str] = frozenset()
    replaces: frozenset[str] = frozenset()
    explicit_properties: bool = False
    singleton: Mapping[str, Any] | None = None
    inline: tuple[str, ...] = ()
    fixed_name: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)  # an input's name -> ARM's name, at any depth

    @property
    def name_input(self) -> str:
        return self.path.rpartition("{")[2].rstrip("}")

    @property
    def located(self) -> bool:
        return "location" in self.top


def _provider(rest: str) -> str:
    return f"{_GROUP}/providers/{rest}"


_VNET = "Microsoft.Network/virtualNetworks/{virtualNetworkName}"
_NSG = "Microsoft.Network/networkSecurityGroups/{networkSecurityGroupName}"
_ENDPOINT = "Microsoft.Network/privateEndpoints/{privateEndpointName}"
_ZONE = "Microsoft.Network/privateDnsZones/{privateZoneName}"
_ACCOUNT = "Microsoft.Storage/storageAccounts/{accountName}"
_VAULT = "Microsoft.KeyVault/vaults/{vaultName}"
_NETWORK = "2024-05-01"
_STORAGE = "2024-01-01"
_DATABRICKS = "2026-01-01"

_STORAGE_NAMES = {
    "networkRuleSet": "networkAcls",
    "enableHttpsTrafficOnly": "supportsHttpsTrafficOnly",
    "enableNfsV3": "isNfsV3Enabled",
    "iPAddressOrRange": "value",
    "virtualNetworkResourceId": "id",
    "keyVaultProperties": "keyvaultproperties",
    "keyName": "keyname",
    "keyVersion": "keyversion",
    "keyVaultUri": "keyvaulturi",
    "encryptionIdentity": "identity",
    "encryptionUserAssignedIdentity": "userAssignedIdentity",
}

ARM_TYPES: dict[str, ArmType] = {
    "azure-native:resources:ResourceGroup": ArmType(
        path=_GROUP, api_version="2024-03-01", top=_TRACKED | {"managedBy"}, replaces=frozenset({"location", "managedBy"})
    ),
    "azure-native:network:VirtualNetwork": ArmType(
        path=_provider(_VNET),
        api_version=_NETWORK,
        top=_TRACKED | {"extendedLocation"},
        replaces=frozenset({"location"}),
        inline=("subnets", "virtualNetworkPeerings"),
    ),
    "azure-native:network:Subnet": ArmType(
        path=_provider(_VNET + "/subnets/{subnetName}"),
        api_version=_NETWORK,
        top=frozenset({"id", "name", "type"}),
        replaces=frozenset({"defaultOutboundAccess"}),  # fixed at creation, although azure-native lets ARM say so
    ),
    "azure-native:network:NetworkSecurityGroup": ArmType(
        path=_provider(_NSG), api_version=_NETWORK, top=_TRACKED, replaces=frozenset({"location"}), inline=("securityRules",)
    ),
    "azure-native:network:SecurityRule": ArmType(
        path=_provider(_NSG + "/securityRules/{securityRuleName}"), api_version=_NETWORK, top=frozenset({"id", "name", "type"})
    ),
    "azure-native:network:PublicIPAddress": ArmType(
        path=_provider("Microsoft.Network/publicIPAddresses/{publicIpAddressName}"),
        api_version=_NETWORK,
        top=_TRACKED | {"sku", "zones", "extendedLocation", "id"},
        replaces=frozenset({"location", "sku", "publicIPAddressVersion", "publicIPPrefix", "publicIPAllocationMethod", "zones"}),
    ),
    "azure-native:network:NatGateway": ArmType(
        path=_provider("Microsoft.Network/natGateways/{natGatewayName}"),
        api_version=_NETWORK,
        top=_TRACKED | {"sku", "zones", "id"},
        replaces=frozenset({"location", "sku.name", "zones"}),
    ),
    "azure-native:network:PrivateEndpoint": ArmType(
        path=_provider(_ENDPOINT),
        api_version=_NETWORK,
        top=_TRACKED | {"extendedLocation", "id"},
        replaces=frozenset({"location", "subnet", "customNetworkInterfaceName"}),
    ),
    "azure-native:network:PrivateDnsZoneGroup": ArmType(
        path=_provider(_ENDPOINT + "/privateDnsZoneGroups/{privateDnsZoneGroupName}"), api_version=_NETWORK, top=frozenset({"id", "name"})
    ),
    "azure-native:privatedns:PrivateZone": ArmType(
        path=_provider(_ZONE), api_version="2024-06-01", top=_TRACKED, replaces=frozenset({"location"})
    ),
    "azure-native:privatedns:VirtualNetworkLink": ArmType(
        path=_provider(_ZONE + "/virtualNetworkLinks/{virtualNetworkLinkName}"),
        api_version="2024-06-01",
        top=_TRACKED,
        replaces=frozenset({"location", "virtualNetwork"}),
    ),
    "azure-native:storage:StorageAccount": ArmType(
        path=_provider(_ACCOUNT),
        api_version=_STORAGE,
        top=_TRACKED | {"sku", "kind", "identity", "extendedLocation"},
        replaces=frozenset(
            {
                "location",
                "extendedLocation",
                "isHnsEnabled",
                "enableNfsV3",
                "encryption.requireInfrastructureEncryption",
                *(f"encryption.services.{service}.keyType" for service in ("blob", "file", "queue", "table")),
            }
        ),
        renamed=_STORAGE_NAMES,
    ),
    "azure-native:storage:BlobServiceProperties": ArmType(
        path=_provider(_ACCOUNT + "/blobServices/{blobServicesName}"),
        api_version=_STORAGE,
        singleton={"properties": {"deleteRetentionPolicy": {"enabled": False}}},
        fixed_name="default",
    ),
    "azure-native:storage:BlobContainer": ArmType(
        path=_provider(_ACCOUNT + "/blobServices/default/containers/{containerName}"),
        api_version=_STORAGE,
        replaces=frozenset({"defaultEncryptionScope", "denyEncryptionScopeOverride", "immutableStorageWithVersioning.enabled"}),
    ),
    "azure-native:storage:ManagementPolicy": ArmType(
        path=_provider(_ACCOUNT + "/managementPolicies/{managementPolicyName}"), api_version=_STORAGE, fixed_name="default"
    ),
    "azure-native:keyvault:Vault": ArmType(
        path=_provider(_VAULT),
        api_version="2024-11-01",
        top=_TRACKED,
        replaces=frozenset({"location", "properties.softDeleteRetentionInDays"}),
        explicit_properties=True,
    ),
    "azure-native:keyvault:Secret": ArmType(
        path=_provider(_VAULT + "/secrets/{secretName}"), api_version="2024-11-01", top=frozenset({"tags"}), explicit_properties=True
    ),
    "azure-native:databricks:Workspace": ArmType(
        path=_provider("Microsoft.Databricks/workspaces/{workspaceName}"),
        api_version=_DATABRICKS,
        top=_TRACKED | {"sku"},
        replaces=frozenset(
            {
                "location",
                "computeMode",
                "managedResourceGroupId",
                "defaultCatalog.initialType",
                "defaultCatalog.initialName",
                *(
                    f"parameters.{name}"
                    for name in (
                        "loadBalancerBackendPoolName",
                        "loadBalancerId",
                        "natGatewayName",
                        "publicIpName",
                        "requireInfrastructureEncryption",
                        "storageAccountName",
                        "vnetAddressPrefix",
                    )
                ),
            }
        ),
    ),
    "azure-native:databricks:AccessConnector": ArmType(
        path=_provider("Microsoft.Databricks/accessConnectors/{connectorName}"),
        api_version=_DATABRICKS,
        top=_TRACKED | {"identity"},
        replaces=frozenset({"location"}),
        explicit_properties=True,
    ),
    "azure-native:authorization:RoleAssignment": ArmType(
        path="{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
        api_version="2022-04-01",
        replaces=frozenset({"principalId", "principalType", "roleDefinitionId", "delegatedManagedIdentityResourceId"}),
    ),
    "azure-native:operationalinsights:Workspace": ArmType(
        path=_provider("Microsoft.OperationalInsights/workspaces/{workspaceName}"),
        api_version="2023-09-01",
        top=_TRACKED | {"identity"},
        replaces=frozenset({"location", "features.clusterResourceId"}),
    ),
    "azure-native:monitor:DiagnosticSetting": ArmType(
        path="{resourceUri}/providers/Microsoft.Insights/diagnosticSettings/{name}", api_version="2021-05-01-preview"
    ),
}
