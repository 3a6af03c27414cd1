"""Other principals than the deployer, to see what they see: a service principal stands for whoever is in its groups."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_estate import facts, tenancy
from local_estate.paths import Paths

if TYPE_CHECKING:  # takes a second to import
    from databricks.sdk import AccountClient, WorkspaceClient

_KEPT = 3


@dataclass(frozen=True, repr=False)
class Secret:
    """What a service principal signs in with."""

    client_id: str
    secret: str


class NoSuchGroup(LookupError):
    """The account has no group of this name."""


def client(paths: Paths, stack: str, display_name: str, *groups: str) -> WorkspaceClient:
    """A service principal by name, made if missing, in these groups and in the stack's workspace, signed in with a secret of its own.

    Raises NoSuchGroup.
    """
    from databricks.sdk import WorkspaceClient

    account = account_client(paths)
    found = next(iter(account.service_principals.list(filter=f'displayName eq "{display_name}"')), None)
    principal = found or account.service_principals.create(display_name=display_name)
    root = f"/api/2.0/accounts/{tenancy.ACCOUNT_ID}"
    for name in groups:
        group = next((each for each in account.groups.list() if each.display_name == name), None)
        if group is None:
            raise NoSuchGroup(f"the account has no group {name}")
        joining = {"Operations": [{"op": "add", "path": "members", "value": [{"value": principal.id}]}]}
        account.api_client.do("PATCH", f"{root}/scim/v2/Groups/{group.id}", body=joining)
    workspace_id = facts.outputs(paths, stack)["workspace_id"]
    assignment = f"{root}/workspaces/{workspace_id}/permissionassignments/principals/{principal.id}"
    account.api_client.do("PUT", assignment, body={"permissions": ["USER"]})
    signed = new_secret(account, principal.application_id or "")
    host = facts.workspace_url(paths, stack)
    return WorkspaceClient(host=host, client_id=signed.client_id, client_secret=signed.secret, auth_type="oauth-m2m")


def account_client(paths: Paths) -> AccountClient:
    """As the deployer, who is an admin of the account."""
    from databricks.sdk import AccountClient

    deployer = json.loads(paths.credentials.read_text())["deployer"]
    return AccountClient(
        host=facts.endpoints(paths)["account"],
        account_id=tenancy.ACCOUNT_ID,
        client_id=deployer["client_id"],
        client_secret=deployer["client_secret"],
        auth_type="oauth-m2m",
    )


def new_secret(account: AccountClient, application_id: str) -> Secret:
    """A service principal has five secrets at most; clients of earlier calls may still live on the newest of them, which are kept."""
    principal = next(iter(account.service_principals.list(filter=f'applicationId eq "{application_id}"')))
    kept = sorted(account.service_principal_secrets.list(principal.id or ""), key=lambda each: each.create_time or "")
    for old in kept[:-_KEPT]:
        account.service_principal_secrets.delete(principal.id or "", old.id or "")
    return Secret(application_id, account.service_principal_secrets.create(principal.id or "").secret or "")
