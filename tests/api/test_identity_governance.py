"""Who may change what in the account and in a workspace, and that what was acknowledged stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from databricks.sdk import AccountClient, WorkspaceClient
from databricks.sdk.errors import DatabricksError, NotFound, PermissionDenied
from databricks.sdk.service.iam import WorkspacePermission

from local_estate import tenancy
from tests.api.estate_setup import Ready, account_client, ready_workspace
from tests.conftest import RunningEstate

ACCOUNT = f"/api/2.0/accounts/{tenancy.ACCOUNT_ID}"
WORKSPACE_SCIM = "/api/2.0/preview/scim/v2"


@pytest.fixture(scope="module")
def ready(shared_estate: RunningEstate) -> Iterator[Ready]:
    yield ready_workspace(shared_estate)


@pytest.fixture(scope="module")
def account(ready: Ready) -> AccountClient:
    return account_client(ready.estate)


@pytest.fixture(scope="module")
def admin(ready: Ready, account: AccountClient) -> WorkspaceClient:
    """An admin of the workspace who is none of the account."""
    client = ready.as_service_principal("sp-workspace-admin")
    account.workspace_assignment.update(ready.workspace_id, _own_id(client), permissions=[WorkspacePermission.ADMIN])
    return client


def _own_id(client: WorkspaceClient) -> int:
    return int(client.current_user.me().id or "")


def _patch(client: Any, path: str, *operations: dict[str, Any]) -> Any:
    return client.api_client.do("PATCH", path, body={"Operations": list(operations)})


def _member(principal: int) -> dict[str, Any]:
    return {"op": "add", "path": "members", "value": [{"value": str(principal)}]}


# A workspace's admins and the account


def test_a_workspace_admin_cannot_join_an_account_group(ready: Ready, account: AccountClient, admin: WorkspaceClient) -> None:
    group = account.groups.create(display_name="data-owners")
    account.workspace_assignment.update(ready.workspace_id, int(group.id or ""), permissions=[WorkspacePermission.USER])
    with pytest.raises(PermissionDenied, match="Only account admins can change members of data-owners"):
        _patch(admin, f"{WORKSPACE_SCIM}/Groups/{group.id}", _member(_own_id(admin)))
    with pytest.raises(PermissionDenied, match="Only account admins can change display_name"):
        admin.api_client.do("PUT", f"{WORKSPACE_SCIM}/Groups/{group.id}", body={"displayName": "mine"})


def test_a_workspace_admin_cannot_become_account_admin(admin: WorkspaceClient) -> None:
    roles = {"op": "add", "path": "roles", "value": [{"value": "account_admin"}]}
    with pytest.raises(PermissionDenied, match="Only account admins can change roles"):
        _patch(admin, f"{WORKSPACE_SCIM}/ServicePrincipals/{_own_id(admin)}", roles)
    with pytest.raises(PermissionDenied, match="Only account admins can change roles"):
        body = {"displayName": "sp-straw-man", "roles": [{"value": "account_admin"}]}
        admin.api_client.do("POST", f"{WORKSPACE_SCIM}/ServicePrincipals", body=body)
    with pytest.raises(PermissionDenied, match="Only admins can manage principals"):
        _patch(admin, f"/api/2.0/account/scim/v2/ServicePrincipals/{_own_id(admin)}", roles)


def test_a_workspace_admin_governs_entitlements_and_local_groups(admin: WorkspaceClient) -> None:
    path = f"{WORKSPACE_SCIM}/ServicePrincipals/{_own_id(admin)}"
    changed = _patch(admin, path, {"op": "add", "path": "entitlements", "value": [{"value": "allow-cluster-create"}]})
    assert changed["entitlements"] == [{"value": "allow-cluster-create"}]
    local = admin.groups.create(display_name="local")
    assert local.meta and local.meta.resource_type == "WorkspaceGroup"
    changed = _patch(admin, f"{WORKSPACE_SCIM}/Groups/{local.id}", _member(_own_id(admin)))
    assert [member["value"] for member in changed["members"]] == [str(_own_id(admin))]


def test_deleting_an_account_principal_in_a_workspace_only_takes_it_out_of_there(
    ready: Ready, account: AccountClient, admin: WorkspaceClient
) -> None:
    leaving = ready.as_service_principal("sp-leaving")
    identifier = str(_own_id(leaving))
    admin.service_principals.delete(identifier)
    with pytest.raises(PermissionDenied, match="is not a member of workspace"):
        leaving.current_user.me()
    with pytest.raises(NotFound, match="ServicePrincipal with id"):
        admin.service_principals.get(identifier)
    assert account.service_principals.get(identifier).display_name == "sp-leaving"


def test_the_accounts_groups_show_on_a_workspace_host_under_their_own_root(account: AccountClient, admin: WorkspaceClient) -> None:
    account.groups.create(display_name="elsewhere")
    found: Any = admin.api_client.do("GET", "/api/2.0/account/scim/v2/Groups", query={"filter": 'displayName eq "elsewhere"'})
    assert [each["displayName"] for each in found["Resources"]] == ["elsewhere"]
    assert list(admin.groups.list(filter='displayName eq "elsewhere"')) == []


# What SCIM refuses


def test_a_group_cannot_take_anothers_name_nor_contain_itself(account: AccountClient) -> None:
    inner, outer = (account.groups.create(display_name=name) for name in ("ring-inner", "ring-outer"))
    _patch(account, f"{ACCOUNT}/scim/v2/Groups/{outer.id}", _member(int(inner.id or "")))
    with pytest.raises(DatabricksError, match="Group ring-inner would contain itself"):
        _patch(account, f"{ACCOUNT}/scim/v2/Groups/{inner.id}", _member(int(outer.id or "")))
    with pytest.raises(DatabricksError, match="Group with name Ring-Outer already exists"):
        _patch(account, f"{ACCOUNT}/scim/v2/Groups/{inner.id}", {"op": "replace", "path": "displayName", "value": "Ring-Outer"})


def test_nobody_takes_anothers_application_id(account: AccountClient) -> None:
    made = account.service_principals.create(display_name="sp-impostor")
    body = {"displayName": "sp-impostor", "applicationId": tenancy.DEPLOYER_CLIENT_ID}
    with pytest.raises(DatabricksError, match="applicationId of .* cannot be changed"):
        account.api_client.do("PUT", f"{ACCOUNT}/scim/v2/ServicePrincipals/{made.id}", body=body)
    with pytest.raises(DatabricksError, match="Service principal with application ID .* already exists"):
        account.service_principals.create(application_id=tenancy.DEPLOYER_CLIENT_ID.upper())


def test_an_inactive_principal_is_refused_until_it_is_active_again(ready: Ready, account: AccountClient) -> None:
    client = ready.as_service_principal("sp-suspended")
    path = f"{ACCOUNT}/scim/v2/ServicePrincipals/{_own_id(client)}"
    # As Entra ID's provisioning spells it.
    _patch(account, path, {"op": "Replace", "path": "active", "value": "False"})
    with pytest.raises(PermissionDenied, match="sp-suspended is inactive"):
        client.current_user.me()
    _patch(account, path, {"op": "replace", "value": {"active": True}})
    assert client.current_user.me().display_name == "sp-suspended"


def test_an_absent_attribute_cannot_be_removed(account: AccountClient) -> None:
    group = account.groups.create(display_name="no-entitlements")
    with pytest.raises(DatabricksError, match="No such attribute with the name : entitlements in the current resource"):
        _patch(account, f"{ACCOUNT}/scim/v2/Groups/{group.id}", {"op": "remove", "path": "entitlements"})


def test_lists_are_filtered_sorted_paged_and_keep_their_ids(account: AccountClient) -> None:
    for name in ("page-c", "page-a", "page-b"):
        account.groups.create(display_name=name)
    query = {"filter": 'displayName sw "page-" and displayName ne "page-b"', "sortBy": "displayName", "sortOrder": "descending"}
    path = f"{ACCOUNT}/scim/v2/Groups"
    found: Any = account.api_client.do("GET", path, query={**query, "attributes": "displayName"})
    assert [each["displayName"] for each in found["Resources"]] == ["page-c", "page-a"]
    assert {name for each in found["Resources"] for name in each} == {"schemas", "id", "displayName"}
    second: Any = account.api_client.do("GET", path, query={**query, "startIndex": 2, "count": 1})
    assert (second["totalResults"], second["itemsPerPage"], second["Resources"][0]["displayName"]) == (2, 1, "page-a")


def test_another_account_is_none_of_ours(account: AccountClient) -> None:
    for path in ("scim/v2/Groups", "workspaces/1/permissionassignments"):
        with pytest.raises(PermissionDenied, match="Account 00000000-0000-0000-0000-000000000000 does not exist"):
            account.api_client.do("GET", f"/api/2.0/accounts/00000000-0000-0000-0000-000000000000/{path}")


# Tokens


def test_workspace_admins_see_and_revoke_everybodys_tokens(ready: Ready, admin: WorkspaceClient) -> None:
    member = ready.as_service_principal("sp-with-token")
    made = member.tokens.create(comment="theirs", lifetime_seconds=600)
    name = member.current_user.me().user_name
    found = list(admin.token_management.list(created_by_username=name))
    assert [(each.comment, each.created_by_id) for each in found] == [("theirs", _own_id(member))]
    with pytest.raises(PermissionDenied, match="Only admins of the workspace can do this"):
        list(member.token_management.list())
    admin.token_management.delete(found[0].token_id or "")
    with pytest.raises(DatabricksError, match=r"Invalid access token\."):
        WorkspaceClient(host=ready.url, token=made.token_value, auth_type="pat").current_user.me()
    with pytest.raises(NotFound, match="Token with ID"):
        admin.token_management.get(found[0].token_id or "")


def test_a_token_lives_for_a_positive_number_of_seconds(ready: Ready) -> None:
    for lifetime, message in ((0, "must be positive"), ("soon", "must be an integer")):
        with pytest.raises(DatabricksError, match=message):
            ready.client.api_client.do("POST", "/api/2.0/token/create", body={"lifetime_seconds": lifetime})


def test_the_entra_endpoint_knows_one_tenant_and_three_resources(ready: Ready) -> None:
    def ask(path: str, **form: str) -> tuple[int, Any]:
        client = {"client_id": tenancy.DEPLOYER_CLIENT_ID, "client_secret": ready.estate.deployer_secret}
        reply = httpx.post(f"{ready.estate.arm}/{path}", data={"grant_type": "client_credentials", **client, **form})
        return reply.status_code, reply.json()

    status, token = ask(f"{tenancy.TENANT_ID}/oauth2/token", resource="https://management.azure.com/")
    assert (status, token["token_type"]) == (200, "Bearer")
    assert ask("common/oauth2/v2.0/token", scope="https://management.azure.com/.default")[1]["error"] == "invalid_request"
    assert ask(f"{tenancy.TENANT_ID}/oauth2/v2.0/token", scope="https://graph.microsoft.com/.default")[1]["error"] == "invalid_scope"
    assert ask(f"{tenancy.TENANT_ID}/oauth2/v2.0/token", scope="https://vault.azure.net/.default", client_secret="falsch-ä")[0] == 401


# Assignments


def test_assignments_are_read_back_by_level_and_empty_ones_end(ready: Ready, account: AccountClient) -> None:
    group = account.groups.create(display_name="assigned")
    both = [WorkspacePermission.USER, WorkspacePermission.ADMIN]
    made = account.workspace_assignment.update(ready.workspace_id, int(group.id or ""), permissions=both)
    assert made.permissions == [WorkspacePermission.ADMIN]

    def levels() -> dict[str | None, list[WorkspacePermission] | None]:
        listed = account.workspace_assignment.list(ready.workspace_id)
        return {each.principal.group_name: each.permissions for each in listed if each.principal and each.principal.group_name}

    assert levels()["assigned"] == [WorkspacePermission.ADMIN]
    account.workspace_assignment.update(ready.workspace_id, int(group.id or ""), permissions=[])
    assert "assigned" not in levels()
    assert account.workspace_assignment.get(ready.workspace_id).permissions
    with pytest.raises(NotFound, match="Workspace 12 does not exist"):
        account.workspace_assignment.update(12, int(group.id or ""), permissions=both)


def test_a_workspace_assigns_by_name_and_reports_what_it_cannot(account: AccountClient, admin: WorkspaceClient) -> None:
    account.groups.create(display_name="by-name")
    items = [{"group_name": "by-name", "permissions": ["USER"]}, {"group_name": "nobody", "permissions": ["USER"]}]
    path = "/api/2.0/preview/permissionassignments"
    answer: Any = admin.api_client.do("POST", path, body={"permission_assignments": items})
    first, second = answer["permission_assignments"]
    assert (first["principal"]["group_name"], first["permissions"]) == ("by-name", ["USER"])
    assert second["error"] == {"code": "RESOURCE_DOES_NOT_EXIST", "message": "Principal nobody does not exist in this account."}


# A crash


def test_acknowledged_principals_secrets_and_tokens_survive_a_kill(estate: RunningEstate) -> None:
    ready = ready_workspace(estate, "identities")
    members = {name: ready.as_service_principal(name, "crew") for name in ("sp-1", "sp-2", "sp-3")}
    tokens = {name: client.tokens.create(comment=name).token_value for name, client in members.items()}
    secrets = {name: (client.config.client_id, client.config.client_secret) for name, client in members.items()}
    estate.fault(method="GET", path="scim/v2/Groups$", effect="crash_before")
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{ready.url}{WORKSPACE_SCIM}/Groups", headers={"authorization": f"Bearer {ready.token}"})
    estate.process.start(environment={"ESTATE_FAULTS": "1"})
    url = next(iter(estate.endpoints["workspaces"].values()))["url"]
    for name, (client_id, client_secret) in secrets.items():
        again = WorkspaceClient(host=url, client_id=client_id, client_secret=client_secret, auth_type="oauth-m2m")
        assert again.current_user.me().display_name == name
        assert WorkspaceClient(host=url, token=tokens[name], auth_type="pat").current_user.me().display_name == name
    crew = next(iter(account_client(estate).groups.list(filter='displayName eq "crew"')))
    assert {member.display for member in crew.members or []} == set(secrets)
