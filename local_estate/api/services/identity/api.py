"""Identity of the account: SCIM, OAuth and Entra tokens, secrets, personal access tokens, workspace assignments."""

from __future__ import annotations

from collections.abc import Callable

from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.routing import Service
from local_estate.api.services.identity import assignments, client_secrets, federation, oauth, principals, scim, tokens


def _start(estate: Estate) -> Callable[[], None]:
    principals.seed(estate)
    return lambda: None


SERVICE = Service(
    name="identity",
    routes=(*oauth.ROUTES, *scim.ROUTES, *client_secrets.ROUTES, *tokens.ROUTES, *assignments.ROUTES, *federation.ROUTES),
    provides={
        "identity.admit": principals.admit,
        "identity.principal": principals.principal,
        "identity.group": principals.group,
        "identity.groups_of": principals.groups_of,
        "identity.grantee": principals.grantee,
        "identity.is_account_admin": principals.is_account_admin,
        "identity.is_workspace_admin": principals.is_workspace_admin,
    },
    start=_start,
)
