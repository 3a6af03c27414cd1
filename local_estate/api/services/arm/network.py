"""What Azure refuses in networks, private endpoints and private DNS."""

from __future__ import annotations

import ipaddress
from typing import Any

from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document, Reader
from local_estate.api.services.arm import state
from local_estate.api.services.arm.ids import ResourceId

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# groupId by target type; https://learn.microsoft.com/azure/private-link/private-endpoint-overview#private-link-resource
GROUP_IDS = {
    "microsoft.databricks/workspaces": {"databricks_ui_api", "browser_authentication"},
    "microsoft.storage/storageaccounts": {"dfs", "blob", "file", "queue", "table", "web", "dfs_secondary", "blob_secondary"},
    "microsoft.keyvault/vaults": {"vault"},
    "microsoft.eventhub/namespaces": {"namespace"},
}


def cidr(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ApiError("InvalidCIDRNotation", f"The address prefix {text} is not valid: {error}.", 400) from None


def prefixes(properties: dict[str, Any]) -> list[Network]:
    """Of a subnet: `addressPrefix` or `addressPrefixes`."""
    return [cidr(text) for text in properties.get("addressPrefixes") or [properties["addressPrefix"]]]


def check_virtual_network(_: Reader, __: ResourceId, document: Document) -> None:
    spaces = (document["properties"].get("addressSpace") or {}).get("addressPrefixes") or []
    if not spaces:
        raise ApiError("InvalidRequestFormat", "addressSpace.addressPrefixes is required for a virtual network.", 400)
    for text in spaces:
        cidr(text)


def check_subnet(reader: Reader, identifier: ResourceId, document: Document) -> None:
    network = state.get(reader, identifier.parent or "")
    spaces = [cidr(text) for text in state.property_of(network, "addressSpace.addressPrefixes") or []]
    properties = document["properties"]
    if not properties.get("addressPrefix") and not properties.get("addressPrefixes"):
        raise ApiError("InvalidRequestFormat", f"Subnet '{identifier.name}' has no addressPrefix.", 400)
    for prefix in prefixes(properties):
        if not any(prefix.version == space.version and prefix.subnet_of(space) for space in spaces):  # type: ignore[arg-type]
            raise ApiError(
                "NetcfgInvalidSubnet", f"Subnet '{identifier.name}' is not valid in virtual network '{identifier.names[0]}'.", 400
            )
        for other in state.of_type(reader, "Microsoft.Network/virtualNetworks/subnets", f"{identifier.parent}/subnets/"):
            if other["id"].lower() != identifier.key and any(prefix.overlaps(each) for each in prefixes(other["properties"])):
                raise ApiError(
                    "NetcfgSubnetRangesOverlap",
                    f"Subnet '{identifier.name}' with prefix {prefix} overlaps with subnet '{other['name']}'.",
                    400,
                )
    for reference in ("networkSecurityGroup", "natGateway", "routeTable"):
        if target := state.property_of(document, f"{reference}.id"):
            _same_region(reader, target, (network or {}).get("location", ""))
    before = state.get(reader, identifier.text)
    if before and state.property_of(before, "networkSecurityGroup.id") and not state.property_of(document, "networkSecurityGroup.id"):
        _refuse_if_injected(reader, identifier, "SubnetMissingNetworkSecurityGroup", "its network security group")
    if before and delegations(before) and not delegations(document):
        _refuse_if_injected(reader, identifier, "SubnetMissingRequiredDelegation", "its delegation")


def _refuse_if_injected(reader: Reader, subnet: ResourceId, code: str, what: str) -> None:
    if workspace := workspace_of_subnet(reader, subnet.text):
        raise ApiError(code, f"Subnet '{subnet.name}' must keep {what}: workspace '{workspace['name']}' is injected into it.", 400)


def delegations(subnet: Document) -> set[str]:
    found = subnet["properties"].get("delegations") or []
    return {str((each.get("properties") or each).get("serviceName", "")).lower() for each in found}


def _same_region(reader: Reader, target: str, location: str) -> None:
    found = state.get(reader, target)
    if found is None or (location and found.get("location") and found["location"] != location):
        raise ApiError("InvalidResourceReference", f"Resource {target} was not found in region {location}.", 400)


def workspace_of_subnet(reader: Reader, subnet_id: str) -> Document | None:
    for workspace in state.of_type(reader, "Microsoft.Databricks/workspaces"):
        parameters = workspace["properties"].get("parameters") or {}
        network = (parameters.get("customVirtualNetworkId") or {}).get("value", "")
        for side in ("customPublicSubnetName", "customPrivateSubnetName"):
            if f"{network}/subnets/{(parameters.get(side) or {}).get('value', '')}".lower() == subnet_id.lower():
                return workspace
    return None


def check_security_rule(reader: Reader, identifier: ResourceId, document: Document) -> None:
    mine = document["properties"]
    if not 100 <= int(mine.get("priority", 0)) <= 4096:
        raise ApiError(
            "SecurityRuleInvalidPriority", f"Security rule '{identifier.name}' has priority {mine.get('priority')}, not 100 to 4096.", 400
        )
    siblings = state.of_type(reader, "Microsoft.Network/networkSecurityGroups/securityRules", f"{identifier.parent}/securityRules/")
    for other in siblings:
        theirs = other["properties"]
        same = (theirs["priority"], theirs["direction"].lower()) == (mine["priority"], mine["direction"].lower())
        if same and other["id"].lower() != identifier.key:
            raise ApiError(
                "SecurityRuleConflict",
                f"Security rule {identifier.name} conflicts with rule {other['name']}: the same priority {mine['priority']} and direction.",
                400,
            )


def check_nat_gateway(reader: Reader, identifier: ResourceId, document: Document) -> None:
    for address in document["properties"].get("publicIpAddresses") or []:
        _same_region(reader, address["id"], document.get("location", ""))
        public = state.get(reader, address["id"]) or {}
        if (public.get("sku") or {}).get("name") != "Standard":
            raise ApiError("NatGatewayPublicIpMustBeStandard", f"NAT gateway '{identifier.name}' needs a Standard public IP address.", 400)


def check_private_endpoint(reader: Reader, identifier: ResourceId, document: Document) -> None:
    subnet_id = state.property_of(document, "subnet.id") or ""
    subnet = state.get(reader, subnet_id)
    if subnet is None:
        raise ApiError("InvalidResourceReference", f"Subnet {subnet_id} of private endpoint '{identifier.name}' was not found.", 400)
    if delegations(subnet):
        raise ApiError("PrivateEndpointCannotBeCreatedInDelegatedSubnet", f"Subnet '{subnet['name']}' is delegated; use another one.", 400)
    automatic = document["properties"].get("privateLinkServiceConnections") or []
    manual = document["properties"].get("manualPrivateLinkServiceConnections") or []
    if len(automatic) + len(manual) != 1:
        raise ApiError("PrivateEndpointMustHaveOneConnection", f"Private endpoint '{identifier.name}' needs exactly one connection.", 400)
    connection = (automatic + manual)[0].get("properties") or (automatic + manual)[0]
    target_id = connection.get("privateLinkServiceId", "")
    target = state.get(reader, target_id)
    if target is None:
        raise ApiError("InvalidPrivateLinkServiceId", f"Private link service {target_id} was not found.", 400)
    if target["properties"].get("provisioningState") not in (None, "Succeeded"):
        raise ApiError("ReferencedResourceNotProvisioned", f"Resource {target_id} is still being created.", 409)
    allowed = GROUP_IDS.get(target["type"].lower(), set())
    for group in connection.get("groupIds") or [""]:
        if group not in allowed:
            raise ApiError(
                "InvalidPrivateEndpointGroupId",
                f"'{group}' is no groupId of {target['type']}; there are {', '.join(sorted(allowed)) or 'none'}.",
                400,
            )


def check_zone_group(_: Reader, identifier: ResourceId, document: Document) -> None:
    configs = document["properties"].get("privateDnsZoneConfigs") or []
    if len(configs) > 5:
        raise ApiError("PrivateDnsZoneGroupHasTooManyConfigs", f"'{identifier.name}' has {len(configs)} zone configs; 5 at most.", 400)


def check_zone(_: Reader, identifier: ResourceId, document: Document) -> None:
    if document.get("location") != "global":
        raise ApiError("LocationNotAvailableForResourceType", f"Private DNS zone '{identifier.name}' must be in location global.", 400)


def check_zone_link(reader: Reader, identifier: ResourceId, document: Document) -> None:
    check_zone(reader, identifier, document)
    network = (state.property_of(document, "virtualNetwork.id") or "").lower()
    if state.get(reader, network) is None:
        raise ApiError("InvalidResourceReference", f"Virtual network {network} was not found.", 400)
    zone = identifier.names[0].lower()
    for other in state.of_type(reader, "Microsoft.Network/privateDnsZones/virtualNetworkLinks"):
        same_network = (state.property_of(other, "virtualNetwork.id") or "").lower() == network
        if other["id"].lower() != identifier.key and same_network and other["id"].split("/")[8].lower() == zone:
            raise ApiError("Conflict", f"A virtual network cannot be linked to two zones named '{zone}'.", 409)


def in_use_subnet(reader: Reader, identifier: ResourceId) -> None:
    for endpoint in state.of_type(reader, "Microsoft.Network/privateEndpoints"):
        if (state.property_of(endpoint, "subnet.id") or "").lower() == identifier.key:
            _in_use("InUseSubnetCannotBeDeleted", "Subnet", identifier, endpoint["id"])
    if workspace := workspace_of_subnet(reader, identifier.text):
        _in_use("InUseSubnetCannotBeDeleted", "Subnet", identifier, workspace["id"])


def _in_use(code: str, kind: str, identifier: ResourceId, user: str) -> None:
    raise ApiError(code, f"{kind} {identifier.name} is in use by {user} and cannot be deleted.", 400)


def referenced_by_subnet(reference: str, code: str, kind: str) -> Any:
    """A delete rule: refuse while a subnet names the resource in `reference`."""

    def check(reader: Reader, identifier: ResourceId) -> None:
        for subnet in state.of_type(reader, "Microsoft.Network/virtualNetworks/subnets"):
            if (state.property_of(subnet, f"{reference}.id") or "").lower() == identifier.key:
                _in_use(code, kind, identifier, subnet["id"])

    return check


def in_use_network(reader: Reader, identifier: ResourceId) -> None:
    for subnet in state.of_type(reader, "Microsoft.Network/virtualNetworks/subnets", identifier.text + "/subnets/"):
        in_use_subnet(
            reader, ResourceId(text=subnet["id"], subscription="", resource_group="", type=subnet["type"], names=(subnet["name"],))
        )


def in_use_public_ip(reader: Reader, identifier: ResourceId) -> None:
    for gateway in state.of_type(reader, "Microsoft.Network/natGateways"):
        if any(each["id"].lower() == identifier.key for each in gateway["properties"].get("publicIpAddresses") or []):
            _in_use("PublicIPAddressCannotBeDeleted", "Public IP address", identifier, gateway["id"])


def zone_with_links(reader: Reader, identifier: ResourceId) -> None:
    for link in state.of_type(reader, "Microsoft.Network/privateDnsZones/virtualNetworkLinks", identifier.text + "/"):
        raise ApiError("CannotDeleteResource", f"Private DNS zone {identifier.name} has the link {link['name']}; delete it first.", 409)
