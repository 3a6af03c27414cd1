"""Two workspaces on one metastore and four people in them, on an estate of their own.

`admin` is the deployer (account, workspace and metastore admin); `alice` is in the account group `engineers`, `bob` in `analysts`, `carol`
in nothing. The three are service principals that sign in by OAuth. Catalog `c` with schema `s` lies in the external location `lake`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from databricks.sdk import AccountClient, WorkspaceClient
from databricks.sdk.service.catalog import (
    AzureManagedIdentityRequest,
    CreateAccountsMetastore,
    CreateMetastoreAssignment,
)
from databricks.sdk.service.iam import ComplexValue, WorkspacePermission

from local_estate import tenancy
from local_estate.api.kernel.identity import ARM_AUDIENCE, DATABRICKS_AUDIENCE
from tests.conftest import RunningEstate, start_estate

_GROUP = f"/subscriptions/{tenancy.SUBSCRIPTION_ID}/resourceGroups/rg"
_STORAGE = f"{_GROUP}/providers/Microsoft.Storage/storageAccounts/accone"
_CONTRIBUTOR = (
    f"/subscriptions/{tenancy.SUBSCRIPTION_ID}/providers/Microsoft.Authorization/roleDefinitions/ba92f5b4-2d11-453d-a403-e96b0029c9fe"
)
_VAULT = f"{_GROUP}/providers/Microsoft.KeyVault/vaults/kv-estate"
_SECRETS_USER = (
    f"/subscriptions/{tenancy.SUBSCRIPTION_ID}/providers/Microsoft.Authorization/roleDefinitions/4633458b-17de-408a-b874-0445c86b69e6"
)
_MEMBERS = {"engineers": "alice", "analysts": "bob"}


@dataclass
class Person:
    name: str  # what grants call it
    secret: str


@dataclass
class World:
    """`workspaces` are ids by name (`one`, `two`); `root` is the URL of the external location."""

    estate: RunningEstate
    workspaces: dict[str, int] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    root: str = "abfss://lake@accone.dfs.core.windows.net"
    connector_id: str = f"{_GROUP}/providers/Microsoft.Databricks/accessConnectors/connector"
    vault_id: str = _VAULT
    vault_reader_id: str = f"{_VAULT}/providers/Microsoft.Authorization/roleAssignments/0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
    vault_url: str = "https://kv-estate.vault.azure.net/"

    @property
    def home(self) -> Path:
        return self.estate.paths.home

    def address(self, workspace: str) -> str:
        entries = self.estate.endpoints["workspaces"].values()
        return next(str(each["url"]) for each in entries if int(each["workspace_id"]) == self.workspaces[workspace])

    @property
    def url(self) -> str:
        return self.address("one")

    def name(self, who: str) -> str:
        return tenancy.DEPLOYER_CLIENT_ID if who == "admin" else self.people[who].name

    @cached_property
    def _entra(self) -> str:
        return self.estate.entra_token(DATABRICKS_AUDIENCE)

    def token(self, who: str, workspace: str = "one") -> str:
        if who == "admin":
            return self._entra
        person = self.people[who]
        reply = httpx.post(
            f"{self.address(workspace)}/oidc/v1/token",
            data={"grant_type": "client_credentials", "scope": "all-apis"},
            auth=(person.name, person.secret),
        )
        return str(reply.raise_for_status().json()["access_token"])

    def headers(self, who: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token(who)}"}

    def client(self, who: str) -> WorkspaceClient:
        return _client(self.url, self.token(who))

    def elsewhere(self, who: str) -> WorkspaceClient:
        """In the other workspace."""
        return _client(self.address("two"), self.token(who, "two"))

    @property
    def admin(self) -> WorkspaceClient:
        return self.client("admin")

    def by_pat(self, who: str) -> WorkspaceClient:
        return _client(self.url, str(self.client(who).tokens.create(comment="test").token_value))

    @property
    def account(self) -> AccountClient:
        return AccountClient(host=self.estate.account, account_id=tenancy.ACCOUNT_ID, token=self._entra, auth_type="pat")

    def arm(self, method: str, resource_id: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self.estate.entra_token(ARM_AUDIENCE)}"}
        url = f"{self.estate.arm}{resource_id}?api-version=2024-01-01"
        reply = httpx.request(method, url, headers=headers, json=body)
        assert reply.is_success, reply.text
        return dict(reply.json()) if reply.content else {}

    def container(self, name: str) -> str:
        """Makes one and returns its URL."""
        self.arm("PUT", f"{_STORAGE}/blobServices/default/containers/{name}", {"properties": {}})
        return f"abfss://{name}@accone.dfs.core.windows.net"

    def assign_storage_role(self) -> str:
        """Lets the access connector reach the storage account; the id of the assignment."""
        connector = self.arm("GET", self.connector_id)["identity"]["principalId"]
        assignment = f"{_STORAGE}/providers/Microsoft.Authorization/roleAssignments/0b7c3a52-6f0e-4c0b-9a53-1c7c5f1f6a11"
        properties = {"principalId": connector, "roleDefinitionId": _CONTRIBUTOR, "principalType": "ServicePrincipal"}
        self.arm("PUT", assignment, {"properties": properties})
        return assignment


def _client(url: str, token: str) -> WorkspaceClient:
    return WorkspaceClient(host=url, token=token, auth_type="pat")


@contextmanager
def make_world() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="estate-") as home:
        world = World(start_estate(Path(home)))
        try:
            _azure(world)
            _account(world)
            _catalog(world)
            yield world
        finally:
            world.estate.process.stop()


def _azure(world: World) -> None:
    place = {"location": tenancy.REGION}
    world.arm("PUT", _GROUP, place)
    properties = {"isHnsEnabled": True}
    world.arm("PUT", _STORAGE, {**place, "kind": "StorageV2", "sku": {"name": "Standard_ZRS"}, "properties": properties})
    world.container("lake")
    world.arm("PUT", world.connector_id, {**place, "identity": {"type": "SystemAssigned"}})
    vault = {"tenantId": tenancy.TENANT_ID, "sku": {"family": "A", "name": "standard"}, "enableRbacAuthorization": True}
    world.arm("PUT", world.vault_id, {**place, "properties": vault})
    reader = {"principalId": tenancy.AZURE_DATABRICKS_OBJECT_ID, "principalType": "ServicePrincipal", "roleDefinitionId": _SECRETS_USER}
    world.arm("PUT", world.vault_reader_id, {"properties": reader})
    world.arm("PUT", f"{world.vault_id}/secrets/from-vault", {"properties": {"value": "vault-value"}})
    for name in ("one", "two"):
        resource_id = f"{_GROUP}/providers/Microsoft.Databricks/workspaces/{name}-ws"
        world.arm("PUT", resource_id, {**place, "sku": {"name": "premium"}, "properties": {"computeMode": "Serverless"}})
        world.workspaces[name] = int(world.arm("GET", resource_id)["properties"]["workspaceId"])


def _account(world: World) -> None:
    account = world.account
    metastore = account.metastores.create(metastore_info=CreateAccountsMetastore("main", region=tenancy.REGION)).metastore_info
    assert metastore is not None and metastore.metastore_id is not None
    for workspace_id in world.workspaces.values():
        assignment = CreateMetastoreAssignment(metastore_id=metastore.metastore_id, workspace_id=workspace_id, default_catalog_name="main")
        account.metastore_assignments.create(workspace_id, metastore.metastore_id, metastore_assignment=assignment)
    ids: dict[str, str] = {}
    for who in ("alice", "bob", "carol"):
        principal = account.service_principals.create(display_name=who)
        assert principal.id is not None and principal.application_id is not None
        secret = account.service_principal_secrets.create(int(principal.id)).secret
        assert secret is not None
        ids[who], world.people[who] = principal.id, Person(principal.application_id, secret)
        for workspace_id in world.workspaces.values():
            account.workspace_assignment.update(workspace_id, int(principal.id), permissions=[WorkspacePermission.USER])
    for group, who in _MEMBERS.items():
        account.groups.create(display_name=group, members=[ComplexValue(value=ids[who])])


def _catalog(world: World) -> None:
    world.assign_storage_role()
    admin = world.admin
    admin.storage_credentials.create("cred", azure_managed_identity=AzureManagedIdentityRequest(world.connector_id))
    admin.external_locations.create("lake", world.root, "cred")
    admin.catalogs.create("c", storage_root=f"{world.root}/c")
    admin.schemas.create("s", "c")
