"""The ARM types of this platform, a row each: names, required fields, checks, what the service fills in."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from local_estate.api.kernel.store import Document, Reader
from local_estate.api.services.arm import data_rules, network, private_link, state, workspaces
from local_estate.api.services.arm.ids import ResourceId

Check = Callable[[Reader, ResourceId, Document], None]
DeleteCheck = Callable[[Reader, ResourceId, Collection[str]], None]
View = Callable[[Reader, Document], dict[str, Any]]

TOP_LEVEL = frozenset(
    {
        "id",
        "name",
        "type",
        "location",
        "tags",
        "properties",
        "sku",
        "kind",
        "identity",
        "zones",
        "extendedLocation",
        "managedBy",
        "etag",
    }
)


@dataclass(frozen=True, kw_only=True)
class ArmType:
    """`required` are paths in the body (`sku.name`, `properties.subnet`); `asynchronous` answers 201 and is polled to Succeeded.

    `occupies` is the resource that takes no second such operation meanwhile; `links` are ids the caller must be allowed to join.
    """

    name: str
    pattern: str = r"[A-Za-z0-9]([\w.-]{0,78}\w)?"
    name_code: str = "InvalidResourceName"
    required: tuple[str, ...] = ()
    location: bool = True
    checks: tuple[Check, ...] = ()
    fill: tuple[Check, ...] = ()
    deletes: tuple[DeleteCheck, ...] = ()
    asynchronous: bool = False
    occupies: Callable[[Document], str] | None = None
    links: Callable[[Document], Iterable[str]] | None = None
    singleton: bool = False  # exists with its parent; DELETE is refused by Azure
    inline: tuple[str, ...] = ()  # sub-collections that are resources too, kept when a PUT leaves them out
    views: tuple[View, ...] = ()  # properties that follow from other resources at each read
    computed: tuple[str, ...] = ()  # properties that are the service's alone; what a client sends for them is dropped
    lasting: tuple[str, ...] = ()  # computed ones that stay as they were first made up

    def allows(self, name: str) -> bool:
        return re.fullmatch(self.pattern, name) is not None


def _fill_log_analytics(_: Reader, identifier: ResourceId, document: Document) -> None:
    document["properties"].setdefault("customerId", str(uuid.uuid5(uuid.NAMESPACE_URL, identifier.key)))
    document["properties"].setdefault("retentionInDays", 30)


def _connections(reader: Reader, document: Document) -> dict[str, Any]:
    return {"privateEndpointConnections": private_link.shown_connections(reader, document)}


def _subnet_links(document: Document) -> Iterable[str]:
    return [state.property_of(document, f"{name}.id") or "" for name in ("networkSecurityGroup", "natGateway", "routeTable")]


def _endpoint_links(document: Document) -> Iterable[str]:
    # A manual connection is a request to the target's owner, so it needs no right there.
    manual = document["properties"].get("manualPrivateLinkServiceConnections")
    return [state.property_of(document, "subnet.id") or "", "" if manual else private_link.target_of(document)]


_TYPES = (
    ArmType(name="Microsoft.Resources/resourceGroups", pattern=r"[\w.()-]{0,89}[\w()-]"),
    ArmType(
        name="Microsoft.Network/virtualNetworks",
        pattern=r"[A-Za-z0-9][\w.-]{0,62}\w",
        checks=(network.check_virtual_network,),
        inline=("subnets",),
    ),
    ArmType(
        name="Microsoft.Network/virtualNetworks/subnets",
        location=False,
        checks=(network.check_subnet,),
        fill=(network.fill_subnet,),
        asynchronous=True,
        occupies=lambda document: str(document["id"]).rsplit("/", 2)[0].lower(),
        links=_subnet_links,
        deletes=(network.in_use_subnet,),
    ),
    ArmType(
        name="Microsoft.Network/networkSecurityGroups",
        deletes=(
            network.referenced_by_subnet("networkSecurityGroup", "InUseNetworkSecurityGroupCannotBeDeleted", "Network security group"),
        ),
        inline=("securityRules",),
        views=(network.shown_security_group,),
        computed=("defaultSecurityRules",),
    ),
    ArmType(
        name="Microsoft.Network/networkSecurityGroups/securityRules",
        location=False,
        required=("properties.access", "properties.direction", "properties.priority", "properties.protocol"),
        checks=(network.check_security_rule,),
    ),
    ArmType(
        name="Microsoft.Network/natGateways",
        required=("sku.name",),
        checks=(network.check_nat_gateway,),
        links=lambda document: [each["id"] for each in document["properties"].get("publicIpAddresses") or []],
        deletes=(network.referenced_by_subnet("natGateway", "InUseNatGatewayCannotBeDeleted", "NAT gateway"),),
    ),
    ArmType(
        name="Microsoft.Network/publicIPAddresses",
        fill=(network.fill_public_ip,),
        deletes=(network.in_use_public_ip,),
        lasting=("ipAddress",),
    ),
    ArmType(
        name=private_link.ENDPOINT,
        required=("properties.subnet",),
        checks=(private_link.check_endpoint,),
        fill=(private_link.fill_endpoint,),
        asynchronous=True,
        occupies=private_link.target_of,
        links=_endpoint_links,
        views=(private_link.shown_endpoint,),
        computed=("networkInterfaces", "customDnsConfigs"),
    ),
    ArmType(
        name=private_link.ZONE_GROUP,
        location=False,
        checks=(private_link.check_zone_group,),
        fill=(private_link.fill_zone_group,),
        links=private_link.zones_of,
    ),
    ArmType(
        name="Microsoft.Network/privateDnsZones",
        pattern=r"[\w-]+(\.[\w-]+){1,33}",
        checks=(private_link.check_zone,),
        deletes=(private_link.zone_in_use,),
    ),
    ArmType(
        name="Microsoft.Network/privateDnsZones/virtualNetworkLinks",
        checks=(private_link.check_zone_link,),
        links=lambda document: [state.property_of(document, "virtualNetwork.id") or ""],
    ),
    ArmType(
        name="Microsoft.Storage/storageAccounts",
        pattern=r"[a-z0-9]{3,24}",
        name_code="AccountNameInvalid",
        required=("kind", "sku.name"),
        checks=(data_rules.check_storage_account,),
        fill=(data_rules.fill_identity, data_rules.fill_storage_account),
        views=(_connections,),
        computed=("privateEndpointConnections", "primaryEndpoints", "secondaryEndpoints", "primaryLocation", "statusOfPrimary"),
    ),
    ArmType(
        name="Microsoft.Storage/storageAccounts/blobServices",
        pattern="default",
        location=False,
        checks=(data_rules.check_blob_service,),
        singleton=True,
    ),
    ArmType(
        name="Microsoft.Storage/storageAccounts/blobServices/containers",
        pattern=r"(\$logs|\$root|[a-z0-9](?:-?[a-z0-9]){2,62})",
        name_code="InvalidContainerName",
        location=False,
        checks=(data_rules.check_container,),
    ),
    ArmType(
        name="Microsoft.Storage/storageAccounts/managementPolicies",
        pattern="default",
        location=False,
        required=("properties.policy.rules",),
    ),
    ArmType(
        name="Microsoft.KeyVault/vaults",
        pattern=r"(?!.*--)[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]",
        name_code="VaultNameNotValid",
        required=("properties.sku", "properties.tenantId"),
        checks=(data_rules.check_vault,),
        fill=(data_rules.fill_vault,),
        views=(_connections,),
        computed=("privateEndpointConnections", "vaultUri"),
    ),
    ArmType(
        name="Microsoft.KeyVault/vaults/secrets",
        pattern=r"[A-Za-z0-9-]{1,127}",
        location=False,
        required=("properties",),
        computed=("secretUri", "secretUriWithVersion"),
    ),
    ArmType(
        name="Microsoft.Databricks/workspaces",
        pattern=r"[\w-]{3,64}",
        required=("sku.name",),
        checks=(workspaces.check,),
        fill=(workspaces.fill,),
        asynchronous=True,
        links=workspaces.links,
        views=(_connections,),
        computed=("privateEndpointConnections", "isUcEnabled"),
        lasting=("workspaceId", "workspaceUrl", "createdDateTime"),
    ),
    ArmType(name="Microsoft.Databricks/accessConnectors", pattern=r"[\w-]{3,64}", fill=(data_rules.fill_identity,)),
    ArmType(
        name="Microsoft.Authorization/roleAssignments",
        location=False,
        required=("properties.principalId", "properties.roleDefinitionId"),
        checks=(data_rules.check_role_assignment,),
    ),
    ArmType(
        name="Microsoft.OperationalInsights/workspaces",
        pattern=r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
        fill=(_fill_log_analytics,),
        lasting=("customerId",),
    ),
    ArmType(
        name="Microsoft.Insights/diagnosticSettings", pattern=r".{1,260}", location=False, checks=(data_rules.check_diagnostic_setting,)
    ),
)

TYPES = {each.name.lower(): each for each in _TYPES}
