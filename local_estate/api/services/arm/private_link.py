"""Private endpoints and private DNS: their rules, the address each gets, and how the target shows them."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator
from typing import Any

from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document, Reader
from local_estate.api.services.arm import network, state
from local_estate.api.services.arm.ids import ResourceId

ENDPOINT = "Microsoft.Network/privateEndpoints"
ZONE_GROUP = f"{ENDPOINT}/privateDnsZoneGroups"
# groupId by target type; https://learn.microsoft.com/azure/private-link/private-endpoint-overview#private-link-resource
GROUP_IDS = {
    "microsoft.databricks/workspaces": {"databricks_ui_api", "browser_authentication"},
    "microsoft.storage/storageaccounts": {"dfs", "blob", "file", "queue", "table", "web", "dfs_secondary", "blob_secondary"},
    "microsoft.keyvault/vaults": {"vault"},
    "microsoft.eventhub/namespaces": {"namespace"},
}
_LISTS = {"privateLinkServiceConnections": "Approved", "manualPrivateLinkServiceConnections": "Pending"}


def _connection(endpoint: Document) -> tuple[dict[str, Any], str]:
    """The endpoint's one connection and its status."""
    for name, status in _LISTS.items():
        for each in endpoint["properties"].get(name) or []:
            return each, status
    return {}, ""


def target_of(endpoint: Document) -> str:
    """Lower case; "" for a document without a connection."""
    connection, _ = _connection(endpoint)
    return str((connection.get("properties") or connection).get("privateLinkServiceId", "")).lower()


def _group_ids(endpoint: Document) -> list[str]:
    connection, _ = _connection(endpoint)
    return [str(each) for each in (connection.get("properties") or connection).get("groupIds") or []]


def check_endpoint(reader: Reader, identifier: ResourceId, document: Document) -> None:
    subnet_id = state.property_of(document, "subnet.id") or ""
    subnet = state.get(reader, subnet_id)
    if subnet is None:
        raise ApiError("InvalidResourceReference", f"Subnet {subnet_id} of private endpoint '{identifier.name}' was not found.", 400)
    network.same_region(reader, subnet_id.rsplit("/subnets/", 1)[0], document["location"])
    if network.delegations(subnet):
        raise ApiError("PrivateEndpointCannotBeCreatedInDelegatedSubnet", f"Subnet '{subnet['name']}' is delegated; use another one.", 400)
    if sum(len(document["properties"].get(name) or []) for name in _LISTS) != 1:
        raise ApiError("PrivateEndpointMustHaveOneConnection", f"Private endpoint '{identifier.name}' needs exactly one connection.", 400)
    target = state.get(reader, target_of(document))
    if target is None:
        raise ApiError("InvalidPrivateLinkServiceId", f"Private link service {target_of(document)} was not found.", 400)
    if target["type"].lower() == "microsoft.databricks/workspaces" and target.get("sku", {}).get("name", "").lower() != "premium":
        raise ApiError("PrivateLinkNotSupported", f"Private Link needs a premium workspace; '{target['name']}' is none.", 400)
    allowed = GROUP_IDS.get(target["type"].lower(), set())
    for group in _group_ids(document) or [""]:
        if group not in allowed:
            raise ApiError(
                "InvalidPrivateEndpointGroupId",
                f"'{group}' is no groupId of {target['type']}; there are {', '.join(sorted(allowed)) or 'none'}.",
                400,
            )


def fill_endpoint(reader: Reader, identifier: ResourceId, document: Document) -> None:
    """An address of the subnet and the connection's state."""
    for name, status in _LISTS.items():
        for connection in document["properties"].get(name) or []:
            connection.setdefault("properties", {})["privateLinkServiceConnectionState"] = {"status": status, "actionsRequired": "None"}
    before = state.get(reader, identifier.text)
    subnet_id = state.property_of(document, "subnet.id")
    stays = before is not None and state.property_of(before, "subnet.id").lower() == subnet_id.lower()
    document["address"] = before["address"] if before and stays else _free_address(reader, subnet_id)
    made_up = uuid.uuid5(uuid.NAMESPACE_URL, identifier.key)
    interface = f"{identifier.group}/providers/Microsoft.Network/networkInterfaces/{identifier.name}.nic.{made_up}"
    document["properties"]["networkInterfaces"] = [{"id": interface}]


def _free_address(reader: Reader, subnet_id: str) -> str:
    subnet = state.get(reader, subnet_id)
    assert subnet is not None  # noqa: S101  check_endpoint came first
    prefix = network.prefixes(subnet["properties"])[0]
    taken = {each.get("address") for each in endpoints_in(reader, subnet_id.lower())}
    # Azure keeps the first four addresses and the last one.
    for number in range(4, prefix.num_addresses - 1):
        if (address := str(prefix[number])) not in taken:
            return address
    raise ApiError("SubnetIsFull", f"Subnet {subnet['name']} with address prefix {prefix} has no free address.", 400)


def endpoints_in(reader: Reader, subnet_key: str) -> Iterator[Document]:
    for endpoint in state.of_type(reader, ENDPOINT):
        if (state.property_of(endpoint, "subnet.id") or "").lower() == subnet_key:
            yield endpoint


def _names(target: Document, group: str) -> str:
    """The public name that a private endpoint answers for."""
    kind = target["type"].lower()
    if kind == "microsoft.databricks/workspaces":
        region = f"{target['location']}.pl-auth.azuredatabricks.net"
        return region if group == "browser_authentication" else str(target["properties"]["workspaceUrl"])
    if kind == "microsoft.storage/storageaccounts":
        service, _, secondary = group.partition("_")
        return f"{target['name']}{'-secondary' if secondary else ''}.{service}.core.windows.net"
    return f"{target['name']}.vault.azure.net".lower()


def shown_endpoint(reader: Reader, document: Document) -> dict[str, Any]:
    """`customDnsConfigs` tells what to register by hand, so it is empty once a zone group does that."""
    target = state.get(reader, target_of(document))
    grouped = any(state.of_type(reader, ZONE_GROUP, document["id"] + "/"))
    configs = (
        []
        if grouped or target is None
        else [{"fqdn": _names(target, group), "ipAddresses": [document["address"]]} for group in _group_ids(document)]
    )
    return {"customDnsConfigs": configs}


def shown_connections(reader: Reader, target: Document) -> list[Document]:
    """`privateEndpointConnections` of a target."""
    found = []
    for endpoint in state.of_type(reader, ENDPOINT):
        if target_of(endpoint) != target["id"].lower():
            continue
        status = _connection(endpoint)[1]
        made_up = uuid.uuid5(uuid.NAMESPACE_URL, endpoint["id"].lower())
        name = f"{endpoint['name']}.{made_up}"
        found.append(
            {
                "id": f"{target['id']}/privateEndpointConnections/{name}",
                "name": name,
                "type": f"{target['type']}/privateEndpointConnections",
                "properties": {
                    "privateEndpoint": {"id": endpoint["id"]},
                    "groupIds": _group_ids(endpoint),
                    "privateLinkServiceConnectionState": {"status": status, "description": "", "actionsRequired": "None"},
                    "provisioningState": "Succeeded",
                },
            }
        )
    return found


# Private DNS


def check_zone(_: Reader, identifier: ResourceId, document: Document) -> None:
    if document.get("location") != "global":
        raise ApiError("LocationNotAvailableForResourceType", f"Private DNS zone '{identifier.name}' must be in location global.", 400)


def check_zone_link(reader: Reader, identifier: ResourceId, document: Document) -> None:
    check_zone(reader, identifier, document)
    linked = (state.property_of(document, "virtualNetwork.id") or "").lower()
    if state.get(reader, linked) is None:
        raise ApiError("InvalidResourceReference", f"Virtual network {linked} was not found.", 400)
    zone = identifier.names[0].lower()
    for other in state.of_type(reader, "Microsoft.Network/privateDnsZones/virtualNetworkLinks"):
        same_network = (state.property_of(other, "virtualNetwork.id") or "").lower() == linked
        if other["id"].lower() != identifier.key and same_network and other["id"].split("/")[8].lower() == zone:
            raise ApiError("Conflict", f"A virtual network cannot be linked to two zones named '{zone}'.", 409)


def check_zone_group(reader: Reader, identifier: ResourceId, document: Document) -> None:
    configs = document["properties"].get("privateDnsZoneConfigs") or []
    if len(configs) > 5:
        raise ApiError("PrivateDnsZoneGroupHasTooManyConfigs", f"'{identifier.name}' has {len(configs)} zone configs; 5 at most.", 400)
    for other in state.of_type(reader, ZONE_GROUP, f"{identifier.parent}/"):
        if other["id"].lower() != identifier.key:
            raise ApiError("PrivateEndpointHasTooManyZoneGroups", f"{identifier.parent} already has zone group '{other['name']}'.", 400)
    for zone in zones_of(document):
        if state.get(reader, zone) is None:
            raise ApiError("InvalidResourceReference", f"Private DNS zone {zone} of '{identifier.name}' was not found.", 400)
        _check_browser_authentication(reader, identifier, zone)


def zones_of(zone_group: Document) -> list[str]:
    configs = zone_group["properties"].get("privateDnsZoneConfigs") or []
    return [str((each.get("properties") or each).get("privateDnsZoneId", "")).lower() for each in configs]


def _check_browser_authentication(reader: Reader, identifier: ResourceId, zone: str) -> None:
    """The sign-in record is the region's, so a zone holds one endpoint of that kind."""
    mine = state.get(reader, identifier.parent or "")
    if mine is None or "browser_authentication" not in _group_ids(mine):
        return
    for other in state.of_type(reader, ZONE_GROUP):
        endpoint = state.get(reader, other["id"].rsplit("/", 2)[0])
        same = endpoint is not None and endpoint["id"] != mine["id"] and zone in zones_of(other)
        if same and endpoint is not None and "browser_authentication" in _group_ids(endpoint):
            raise ApiError(
                "RESOURCE_CONFLICT", f"Link ID conflict: zone {zone} already has browser_authentication by {endpoint['id']}.", 409
            )


def fill_zone_group(reader: Reader, identifier: ResourceId, document: Document) -> None:
    """The A records it keeps in its zones."""
    endpoint = state.get(reader, identifier.parent or "") or {}
    target = state.get(reader, target_of(endpoint)) if endpoint else None
    for config in document["properties"].get("privateDnsZoneConfigs") or []:
        properties = config.setdefault("properties", {})
        zone = str(properties.get("privateDnsZoneId", "")).rsplit("/", 1)[-1]
        names = [_record(_names(target, group), zone) for group in _group_ids(endpoint)] if target else []
        properties["recordSets"] = [
            {"recordType": "A", "recordSetName": name, "fqdn": f"{name}.{zone}", "ttl": 10, "ipAddresses": [endpoint["address"]]}
            for name in names
        ]


def _record(host: str, zone: str) -> str:
    """`adb-1.2.azuredatabricks.net` is `adb-1.2` in zone privatelink.azuredatabricks.net; a vault's zone has another name than its host."""
    public = "." + zone.removeprefix("privatelink.")
    return host.removesuffix(public) if host.endswith(public) else host.partition(".")[0]


def zone_in_use(reader: Reader, identifier: ResourceId, leaving: Collection[str]) -> None:
    for link in state.of_type(reader, "Microsoft.Network/privateDnsZones/virtualNetworkLinks", identifier.text + "/"):
        if identifier.group.lower() not in leaving:
            raise ApiError("CannotDeleteResource", f"Private DNS zone {identifier.name} has the link {link['name']}; delete it first.", 409)
