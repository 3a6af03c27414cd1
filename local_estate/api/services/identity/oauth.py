"""Token endpoints and their discovery: Entra ID on the ARM face, Databricks OAuth on the account and workspace faces."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qsl

from local_estate import tenancy
from local_estate.api.kernel.call import Call, Reply
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.identity import ARM_AUDIENCE, DATABRICKS_AUDIENCE, PRINCIPAL, TOKEN_SECONDS, VAULT_AUDIENCE, Principal
from local_estate.api.kernel.routing import Face, Route
from local_estate.api.services.identity import federation, principals

_CREDENTIALS = "client_credentials"
_ENTRA_AUDIENCES = {ARM_AUDIENCE, DATABRICKS_AUDIENCE, VAULT_AUDIENCE}


def _client(call: Call, form: dict[str, str]) -> dict[str, Any]:
    """The principal whose client id and secret the form or HTTP Basic carry. Raises ApiError 401 invalid_client."""
    identifier, secret = form.get("client_id", ""), form.get("client_secret", "")
    scheme, _, encoded = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            identifier, _, secret = base64.b64decode(encoded).decode().partition(":")
        except ValueError:
            raise ApiError("invalid_client", "The Basic credentials cannot be decoded.", 401) from None
    document = principals.principal(call.estate, name=identifier) if identifier else None
    if document is None or not principals.holds_secret(call.estate, document, secret):
        raise ApiError("invalid_client", "Client authentication failed.", 401)
    return document


def _form(call: Call, *grants: str) -> dict[str, str]:
    form = dict(parse_qsl(call.body.decode("utf-8", "replace")))
    grant = form.get("grant_type", "")
    if grant not in grants:
        raise ApiError(
            "unsupported_grant_type", f"The local estate issues tokens for {' and '.join(grants)}, not {grant or 'no grant_type'}.", 400
        )
    return form


def _entra(call: Call) -> dict[str, Any]:
    if call.path_parameters["tenant"] != tenancy.TENANT_ID:
        raise ApiError("invalid_request", f"Tenant '{call.path_parameters['tenant']}' not found.", 400)
    form = _form(call, _CREDENTIALS)
    resource = form.get("resource") or form.get("scope", "").removesuffix("/.default")
    if resource.rstrip("/") not in _ENTRA_AUDIENCES:
        raise ApiError("invalid_scope", f"The resource {resource!r} is none this tenant issues tokens for.", 400)
    document = _client(call, form)
    if not document.get("object_id"):
        raise ApiError("invalid_client", f"Application {document['name']} is managed by Databricks and not in this tenant.", 401)
    token = call.estate.tokens.entra(application_id=document["name"], object_id=document["object_id"], audience=resource.rstrip("/"))
    return {"token_type": "Bearer", "expires_in": TOKEN_SECONDS, "ext_expires_in": TOKEN_SECONDS, "access_token": token}


def _databricks(call: Call) -> dict[str, Any]:
    form = _form(call, _CREDENTIALS, federation.EXCHANGE)
    if (scope := form.get("scope", "all-apis")) != "all-apis":
        raise ApiError("invalid_scope", f"The scope {scope!r} is not supported; ask for all-apis.", 400)
    document = federation.exchanged(call, form) if form["grant_type"] == federation.EXCHANGE else _client(call, form)
    principals.admit(call.estate, principal=Principal.of(document), face=call.face, workspace_id=call.workspace_id)
    token = call.estate.tokens.oauth(principal_id=document["id"], workspace_id=call.workspace_id)
    return {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS, "scope": "all-apis"}


def _sign_in_page(_: Call) -> Reply:
    """Clients read the tenant out of the redirect; nobody signs in by browser here."""
    return Reply(status=302, headers={"location": f"https://login.microsoftonline.com/{tenancy.TENANT_ID}/oauth2/authorize"}, body={})


def _base(call: Call) -> str:
    return call.estate.base_url(call.face, call.workspace_id)


def _config(call: Call) -> dict[str, Any]:
    known = {"oidc_endpoint": f"{_base(call)}/oidc", "account_id": tenancy.ACCOUNT_ID, "cloud": "AZURE"}
    if call.workspace_id is None:
        return {**known, "oidc_endpoint": f"{_base(call)}/oidc/accounts/{{account_id}}", "host_type": "account"}
    return {**known, "workspace_id": str(call.workspace_id), "host_type": "workspace"}


def _authorization_server(call: Call) -> dict[str, Any]:
    root = f"{_base(call)}/oidc" + (f"/accounts/{tenancy.ACCOUNT_ID}" if call.face is Face.ACCOUNT else "")
    return {"issuer": root, "token_endpoint": f"{root}/v1/token", "authorization_endpoint": f"{root}/v1/authorize"}


def current(call: Call) -> dict[str, Any]:
    document = call.store.read.get(PRINCIPAL, call.caller.id)
    if document is None:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", "The calling principal is gone.")
    return document


_BOTH = (Face.ACCOUNT, Face.WORKSPACE)


def _anonymous(method: str, path: str, handler: Any, *faces: Face) -> Route:
    style: Any = "oauth" if method == "POST" else "databricks"
    handler = principals.of_this_account(handler) if "{account}" in path else handler
    return Route(method=method, path=path, handler=handler, faces=faces, level="executed", anonymous=True, errors=style)


ROUTES = (
    _anonymous("POST", "/{tenant}/oauth2/v2.0/token", _entra, Face.ARM),
    _anonymous("POST", "/{tenant}/oauth2/token", _entra, Face.ARM),
    _anonymous("POST", "/oidc/v1/token", _databricks, *_BOTH),
    _anonymous("POST", "/oidc/accounts/{account}/v1/token", _databricks, Face.ACCOUNT),
    _anonymous("GET", "/aad/auth", _sign_in_page, Face.WORKSPACE),
    _anonymous("GET", "/oidc/oauth2/v2.0/authorize", _sign_in_page, *_BOTH),
    _anonymous("GET", "/.well-known/databricks-config", _config, *_BOTH),
    _anonymous("GET", "/oidc/.well-known/oauth-authorization-server", _authorization_server, *_BOTH),
    _anonymous("GET", "/oidc/accounts/{account}/.well-known/oauth-authorization-server", _authorization_server, Face.ACCOUNT),
)
