"""The resources that exist, by lower-case id."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local_estate import tenancy
from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document, Reader
from local_estate.api.services.arm import ids

RESOURCE = "arm.resource"
SOFT_DELETED_VAULT = "arm.soft-deleted-vault"  # by lower-case name: {"vault", "secrets": [[key, document, value]], "deleted", "purged"}

ROLES = {
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": "Reader",
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": "User Access Administrator",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    "00482a5a-887f-4fb3-b363-3b7fe8e74483": "Key Vault Administrator",
    "a638d3c7-ab3a-418d-83e6-5f17a39d4fde": "Azure Event Hubs Data Receiver",
}


def get(reader: Reader, identifier: str) -> Document | None:
    return reader.get(RESOURCE, identifier.rstrip("/").lower())


def of_type(reader: Reader, kind: str, prefix: str = "") -> Iterator[Document]:
    """Resources of an ARM type spelt as in `types.py`, below a scope when one is given."""
    for _, document in reader.find(RESOURCE, prefix=prefix.lower(), where={"type": kind}):
        yield document


def property_of(document: Document | None, path: str) -> Any:
    """`networkSecurityGroup.id` of `properties`, or None where a step is missing."""
    value: Any = (document or {}).get("properties", {})
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


# What other services ask


def resource(estate: Estate, *, id: str) -> Document | None:
    return get(estate.store.read, id)


def workspace(estate: Estate, *, workspace_id: int) -> Document | None:
    for document in of_type(estate.store.read, "Microsoft.Databricks/workspaces"):
        if document["properties"].get("workspaceId") == str(workspace_id):
            return document
    return None


def workspaces(estate: Estate) -> list[dict[str, str]]:
    """`{"name", "workspace_url", "workspace_id"}` of each, for the console."""
    return [
        {"name": each["name"], "workspace_url": each["properties"]["workspaceUrl"], "workspace_id": each["properties"]["workspaceId"]}
        for each in of_type(estate.store.read, "Microsoft.Databricks/workspaces")
    ]


def resource_counts(estate: Estate) -> dict[str, int]:
    counts: dict[str, int] = {}
    for _, document in estate.store.read.find(RESOURCE):
        counts[document["type"]] = counts.get(document["type"], 0) + 1
    return counts


def has_role(estate: Estate, *, object_id: str, role_name: str, scope: str) -> bool:
    """By an assignment at the scope or above it. The deployer owns the subscription."""
    if object_id == tenancy.DEPLOYER_OBJECT_ID and role_name in {"Owner", "Contributor", "Reader"}:
        return True
    for assignment in of_type(estate.store.read, "Microsoft.Authorization/roleAssignments"):
        properties = assignment["properties"]
        role = ROLES.get(properties["roleDefinitionId"].rsplit("/", 1)[-1].lower())
        if properties["principalId"] == object_id and role == role_name and ids.contains(properties["scope"], scope):
            return True
    return False


_URL = re.compile(r"abfss://([^@/]+)@([^./]+)\.dfs\.core\.windows\.net(?:/.*)?")


def _container(estate: Estate, url: str) -> Document:
    found = _URL.fullmatch(url)
    if found is None:
        raise ApiError("INVALID_PARAMETER_VALUE", f"{url} is no abfss://container@account.dfs.core.windows.net URL.")
    name, account = found.groups()
    for container in of_type(estate.store.read, "Microsoft.Storage/storageAccounts/blobServices/containers"):
        if container["name"].lower() == name and container["id"].split("/")[8].lower() == account:
            return container
    raise ApiError("NOT_FOUND", f"The storage container {name} of account {account} does not exist.")


def storage_scope(estate: Estate, *, url: str) -> str:
    """The ARM id of the container behind an abfss URL."""
    return str(_container(estate, url)["id"])


def storage_container(estate: Estate, *, url: str) -> Path:
    """The local directory of the container behind an abfss URL. Raises ApiError NOT_FOUND when Azure has no such container."""
    container = _container(estate, url)
    account, name = str(container["id"]).split("/")[8].lower(), str(container["name"]).lower()
    return estate.paths.adls / account / name


def can_read_storage(estate: Estate, *, principal_object_id: str, url: str) -> bool:
    scope = storage_scope(estate, url=url)
    return any(
        has_role(estate, object_id=principal_object_id, role_name=role, scope=scope)
        for role in ("Storage Blob Data Contributor", "Storage Blob Data Reader")
    )
