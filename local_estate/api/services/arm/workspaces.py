"""What Azure refuses, and fills in, for Databricks workspaces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document, Reader
from local_estate.api.services.arm import network, state
from local_estate.api.services.arm.data_rules import unchanged
from local_estate.api.services.arm.ids import ResourceId

# Fixed at creation; the Terraform provider replaces the workspace for a change of any of them.
_FIXED = (
    "managedResourceGroupId",
    "parameters.customPublicSubnetName.value",
    "parameters.customPrivateSubnetName.value",
    "parameters.storageAccountName.value",
    "parameters.requireInfrastructureEncryption.value",
    "parameters.vnetAddressPrefix.value",
)
_PREMIUM = {
    "encryption.entities": "customer-managed keys",
    "defaultStorageFirewall": "the storage firewall",
    "enhancedSecurityCompliance": "enhanced security and compliance",
    "parameters.requireInfrastructureEncryption.value": "infrastructure encryption",
}


def _on(value: Any) -> bool:
    return bool(value) and value != "Disabled"


def _check_tier(document: Document) -> None:
    properties = document["properties"]
    tier = str(document["sku"]["name"]).lower()
    if tier not in ("standard", "premium", "trial"):
        raise ApiError("InvalidSku", f"The sku of a workspace is standard, premium or trial, not '{tier}'.", 400)
    for path, feature in _PREMIUM.items():
        if tier != "premium" and _on(state.property_of(document, path)):
            raise ApiError("InvalidSku", f"A workspace needs sku premium for {feature}.", 400)
    if _on(properties.get("defaultStorageFirewall")) and not properties.get("accessConnector"):
        raise ApiError("InvalidRequestContent", "defaultStorageFirewall needs an accessConnector.", 400)
    compliance = properties.get("enhancedSecurityCompliance") or {}
    if (compliance.get("complianceSecurityProfile") or {}).get("value") == "Enabled":
        for needed in ("automaticClusterUpdate", "enhancedSecurityMonitoring"):
            if (compliance.get(needed) or {}).get("value") != "Enabled":
                raise ApiError("InvalidRequestContent", f"complianceSecurityProfile needs {needed} Enabled.", 400)


def links(document: Document) -> Iterable[str]:
    return [state.property_of(document, "parameters.customVirtualNetworkId.value") or ""]


def fill(_: Reader, __: ResourceId, document: Document) -> None:
    properties = document["properties"]
    properties["isUcEnabled"] = True
    properties.setdefault("publicNetworkAccess", "Enabled")
    if properties["computeMode"] == "Hybrid":
        properties.setdefault("parameters", {}).setdefault("enableNoPublicIp", {"value": True})


def check(reader: Reader, identifier: ResourceId, document: Document) -> None:
    properties = document["properties"]
    mode = properties.get("computeMode")
    if mode not in {"Hybrid", "Serverless"}:
        raise ApiError("InvalidRequestContent", "computeMode is required for a workspace: Hybrid or Serverless.", 400)
    unchanged(reader, document, "computeMode", "ComputeModeChangeNotAllowed")
    unchanged(reader, document, "parameters.customVirtualNetworkId.value", "VirtualNetworkIdChangeNotAllowed")
    for path in _FIXED:
        unchanged(reader, document, path, "WorkspaceUpdateNotAllowed")
    if mode == "Serverless":
        for name in (
            "parameters",
            "managedResourceGroupId",
            "requiredNsgRules",
            "defaultStorageFirewall",
            "accessConnector",
            "defaultCatalog",
        ):
            if properties.get(name) is not None:
                raise ApiError("InvalidRequestContent", f"{name} cannot be set for a Serverless workspace.", 400)
        return
    _check_managed_group(reader, identifier, document)
    if properties.get("publicNetworkAccess") == "Disabled" and properties.get("requiredNsgRules", "AllRules") == "AllRules":
        raise ApiError("InvalidRequiredNsgRules", "requiredNsgRules AllRules needs publicNetworkAccess Enabled.", 400)
    _check_tier(document)
    parameters = properties.get("parameters") or {}
    if (parameters.get("customVirtualNetworkId") or {}).get("value"):
        _check_injection(reader, identifier, document, parameters)


def _check_managed_group(reader: Reader, identifier: ResourceId, document: Document) -> None:
    managed = document["properties"].get("managedResourceGroupId")
    if not managed:
        raise ApiError("InvalidRequestContent", "managedResourceGroupId is required for a Hybrid workspace.", 400)
    if managed.lower() == identifier.group.lower():
        raise ApiError("InvalidManagedResourceGroup", "The managed resource group cannot be the workspace's own resource group.", 400)
    existing = state.get(reader, managed)
    if existing and (existing.get("managedBy") or "").lower() != identifier.key:
        raise ApiError(
            "ApplianceManagedResourceGroupMismatch", f"Resource group {managed} exists and doesn't have managed by {identifier.text}.", 409
        )


def _check_injection(reader: Reader, identifier: ResourceId, document: Document, parameters: dict[str, Any]) -> None:
    network_id = parameters["customVirtualNetworkId"]["value"]
    home = state.get(reader, network_id)
    if home is None or home["location"] != document["location"]:
        raise ApiError("InvalidVirtualNetwork", f"Virtual network {network_id} was not found in {document['location']}.", 400)
    names = [(parameters.get(f"custom{side}SubnetName") or {}).get("value") for side in ("Public", "Private")]
    if not all(names) or names[0] == names[1]:
        raise ApiError("InvalidSubnets", "customPublicSubnetName and customPrivateSubnetName must name two different subnets.", 400)
    for name in names:
        subnet_id = f"{network_id}/subnets/{name}"
        subnet = state.get(reader, subnet_id)
        if subnet is None:
            raise ApiError("InvalidSubnet", f"Subnet {subnet_id} was not found.", 400)
        if "microsoft.databricks/workspaces" not in network.delegations(subnet):
            raise ApiError("SubnetMissingRequiredDelegation", f"Subnet '{name}' must be delegated to Microsoft.Databricks/workspaces.", 400)
        if not state.property_of(subnet, "networkSecurityGroup.id"):
            raise ApiError("SubnetMissingNetworkSecurityGroup", f"Subnet '{name}' must have a network security group.", 400)
        if any(prefix.prefixlen > 26 for prefix in network.prefixes(subnet["properties"])):
            raise ApiError("InvalidSubnetSize", f"Subnet '{name}' must be /26 or larger.", 400)
        other = network.workspace_of_subnet(reader, subnet_id)
        if other and other["id"].lower() != identifier.key:
            raise ApiError("SubnetAlreadyInUse", f"Subnet '{name}' is already used by workspace '{other['name']}'.", 409)
