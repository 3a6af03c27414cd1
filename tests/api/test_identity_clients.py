"""Identity through the unmodified databricks-sdk: sign-in, SCIM, secrets, tokens, membership."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from databricks.sdk import AccountClient, WorkspaceClient
from databricks.sdk.errors import DatabricksError, NotFound, PermissionDenied
from databricks.sdk.service.iam import ComplexValue

from local_estate import tenancy
from tests.api.estate_setup import Ready, account_client, ready_workspace
from tests.conftest import RunningEstate

ACCOUNT = f"/api/2.0/accounts/{tenancy.ACCOUNT_ID}"


@pytest.fixture(scope="module")
def ready(shared_estate: RunningEstate) -> Iterator[Ready]:
    yield ready_workspace(shared_estate)


@pytest.fixture(scope="module")
def account(ready: Ready) -> AccountClient:
    return account_client(ready.estate)


def _patch(account: AccountClient, group_id: str | None, *operations: dict[str, Any]) -> Any:
    return account.api_client.do("PATCH", f"{ACCOUNT}/scim/v2/Groups/{group_id}", body={"Operations": list(operations)})


def test_a_client_with_id_and_secret_is_who_it_says(ready: Ready) -> None:
    assert ready.client.current_user.me().user_name == tenancy.DEPLOYER_CLIENT_ID


def test_a_wrong_secret_gets_no_token(ready: Ready) -> None:
    with pytest.raises(Exception, match="invalid_client"):
        WorkspaceClient(
            host=ready.url, client_id=tenancy.DEPLOYER_CLIENT_ID, client_secret="wrong", auth_type="oauth-m2m"
        ).current_user.me()


def test_only_client_credentials_are_issued(ready: Ready) -> None:
    reply = httpx.post(f"{ready.url}/oidc/v1/token", data={"grant_type": "password", "username": "a", "password": "b"})
    assert (reply.status_code, reply.json()["error"]) == (400, "unsupported_grant_type")


def test_an_entra_token_for_azure_does_not_open_databricks(ready: Ready) -> None:
    token = ready.estate.entra_token("https://management.azure.com")
    reply = httpx.get(f"{ready.url}/api/2.0/preview/scim/v2/Me", headers={"authorization": f"Bearer {token}"})
    assert (reply.status_code, reply.json()["detail"].startswith("Invalid access token. Its audience")) == (403, True)


def test_me_names_the_workspace_in_its_header(ready: Ready) -> None:
    reply = httpx.get(f"{ready.url}/api/2.0/preview/scim/v2/Me", headers={"authorization": f"Bearer {ready.token}"})
    assert reply.headers["x-databricks-org-id"] == str(ready.workspace_id)


def test_a_service_principal_signs_in_with_its_own_secret(ready: Ready) -> None:
    client = ready.as_service_principal("sp-own-secret")
    assert client.current_user.me().display_name == "sp-own-secret"


def test_a_principal_that_is_no_member_of_the_workspace_is_refused(ready: Ready, account: AccountClient) -> None:
    stranger = account.service_principals.create(display_name="sp-stranger")
    secret = account.service_principal_secrets.create(stranger.id or "").secret
    with pytest.raises(Exception, match="is not a member of workspace"):
        WorkspaceClient(host=ready.url, client_id=stranger.application_id, client_secret=secret, auth_type="oauth-m2m").current_user.me()


def test_membership_by_a_group_counts_and_ends_with_it(ready: Ready, account: AccountClient) -> None:
    principal = account.service_principals.create(display_name="sp-by-group")
    secret = account.service_principal_secrets.create(principal.id or "").secret
    inner = account.groups.create(display_name="inner", members=[ComplexValue(value=principal.id)])
    outer = account.groups.create(display_name="outer", members=[ComplexValue(value=inner.id)])
    path = f"{ACCOUNT}/workspaces/{ready.workspace_id}/permissionassignments/principals/{outer.id}"
    account.api_client.do("PUT", path, body={"permissions": ["USER"]})
    client = WorkspaceClient(host=ready.url, client_id=principal.application_id, client_secret=secret, auth_type="oauth-m2m")
    assert client.current_user.me().id == principal.id
    _patch(account, inner.id, {"op": "remove", "path": f'members[value eq "{principal.id}"]'})
    with pytest.raises(PermissionDenied, match="is not a member"):
        client.current_user.me()


def test_a_personal_access_token_works_until_it_is_deleted(ready: Ready) -> None:
    made = ready.client.tokens.create(comment="laptop", lifetime_seconds=60)
    client = WorkspaceClient(host=ready.url, token=made.token_value, auth_type="pat")
    assert client.current_user.me().user_name == tenancy.DEPLOYER_CLIENT_ID
    assert [token.comment for token in ready.client.tokens.list()] == ["laptop"]
    ready.client.tokens.delete(made.token_info.token_id if made.token_info and made.token_info.token_id else "")
    with pytest.raises(DatabricksError, match="Invalid access token"):
        client.current_user.me()


def test_tokens_on_behalf_of_service_principals_do_not_exist_on_azure(ready: Ready) -> None:
    with pytest.raises(DatabricksError, match="Azure Databricks has none"):
        ready.client.token_management.create_obo_token(application_id="x", lifetime_seconds=1)


def test_groups_are_patched_member_by_member(account: AccountClient) -> None:
    one, two = (account.service_principals.create(display_name=name) for name in ("sp-one", "sp-two"))
    group = account.groups.create(display_name="patched")
    _patch(account, group.id, {"op": "add", "path": "members", "value": [{"value": one.id}, {"value": two.id}]})
    _patch(account, group.id, {"op": "remove", "path": f'members[value eq "{one.id}"]'})
    assert [member.value for member in account.groups.get(group.id or "").members or []] == [two.id]


def test_a_member_that_does_not_exist_is_refused(account: AccountClient) -> None:
    group = account.groups.create(display_name="no-such-member")
    with pytest.raises(NotFound, match="no principal with id 42"):
        _patch(account, group.id, {"op": "add", "path": "members", "value": [{"value": "42"}]})


def test_filters_find_by_name_without_regard_to_case(account: AccountClient) -> None:
    account.groups.create(display_name="Findable")
    assert [group.display_name for group in account.groups.list(filter='displayName eq "findable"')] == ["Findable"]
    with pytest.raises(DatabricksError, match="is not supported; use ATTRIBUTE"):
        list(account.groups.list(filter="members pr"))


def test_a_duplicate_is_named_as_the_clients_expect(account: AccountClient, ready: Ready) -> None:
    account.users.create(user_name="twice@mt.example")
    with pytest.raises(DatabricksError, match="User with email twice@mt.example already exists in this account"):
        account.users.create(user_name="twice@mt.example")
    with pytest.raises(DatabricksError, match=r"User with username twice@mt.example already exists\."):
        ready.client.users.create(user_name="twice@mt.example")
    account.groups.create(display_name="twice")
    with pytest.raises(DatabricksError, match="Group with name twice already exists"):
        account.groups.create(display_name="twice")


def test_blank_entitlements_are_not_echoed_and_unknown_ones_refused(account: AccountClient) -> None:
    path = f"{ACCOUNT}/scim/v2/Groups"
    made: Any = account.api_client.do("POST", path, body={"displayName": "blank", "entitlements": [{}]})
    assert "entitlements" not in made
    with pytest.raises(DatabricksError, match="Unknown entitlement fly"):
        account.api_client.do("POST", path, body={"displayName": "fly", "entitlements": [{"value": "fly"}]})


def test_a_secret_is_shown_once_and_at_most_five_exist(account: AccountClient) -> None:
    principal = account.service_principals.create(display_name="sp-five")
    made = [account.service_principal_secrets.create(principal.id or "") for _ in range(5)]
    assert all(each.secret for each in made)
    assert [each.as_dict().get("secret") for each in account.service_principal_secrets.list(principal.id or "")] == [None] * 5
    with pytest.raises(DatabricksError, match="already has 5 secrets"):
        account.service_principal_secrets.create(principal.id or "")


def test_only_admins_manage_principals(ready: Ready) -> None:
    client = ready.as_service_principal("sp-ordinary")
    with pytest.raises(PermissionDenied, match="Only admins can manage principals"):
        client.groups.create(display_name="mine")


def test_a_deleted_principal_leaves_its_groups_and_its_workspace(ready: Ready, account: AccountClient) -> None:
    ready.as_service_principal("sp-gone", "leaving")
    found = next(iter(account.service_principals.list(filter='displayName eq "sp-gone"')))
    account.service_principals.delete(found.id or "")
    group = next(iter(account.groups.list(filter='displayName eq "leaving"')))
    assert account.groups.get(group.id or "").members == []
    assigned: Any = account.api_client.do("GET", f"{ACCOUNT}/workspaces/{ready.workspace_id}/permissionassignments")
    assert found.id not in {str(each["principal"]["principal_id"]) for each in assigned["permission_assignments"]}
