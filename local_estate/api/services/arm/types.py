"""The ARM types of this platform, a row each: names, required fields, checks, what the service fills in."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from local_estate.api.kernel.store import Document, Reader
from local_estate.api.services.arm import data_rules, network
from local_estate.api.services.arm.ids import ResourceId

Check = Callable[[Reader, ResourceId, Document], None]
DeleteCheck = Callable[[Reader, ResourceId], None]


@dataclass(frozen=True, kw_only=True)
class ArmType:
    """`required` are paths in the body (`sku.name`, `properties.subnet`); `asynchronous` answers 201 and is polled to Succeeded."""

    name: str
    pattern: str = r"[A-Za-z0-9]([\w.-]{0,78}\w)?"
    name_code: str = "InvalidResourceName"
    required: tuple[str, ...] = ()
    location: bool = True
    checks: tuple[Check, ...] = ()
    fill: tuple[Check, ...] = ()
    deletes: tuple[DeleteCheck, ...] = ()
    asynchronous: bool = False
    singleton: bool = False  # exists with its parent; DELETE is refused by Azure
    inline: tuple[str, ...] = ()  # sub-collections that are resources too, kept when a PUT leaves them out

    def allows(self, name: str) -> bool:
        return re.fullmatch(self.pattern, name) is not None


def _fill_log_analytics(_: Reader, identifier: ResourceId, document: Document) -> None:
    document["properties"].setdefault("customerId", str(uuid.uuid5(uuid.NAMESPACE_URL, identifier.key)))
    document["properties"].setdefault("retentionInDays", 30)


def _fill_private_endpoint(_: Reader, __: ResourceId, document: Document) -> None:
    for name in ("privateLinkServiceConnections", "manualPrivateLinkServiceConnections"):
        for connection in document["properties"].get(name) or []:
            status = "Approved" if name.startswith("private") else "Pending"
            connection.setdefault("properties", {})["privateLinkServiceConnectionState"] = {"status": status, "actionsRequired": "None"}


def _fill_public_ip(_: Reader, identifier: ResourceId, document: Document) -> None:
    # 203.0.113.0/24 is the documentation range: nothing here routes.
    document["properties"].setdefault("ipAddress", f"203.0.113.{sum(identifier.key.encode()) % 254 + 1}")


_TYPES = (
    ArmType(name="Microsoft.Resources/resourceGroups", pattern=r"[\w.()-]{0,89}[\w()-]"),
    ArmType(
        name="Microsoft.Network/virtualNetworks",
        pattern=r"[A-Za-z0-9][\w.-]{0,62}\w",
        checks=(network.check_virtual_network,),
        deletes=(network.in_use_network,),
        inline=("subnets",),
    ),
    ArmType(
        name="Microsoft.Network/virtualNetworks/subnets",
        location=False,
        checks=(network.check_subnet,),
        deletes=(network.in_use_subnet,),
    ),
    ArmType(
        name="Microsoft.Network/networkSecurityGroups",
        deletes=(
            network.referenced_by_subnet("networkSecurityGroup", "InUseNetworkSecurityGroupCannotBeDeleted", "Network security group"),
        ),
        inline=("securityRules",),
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
        deletes=(network.referenced_by_subnet("natGateway", "InUseNatGatewayCannotBeDeleted", "NAT gateway"),),
    ),
    ArmType(name="Microsoft.Network/publicIPAddresses", fill=(_fill_public_ip,), deletes=(network.in_use_public_ip,)),
    ArmType(
        name="Microsoft.Network/privateEndpoints",
        required=("properties.subnet",),
        checks=(network.check_private_endpoint,),
        fill=(_fill_private_endpoint,),
        asynchronous=True,
    ),
    ArmType(name="Microsoft.Network/privateEndpoints/privateDnsZoneGroups", location=False, checks=(network.check_zone_group,)),
    ArmType(
        name="Microsoft.Network/privateDnsZones",
        pattern=r"[\w-]+(\.[\w-]+){1,33}",
        checks=(network.check_zone,),
        deletes=(network.zone_with_links,),
    ),
    ArmType(name="Microsoft.Network/privateDnsZones/virtualNetworkLinks", checks=(network.check_zone_link,)),
    ArmType(
        name="Microsoft.Storage/storageAccounts",
        pattern=r"[a-z0-9]{3,24}",
        name_code="AccountNameInvalid",
        required=("kind", "sku.name"),
        checks=(data_rules.check_storage_account,),
        fill=(data_rules.fill_identity, data_rules.fill_storage_account),
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
    ),
    ArmType(name="Microsoft.KeyVault/vaults/secrets", pattern=r"[A-Za-z0-9-]{1,127}", location=False, required=("properties",)),
    ArmType(
        name="Microsoft.Databricks/workspaces",
        pattern=r"[\w-]{3,64}",
        checks=(data_rules.check_workspace,),
        asynchronous=True,
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
    ),
    ArmType(
        name="Microsoft.Insights/diagnosticSettings", pattern=r".{1,260}", location=False, checks=(data_rules.check_diagnostic_setting,)
    ),
)

TYPES = {each.name.lower(): each for each in _TYPES}
