"""What Azure refuses, and fills in, for storage, Key Vault, role assignments and diagnostic settings."""

from __future__ import annotations

import re
import uuid

from local_estate import tenancy
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.identity import PRINCIPAL
from local_estate.api.kernel.store import Document, Reader
from local_estate.api.services.arm import state
from local_estate.api.services.arm.ids import ResourceId


def unchanged(reader: Reader, document: Document, path: str, code: str) -> None:
    """Refuses a change of a property that is fixed at creation."""
    before = state.get(reader, document["id"])
    if before is not None and state.property_of(before, path) != state.property_of(document, path):
        raise ApiError(code, f"Property '{path}' of {document['id']} cannot be changed after creation.", 409)


# Storage


_KINDS = {"StorageV2", "Storage", "BlobStorage", "BlockBlobStorage", "FileStorage"}
_SKUS = {
    f"{tier}_{kind}"
    for tier, kinds in {"Standard": "LRS GRS RAGRS ZRS GZRS RAGZRS", "Premium": "LRS ZRS"}.items()
    for kind in kinds.split()
}
_TLS = {"TLS1_0", "TLS1_1", "TLS1_2"}  # TLS1_3 is in the SDK and not yet supported by the service
_STORAGE_TAGS, _STORAGE_TAG_NAME = 15, 128


def _one_of(value: object, allowed: set[str], what: str, code: str) -> None:
    if value not in allowed:
        raise ApiError(code, f"The value '{value}' is not valid for {what}; there are {', '.join(sorted(allowed))}.", 400)


def check_storage_account(reader: Reader, identifier: ResourceId, document: Document) -> None:
    properties = document["properties"]
    _one_of(document["kind"], _KINDS, "kind", "InvalidValuesForRequestParameters")
    _one_of(document["sku"]["name"], _SKUS, "sku.name", "InvalidValuesForRequestParameters")
    _one_of(properties.get("minimumTlsVersion", "TLS1_2"), _TLS, "minimumTlsVersion", "InvalidValuesForRequestParameters")
    tags = document.get("tags") or {}
    if len(tags) > _STORAGE_TAGS or any(len(name) > _STORAGE_TAG_NAME for name in tags):
        message = f"A storage account takes {_STORAGE_TAGS} tags with names of {_STORAGE_TAG_NAME} characters at most."
        raise ApiError("InvalidTagNameOrValue", message, 400)
    if properties.get("isHnsEnabled") and document["kind"] not in ("StorageV2", "BlockBlobStorage"):
        raise ApiError("HnsNotSupportedForAccountKind", f"A hierarchical namespace is not supported for kind {document['kind']}.", 400)
    for other in state.of_type(reader, "Microsoft.Storage/storageAccounts"):
        if other["name"] == identifier.name and other["id"].lower() != identifier.key:
            raise ApiError("StorageAccountAlreadyTaken", f"The storage account named {identifier.name} is already taken.", 409)
    document["properties"].setdefault("isHnsEnabled", False)
    for path in ("isHnsEnabled", "isNfsV3Enabled", "encryption.requireInfrastructureEncryption"):
        unchanged(reader, document, path, "PropertyIsImmutable")
    before = state.get(reader, identifier.text)
    if before is not None and before["sku"]["name"].split("_")[0] != document["sku"]["name"].split("_")[0]:
        raise ApiError("PropertyIsImmutable", f"The tier of storage account {identifier.name} cannot be changed after creation.", 409)


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
    properties.setdefault("supportsHttpsTrafficOnly", True)
    properties.setdefault("encryption", {"keySource": "Microsoft.Storage"}).setdefault("keySource", "Microsoft.Storage")
    # Left out, the rules are open: removing them from a program opens the account.
    rules = properties.setdefault("networkAcls", {"bypass": "AzureServices", "defaultAction": "Allow"})
    for name in ("ipRules", "virtualNetworkRules"):
        rules.setdefault(name, [])


def check_blob_service(reader: Reader, identifier: ResourceId, document: Document) -> None:
    account = state.get(reader, "/".join(identifier.text.split("/")[:9]))
    properties = document["properties"]
    if state.property_of(account, "isHnsEnabled"):
        for feature, on in (
            ("Blob versioning", properties.get("isVersioningEnabled")),
            ("The change feed", (properties.get("changeFeed") or {}).get("enabled")),
        ):
            if on:
                raise ApiError(
                    "FeatureNotSupportedForAccount", f"{feature} is not supported for accounts with a hierarchical namespace.", 400
                )
    for name in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
        policy = properties.get(name) or {}
        if policy.get("enabled") and not 1 <= int(policy.get("days") or 0) <= 365:
            raise ApiError("InvalidValuesForRequestParameters", f"{name}.days must be from 1 to 365 when it is enabled.", 400)


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
    if str(properties["sku"].get("name", "")).lower() not in ("standard", "premium"):
        raise ApiError("BadRequest", f"The vault's sku is standard or premium, not {properties['sku'].get('name')!r}.", 400)
    before = state.get(reader, identifier.text)
    if before and before["properties"].get("enablePurgeProtection") and not properties.get("enablePurgeProtection"):
        raise ApiError("BadRequest", "Purge protection cannot be turned off once it is on.", 400)
    unchanged(reader, document, "softDeleteRetentionInDays", "BadRequest")
    if before is None:
        for other in state.of_type(reader, "Microsoft.KeyVault/vaults"):
            if other["name"].lower() == identifier.name.lower():
                raise ApiError("VaultAlreadyExists", f"The vault name '{identifier.name}' is already in use.", 409)
        deleted = reader.get(state.SOFT_DELETED_VAULT, identifier.name.lower())
        if deleted and properties.get("createMode") != "recover":
            raise ApiError(
                "ConflictError",
                "A vault with the same name already exists in deleted state. You need to either recover or purge existing key vault. "
                "Follow this link https://go.microsoft.com/fwlink/?linkid=2149745 for more information on soft delete.",
                409,
            )


def fill_vault(_: Reader, identifier: ResourceId, document: Document) -> None:
    document["properties"] |= {"vaultUri": f"https://{identifier.name.lower()}.vault.azure.net/", "enableSoftDelete": True}
    document["properties"].setdefault("publicNetworkAccess", "Enabled")


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
    if reader.first(PRINCIPAL, {"object_id": object_id}) is not None:
        return True
    return any((document.get("identity") or {}).get("principalId") == object_id for _, document in reader.find(state.RESOURCE))


def fill_identity(reader: Reader, _: ResourceId, document: Document) -> None:
    """A system-assigned identity keeps its principal for the life of its resource; a re-created one is somebody else."""
    identity = document.get("identity") or {}
    if "SystemAssigned" in str(identity.get("type", "")):
        before = (state.get(reader, document["id"]) or {}).get("identity") or {}
        document["identity"] = {**identity, "principalId": before.get("principalId") or str(uuid.uuid4()), "tenantId": tenancy.TENANT_ID}


# Monitoring


# Log categories by target type; a type that is not here is not checked.
# https://learn.microsoft.com/azure/azure-monitor/reference/supported-logs/logs-index
_CATEGORIES = {
    "microsoft.databricks/workspaces": {
        "accounts",
        "aibiGenie",
        "Apps",
        "BrickStoreHttpGateway",
        "BudgetPolicyCentral",
        "capsule8Dataplane",
        "clamAVScan",
        "CloudStorageMetadata",
        "clusterLibraries",
        "ClusterPolicies",
        "clusters",
        "Dashboards",
        "databricksSQL",
        "dataMonitoring",
        "DataRooms",
        "DBFS",
        "deltaPipelines",
        "featureStore",
        "Files",
        "Filesystem",
        "genie",
        "gitCredentials",
        "globalInitScripts",
        "Groups",
        "iamRole",
        "Ingestion",
        "instancePools",
        "jobs",
        "LakeviewConfig",
        "LineageTracking",
        "MarketplaceConsumer",
        "MarketplaceProvider",
        "mlflowAcledArtifact",
        "mlflowExperiment",
        "modelRegistry",
        "notebook",
        "onlineTables",
        "partnerHub",
        "PredictiveOptimization",
        "RBAC",
        "RemoteHistoryService",
        "repos",
        "RFA",
        "secrets",
        "serverlessRealTimeInference",
        "sql",
        "sqlanalytics",
        "sqlPermissions",
        "ssh",
        "unityCatalog",
        "VectorSearch",
        "webhookNotifications",
        "webTerminal",
        "workspace",
        "WorkspaceFiles",
    },
    "microsoft.keyvault/vaults": {"AuditEvent", "AzurePolicyEvaluationDetails"},
    "microsoft.storage/storageaccounts": set(),  # its logs are those of the services below it
    "microsoft.network/networksecuritygroups": {"NetworkSecurityGroupEvent", "NetworkSecurityGroupRuleCounter"},
}
_DESTINATIONS = ("workspaceId", "storageAccountId", "eventHubAuthorizationRuleId")


def check_diagnostic_setting(reader: Reader, identifier: ResourceId, document: Document) -> None:
    properties = document["properties"]
    if not any(properties.get(name) for name in _DESTINATIONS):
        raise ApiError("BadRequest", "A diagnostic setting needs a destination: workspaceId, storageAccountId or an event hub.", 400)
    for name in _DESTINATIONS[:2]:
        if properties.get(name) and state.get(reader, properties[name]) is None:
            raise ApiError("ResourceNotFound", f"The destination {properties[name]} was not found.", 404)
    if not properties.get("logs") and not properties.get("metrics"):
        raise ApiError("BadRequest", "A diagnostic setting needs a category or categoryGroup of logs, or metrics.", 400)
    target = state.get(reader, identifier.scope) or {"type": ""}
    premium = (target.get("sku") or {}).get("name", "premium").lower() == "premium"
    known = _CATEGORIES.get(target["type"].lower())
    for log in properties.get("logs") or []:
        if bool(log.get("category")) == bool(log.get("categoryGroup")):
            raise ApiError("BadRequest", "A log has a category or a categoryGroup, not both.", 400)
        if (log.get("retentionPolicy") or {}).get("days"):
            raise ApiError("BadRequest", "Diagnostic settings no longer support retention; use the destination's own.", 400)
        unknown = log.get("category") and known is not None and log["category"].lower() not in {each.lower() for each in known}
        if unknown or (target["type"].lower() == "microsoft.databricks/workspaces" and not premium):
            raise ApiError("BadRequest", f"Category '{log.get('category') or log.get('categoryGroup')}' is not supported", 400)
    _check_other_settings(reader, identifier, document)


def _sinks(setting: Document) -> set[tuple[str, str]]:
    properties = setting["properties"]
    logs = [log.get("category") or log.get("categoryGroup") for log in properties.get("logs") or [] if log.get("enabled", True)]
    return {(str(properties[name]).lower(), log) for name in _DESTINATIONS if properties.get(name) for log in logs}


def _check_other_settings(reader: Reader, identifier: ResourceId, document: Document) -> None:
    """Five settings of a resource at most, none sending the same category to the same destination."""
    prefix = f"{identifier.scope}/providers/Microsoft.Insights/diagnosticSettings/"
    others = [each for each in state.of_type(reader, document["type"], prefix) if each["id"].lower() != identifier.key]
    if len(others) >= 5:
        raise ApiError("BadRequest", f"{identifier.scope} already has 5 diagnostic settings, the most it can have.", 400)
    for other in others:
        if shared := _sinks(other) & _sinks(document):
            sink, category = sorted(shared)[0]
            raise ApiError(
                "Conflict", f"Data sink '{sink}' is already used in diagnostic setting '{other['name']}' for category '{category}'.", 409
            )
