"""What Azure refuses, and fills in, for storage, Key Vault, Databricks workspaces and role assignments."""

from __future__ import annotations

import re
import uuid
from typing import Any

from local_estate import tenancy
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document, Reader
from local_estate.api.services.arm import network, state
from local_estate.api.services.arm.ids import ResourceId


def _unchanged(reader: Reader, document: Document, path: str, code: str) -> None:
    """Refuses a change of a property that is fixed at creation."""
    before = state.get(reader, document["id"])
    if before is not None and state.property_of(before, path) != state.property_of(document, path):
        raise ApiError(code, f"Property '{path}' of {document['id']} cannot be changed after creation.", 409)


# Storage


def check_storage_account(reader: Reader, identifier: ResourceId, document: Document) -> None:
    for other in state.of_type(reader, "Microsoft.Storage/storageAccounts"):
        if other["name"] == identifier.name and other["id"].lower() != identifier.key:
            raise ApiError("StorageAccountAlreadyTaken", f"The storage account named {identifier.name} is already taken.", 409)
    document["properties"].setdefault("isHnsEnabled", False)
    _unchanged(reader, document, "isHnsEnabled", "PropertyIsImmutable")


def fill_storage_account(_: Reader, identifier: ResourceId, document: Document) -> None:
    sku = document["sku"]["name"]
    services = ("blob", "dfs", "file", "queue", "table")
    endpoints = {service: f"https://{identifier.name}.{service}.core.windows.net/" for service in services}
    document["sku"]["tier"] = sku.split("_")[0]
    properties = document["properties"]
    properties["primaryEndpoints"] = endpoints
    properties["primaryLocation"] = document["location"]
    properties["statusOfPrimary"] = "available"
    if sku.startswith(("Standard_RA", "Premium_RA")):
        properties["secondaryEndpoints"] = {
            name: url.replace(identifier.name, f"{identifier.name}-secondary", 1) for name, url in endpoints.items() if name != "file"
        }
    for name, value in (("accessTier", "Hot"), ("publicNetworkAccess", "Enabled"), ("minimumTlsVersion", "TLS1_0")):
        properties.setdefault(name, value)


def check_blob_service(reader: Reader, identifier: ResourceId, document: Document) -> None:
    account = state.get(reader, "/".join(identifier.text.split("/")[:9]))
    if state.property_of(account, "isHnsEnabled") and document["properties"].get("isVersioningEnabled"):
        raise ApiError("FeatureNotSupportedForAccount", "Blob versioning is not supported for accounts with a hierarchical namespace.", 400)


def check_container(reader: Reader, identifier: ResourceId, document: Document) -> None:
    account = state.get(reader, "/".join(identifier.text.split("/")[:9]))
    if document["properties"].get("publicAccess") not in (None, "None") and state.property_of(account, "allowBlobPublicAccess") is not True:
        raise ApiError("PublicAccessNotPermitted", "Public access is not permitted on this storage account.", 409)
    document["properties"].setdefault("publicAccess", "None")


# Key Vault


def check_vault(reader: Reader, identifier: ResourceId, document: Document) -> None:
    properties = document["properties"]
    if properties.get("tenantId") != tenancy.TENANT_ID:
        raise ApiError("BadRequest", f"The vault's tenantId {properties.get('tenantId')} is not the subscription's tenant.", 400)
    if properties.get("enablePurgeProtection") is False:
        raise ApiError("BadRequest", "The property 'enablePurgeProtection' cannot be set to false; leave it out instead.", 400)
    if not 7 <= int(properties.setdefault("softDeleteRetentionInDays", 90)) <= 90:
        raise ApiError("BadRequest", "softDeleteRetentionInDays must be from 7 to 90.", 400)
    if not properties.get("enableRbacAuthorization") and properties.get("accessPolicies") is None:
        raise ApiError("BadRequest", "accessPolicies is required for a vault without enableRbacAuthorization.", 400)
    before = state.get(reader, identifier.text)
    if before and before["properties"].get("enablePurgeProtection") and not properties.get("enablePurgeProtection"):
        raise ApiError("BadRequest", "Purge protection cannot be turned off once it is on.", 400)
    _unchanged(reader, document, "softDeleteRetentionInDays", "BadRequest")
    if before is None:
        for other in state.of_type(reader, "Microsoft.KeyVault/vaults"):
            if other["name"].lower() == identifier.name.lower():
                raise ApiError("VaultAlreadyExists", f"The vault name '{identifier.name}' is already in use.", 409)
        deleted = reader.get(DELETED_VAULT, identifier.name.lower())
        if deleted and properties.get("createMode") != "recover":
            raise ApiError(
                "ConflictError", f"A vault named '{identifier.name}' exists in deleted state; use createMode recover or purge it.", 409
            )


DELETED_VAULT = "arm.deleted-vault"


def fill_vault(_: Reader, identifier: ResourceId, document: Document) -> None:
    document["properties"] |= {"vaultUri": f"https://{identifier.name.lower()}.vault.azure.net/", "enableSoftDelete": True}
    document["properties"].setdefault("publicNetworkAccess", "Enabled")


# Databricks


def check_workspace(reader: Reader, identifier: ResourceId, document: Document) -> None:
    properties = document["properties"]
    mode = properties.get("computeMode")
    if mode not in {"Hybrid", "Serverless"}:
        raise ApiError("InvalidRequestContent", "computeMode is required for a workspace: Hybrid or Serverless.", 400)
    _unchanged(reader, document, "computeMode", "ComputeModeChangeNotAllowed")
    _unchanged(reader, document, "parameters.customVirtualNetworkId.value", "VirtualNetworkIdChangeNotAllowed")
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


# Role assignments


_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def check_role_assignment(reader: Reader, identifier: ResourceId, document: Document) -> None:
    properties = document["properties"]
    if not _GUID.fullmatch(identifier.name):
        raise ApiError("InvalidRoleAssignmentId", f"The role assignment name '{identifier.name}' must be a GUID.", 400)
    role = str(properties.get("roleDefinitionId", "")).rsplit("/", 1)[-1].lower()
    if role not in state.ROLES:
        raise ApiError("RoleDefinitionDoesNotExist", f"The role definition '{role}' does not exist.", 404)
    properties.setdefault("scope", identifier.scope)
    if "principalType" not in properties and not _known(reader, properties["principalId"]):
        raise ApiError(
            "PrincipalNotFound",
            f"Principal {properties['principalId']} does not exist in the directory. A new identity needs principalType.",
            400,
        )
    before = state.get(reader, identifier.text)
    mine = (properties["principalId"], role, identifier.scope.lower())
    if before and _triple(before) != mine:
        raise ApiError(
            "RoleAssignmentUpdateNotPermitted", "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.", 400
        )
    for other in state.of_type(reader, "Microsoft.Authorization/roleAssignments"):
        if other["id"].lower() != identifier.key and _triple(other) == mine:
            raise ApiError("RoleAssignmentExists", "The role assignment already exists.", 409)


def _triple(assignment: Document) -> tuple[str, str, str]:
    properties = assignment["properties"]
    return (properties["principalId"], properties["roleDefinitionId"].rsplit("/", 1)[-1].lower(), properties["scope"].lower())


def _known(reader: Reader, object_id: str) -> bool:
    if object_id == tenancy.DEPLOYER_OBJECT_ID:
        return True
    return any((document.get("identity") or {}).get("principalId") == object_id for _, document in reader.find(state.RESOURCE))


def fill_identity(reader: Reader, _: ResourceId, document: Document) -> None:
    """A system-assigned identity keeps its principal for the life of its resource; a re-created one is somebody else."""
    identity = document.get("identity") or {}
    if "SystemAssigned" in str(identity.get("type", "")):
        before = (state.get(reader, document["id"]) or {}).get("identity") or {}
        document["identity"] = {**identity, "principalId": before.get("principalId") or str(uuid.uuid4()), "tenantId": tenancy.TENANT_ID}


# Monitoring


def check_diagnostic_setting(reader: Reader, identifier: ResourceId, document: Document) -> None:
    properties = document["properties"]
    if not any(properties.get(name) for name in ("workspaceId", "storageAccountId", "eventHubAuthorizationRuleId")):
        raise ApiError("BadRequest", "A diagnostic setting needs a destination: workspaceId, storageAccountId or an event hub.", 400)
    target = state.get(reader, identifier.scope)
    premium = ((target or {}).get("sku") or {}).get("name", "premium").lower() == "premium"
    for log in properties.get("logs") or []:
        if log.get("category") and log.get("categoryGroup"):
            raise ApiError("BadRequest", "A log has a category or a categoryGroup, not both.", 400)
        if (log.get("retentionPolicy") or {}).get("days"):
            raise ApiError("BadRequest", "Diagnostic settings no longer support retention; use the destination's own.", 400)
        if target and target["type"].lower() == "microsoft.databricks/workspaces" and not premium:
            raise ApiError("BadRequest", f"Category '{log.get('category') or log.get('categoryGroup')}' is not supported", 400)
