"""What Azure refuses, and fills in, for virtual networks, subnets, security groups, NAT gateways and public addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection
from typing import Any

from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document, Reader
from local_estate.api.services.arm import state
from local_estate.api.services.arm.ids import ResourceId

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NETWORK = "Microsoft.Network/virtualNetworks"
SUBNET = f"{NETWORK}/subnets"
_SMALLEST = 29  # Azure keeps five addresses of each subnet


def cidr(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ApiError("InvalidCIDRNotation", f"The address prefix {text} is not valid: {error}.", 400) from None


def prefixes(properties: dict[str, Any]) -> list[Network]:
    """Of a subnet: `addressPrefix` or `addressPrefixes`."""
    return [cidr(text) for text in properties.get("addressPrefixes") or [properties["addressPrefix"]]]


def check_virtual_network(reader: Reader, identifier: ResourceId, document: Document) -> None:
    spaces = (document["properties"].get("addressSpace") or {}).get("addressPrefixes") or []
    if not spaces:
        raise ApiError("InvalidRequestFormat", "addressSpace.addressPrefixes is required for a virtual network.", 400)
    networks = [cidr(text) for text in spaces]
    for index, one in enumerate(networks):
        if any(one.overlaps(other) for other in networks[index + 1 :]):
            raise ApiError(
                "NetcfgAddressSpaceOverlaps", f"Address space {one} of '{identifier.name}' overlaps with another of its own.", 400
            )
    for subnet in state.of_type(reader, SUBNET, f"{identifier.text}/subnets/"):
        if not all(_inside(prefix, networks) for prefix in prefixes(subnet["properties"])):
            raise ApiError("NetcfgInvalidSubnet", f"Subnet '{subnet['name']}' is not valid in virtual network '{identifier.name}'.", 400)


def _inside(prefix: Network, spaces: list[Network]) -> bool:
    return any(prefix.version == space.version and prefix.subnet_of(space) for space in spaces)  # type: ignore[arg-type]


def check_subnet(reader: Reader, identifier: ResourceId, document: Document) -> None:
    network = state.get(reader, identifier.parent or "")
    spaces = [cidr(text) for text in state.property_of(network, "addressSpace.addressPrefixes") or []]
    properties = document["properties"]
    if not properties.get("addressPrefix") and not properties.get("addressPrefixes"):
        raise ApiError("InvalidRequestFormat", f"Subnet '{identifier.name}' has no addressPrefix.", 400)
    for prefix in prefixes(properties):
        if not _inside(prefix, spaces) or (prefix.version == 4 and prefix.prefixlen > _SMALLEST):
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
            same_region(reader, target, (network or {}).get("location", ""))
    before = state.get(reader, identifier.text)
    if before and prefixes(before["properties"]) != prefixes(properties):
        _refuse_move(reader, identifier, before)
    if before and state.property_of(before, "networkSecurityGroup.id") and not state.property_of(document, "networkSecurityGroup.id"):
        _refuse_if_injected(reader, identifier, "SubnetMissingNetworkSecurityGroup", "its network security group")
    if before and delegations(before) and not delegations(document):
        _refuse_if_injected(reader, identifier, "SubnetMissingRequiredDelegation", "its delegation")


def _refuse_move(reader: Reader, subnet: ResourceId, before: Document) -> None:
    """Addresses in use stay where they are."""
    try:
        in_use_subnet(reader, subnet, ())
    except ApiError as error:
        prefix = prefixes(before["properties"])[0]
        message = f"IpPrefix {prefix} on Subnet {subnet.name} has active allocations and cannot be deleted: {error.message}"
        raise ApiError("InUsePrefixCannotBeDeleted", message, 400) from None


def _refuse_if_injected(reader: Reader, subnet: ResourceId, code: str, what: str) -> None:
    if workspace := workspace_of_subnet(reader, subnet.text):
        raise ApiError(code, f"Subnet '{subnet.name}' must keep {what}: workspace '{workspace['name']}' is injected into it.", 400)


def delegations(subnet: Document) -> set[str]:
    found = subnet["properties"].get("delegations") or []
    return {str((each.get("properties") or each).get("serviceName", "")).lower() for each in found}


def same_region(reader: Reader, target: str, location: str) -> None:
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


_RULE_VALUES = {"access": {"allow", "deny"}, "direction": {"inbound", "outbound"}, "protocol": {"*", "tcp", "udp", "icmp", "esp", "ah"}}
_RULE_ENDS = ("sourceAddressPrefix", "destinationAddressPrefix", "sourcePortRange", "destinationPortRange")


def check_security_rule(reader: Reader, identifier: ResourceId, document: Document) -> None:
    mine = document["properties"]
    for name, allowed in _RULE_VALUES.items():
        if str(mine[name]).lower() not in allowed:
            raise ApiError(
                "InvalidRequestFormat", f"Security rule '{identifier.name}' has {name} '{mine[name]}', none of {sorted(allowed)}.", 400
            )
    for name in _RULE_ENDS:
        plural = f"{name}es" if name.endswith("x") else f"{name}s"
        groups = mine.get(f"{name.removesuffix('AddressPrefix')}ApplicationSecurityGroups") if name.endswith("x") else None
        if not mine.get(name) and not mine.get(plural) and not groups:
            code = "SecurityRuleInvalidAddressPrefix" if name.endswith("x") else "SecurityRuleInvalidPortRange"
            raise ApiError(code, f"Security rule '{identifier.name}' has neither {name} nor {plural}.", 400)
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
        same_region(reader, address["id"], document.get("location", ""))
        public = state.get(reader, address["id"]) or {}
        if (public.get("sku") or {}).get("name") != "Standard":
            raise ApiError("NatGatewayPublicIpMustBeStandard", f"NAT gateway '{identifier.name}' needs a Standard public IP address.", 400)


# What keeps a resource from being deleted. `leaving`: lower-case ids that go in the same request and so hold nothing back.


def in_use_subnet(reader: Reader, identifier: ResourceId, leaving: Collection[str]) -> None:
    for endpoint in state.of_type(reader, "Microsoft.Network/privateEndpoints"):
        if (state.property_of(endpoint, "subnet.id") or "").lower() == identifier.key:
            _in_use("InUseSubnetCannotBeDeleted", "Subnet", identifier, endpoint["id"], leaving)
    if workspace := workspace_of_subnet(reader, identifier.text):
        _in_use("InUseSubnetCannotBeDeleted", "Subnet", identifier, workspace["id"], leaving)


def _in_use(code: str, kind: str, identifier: ResourceId, user: str, leaving: Collection[str]) -> None:
    if user.lower() not in leaving:
        raise ApiError(code, f"{kind} {identifier.name} is in use by {user} and cannot be deleted.", 400)


def referenced_by_subnet(reference: str, code: str, kind: str) -> Callable[[Reader, ResourceId, Collection[str]], None]:
    """A delete rule: refuse while a subnet names the resource in `reference`."""

    def check(reader: Reader, identifier: ResourceId, leaving: Collection[str]) -> None:
        for subnet in state.of_type(reader, SUBNET):
            if (state.property_of(subnet, f"{reference}.id") or "").lower() == identifier.key:
                _in_use(code, kind, identifier, subnet["id"], leaving)

    return check


def in_use_public_ip(reader: Reader, identifier: ResourceId, leaving: Collection[str]) -> None:
    for gateway in state.of_type(reader, "Microsoft.Network/natGateways"):
        if any(each["id"].lower() == identifier.key for each in gateway["properties"].get("publicIpAddresses") or []):
            _in_use("PublicIPAddressCannotBeDeleted", "Public IP address", identifier, gateway["id"], leaving)


# What Azure fills in


def fill_subnet(_: Reader, __: ResourceId, document: Document) -> None:
    document["properties"].setdefault("privateEndpointNetworkPolicies", "Disabled")
    document["properties"].setdefault("privateLinkServiceNetworkPolicies", "Enabled")


def fill_public_ip(_: Reader, identifier: ResourceId, document: Document) -> None:
    properties = document["properties"]
    document.setdefault("sku", {"name": "Standard", "tier": "Regional"}).setdefault("tier", "Regional")
    properties.setdefault("publicIPAllocationMethod", "Static" if document["sku"].get("name") == "Standard" else "Dynamic")
    properties.setdefault("publicIPAddressVersion", "IPv4")
    properties.setdefault("idleTimeoutInMinutes", 4)
    # 203.0.113.0/24 is the documentation range: nothing here routes.
    properties.setdefault("ipAddress", f"203.0.113.{sum(identifier.key.encode()) % 254 + 1}")


_DEFAULT_RULES = (
    ("AllowVnetInBound", 65000, "Inbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    ("AllowAzureLoadBalancerInBound", 65001, "Inbound", "Allow", "AzureLoadBalancer", "*"),
    ("DenyAllInBound", 65500, "Inbound", "Deny", "*", "*"),
    ("AllowVnetOutBound", 65000, "Outbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    ("AllowInternetOutBound", 65001, "Outbound", "Allow", "*", "Internet"),
    ("DenyAllOutBound", 65500, "Outbound", "Deny", "*", "*"),
)


def shown_security_group(_: Reader, document: Document) -> dict[str, Any]:
    """The six rules that every security group has."""
    rules = [
        {
            "id": f"{document['id']}/defaultSecurityRules/{name}",
            "name": name,
            "type": "Microsoft.Network/networkSecurityGroups/defaultSecurityRules",
            "properties": {
                "access": access,
                "direction": direction,
                "priority": priority,
                "protocol": "*",
                "sourceAddressPrefix": source,
                "sourcePortRange": "*",
                "destinationAddressPrefix": destination,
                "destinationPortRange": "*",
                "provisioningState": "Succeeded",
            },
        }
        for name, priority, direction, access, source, destination in _DEFAULT_RULES
    ]
    return {"defaultSecurityRules": rules}
