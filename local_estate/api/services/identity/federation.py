"""Federation: tokens of another issuer (GitHub, Azure DevOps …) exchanged for Databricks ones, as policies of the account or of a
service principal allow.

A policy carries the issuer's keys (`jwks_json`): the estate never leaves the machine, so it cannot fetch them by discovery.
"""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime
from typing import Any

import jwt

from local_estate import tenancy
from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.identity import PRINCIPAL
from local_estate.api.kernel.routing import Face, Handler, Route
from local_estate.api.kernel.store import Document
from local_estate.api.services.identity import principals

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:jwt"  # noqa: S105  a type's name
_ACCOUNT = "account"
_FIELDS = {"issuer", "audiences", "subject", "subject_claim", "jwks_uri", "jwks_json"}
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,126}[a-z0-9])?")


def _owner(call: Call) -> str:
    """The account or the service principal in the path. Raises ApiError for callers who are no account admin."""
    principals.require_account_admin(call)
    identifier = call.path_parameters.get("id")
    if identifier is None:
        return _ACCOUNT
    document = call.store.read.get(PRINCIPAL, identifier)
    if document is None or document["kind"] != "service_principal":
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Service principal {identifier} does not exist.")
    return identifier


def _rules(owner: str, wanted: Any) -> dict[str, Any]:
    rules = dict(wanted or {})
    if unknown := set(rules) - _FIELDS:
        raise ApiError("INVALID_PARAMETER_VALUE", f"Unknown field oidc_policy.{sorted(unknown)[0]}.")
    if not str(rules.get("issuer", "")).startswith("https://"):
        raise ApiError("INVALID_PARAMETER_VALUE", f"oidc_policy.issuer must be an https URL, not {rules.get('issuer')!r}.")
    if owner != _ACCOUNT and not rules.get("subject"):
        raise ApiError("INVALID_PARAMETER_VALUE", "oidc_policy.subject is required in a policy of a service principal.")
    if owner == _ACCOUNT and rules.get("subject"):
        raise ApiError("INVALID_PARAMETER_VALUE", "oidc_policy.subject is for policies of service principals only.")
    if rules.get("jwks_json"):
        _keys(rules)
    return {"audiences": [tenancy.ACCOUNT_ID], "subject_claim": "sub", **{name: value for name, value in rules.items() if value}}


def _keys(rules: dict[str, Any]) -> list[jwt.PyJWK]:
    try:
        return jwt.PyJWKSet.from_dict(json.loads(rules["jwks_json"])).keys
    except (ValueError, AttributeError, jwt.PyJWTError) as error:
        raise ApiError("INVALID_PARAMETER_VALUE", f"oidc_policy.jwks_json is no JSON Web Key Set: {error}.") from None


def _moment(call: Call) -> str:
    return datetime.fromtimestamp(call.estate.clock.now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _create(call: Call) -> Document:
    owner, policy_id = _owner(call), str(call.query.get("policy_id") or uuid.uuid4())
    if not _NAME.fullmatch(policy_id):
        raise ApiError("INVALID_PARAMETER_VALUE", f"policy_id takes lower-case letters, digits and hyphens, not {policy_id!r}.")
    below = "" if owner == _ACCOUNT else f"servicePrincipals/{owner}/"
    stored: Document = {
        "name": f"accounts/{tenancy.ACCOUNT_ID}/{below}federationPolicies/{policy_id}",
        "uid": str(uuid.uuid4()),
        "policy_id": policy_id,
        "description": call.json.get("description", ""),
        "oidc_policy": _rules(owner, call.json.get("oidc_policy")),
        "create_time": _moment(call),
        "update_time": _moment(call),
    }
    if owner != _ACCOUNT:
        stored["service_principal_id"] = int(owner)
    with call.store.transaction() as transaction:
        if transaction.get(principals.FEDERATION, f"{owner}/{policy_id}"):
            raise ApiError("ALREADY_EXISTS", f"Federation policy {policy_id} already exists.")
        transaction.put(principals.FEDERATION, f"{owner}/{policy_id}", stored)
    return stored


def _key(call: Call) -> str:
    return f"{_owner(call)}/{call.path_parameters['policy']}"


def _missing(call: Call) -> ApiError:
    return ApiError("RESOURCE_DOES_NOT_EXIST", f"Federation policy {call.path_parameters['policy']} does not exist.")


def _get(call: Call) -> Document:
    stored = call.store.read.get(principals.FEDERATION, _key(call))
    if stored is None:
        raise _missing(call)
    return stored


def _list(call: Call) -> dict[str, Any]:
    return {"policies": [stored for _, stored in call.store.read.find(principals.FEDERATION, prefix=f"{_owner(call)}/")]}


def _update(call: Call) -> Document:
    key, mask = _key(call), str(call.query.get("update_mask") or "*")
    with call.store.transaction() as transaction:
        stored = transaction.get(principals.FEDERATION, key)
        if stored is None:
            raise _missing(call)
        rules = dict(stored["oidc_policy"])
        for name in ("description", "oidc_policy") if mask == "*" else mask.split(","):
            top, _, inner = name.strip().partition(".")
            if top == "description" and not inner:
                stored["description"] = call.json.get("description", "")
            elif top == "oidc_policy":
                sent = call.json.get("oidc_policy") or {}
                rules = {**rules, inner: sent.get(inner)} if inner else sent
            else:
                raise ApiError("INVALID_PARAMETER_VALUE", f"update_mask {name} names no field that can be changed.")
        stored |= {"oidc_policy": _rules(key.partition("/")[0], rules), "update_time": _moment(call)}
        transaction.put(principals.FEDERATION, key, stored)
    return stored


def _delete(call: Call) -> dict[str, Any]:
    key = _key(call)
    with call.store.transaction() as transaction:
        if not transaction.delete(principals.FEDERATION, key):
            raise _missing(call)
    return {}


# The exchange


def exchanged(call: Call, form: dict[str, str]) -> dict[str, Any]:
    """The principal that the form's foreign token stands for. Raises ApiError invalid_grant when no policy accepts it.

    With a `client_id` the policies of that service principal decide, else the account's, whose subject claim names the principal.
    """
    if form.get("subject_token_type") != _TOKEN_TYPE:
        raise ApiError("invalid_request", f"subject_token_type must be {_TOKEN_TYPE}.", 400)
    token, client = form.get("subject_token", ""), form.get("client_id", "")
    document = principals.named(call.store.read, client) if client else None
    if client and document is None:
        raise ApiError("invalid_client", "Client authentication failed.", 401)
    owner = document["id"] if document else _ACCOUNT
    for _, policy in call.store.read.find(principals.FEDERATION, prefix=f"{owner}/"):
        rules = policy["oidc_policy"]
        subject = _subject(token, rules)
        if subject is None:
            continue
        if document is not None and subject == rules["subject"]:
            return document
        if document is None and (found := principals.named(call.store.read, subject)):
            return found
    raise ApiError("invalid_grant", f"No federation policy of {client or 'the account'} accepts the token.", 400)


def _subject(token: str, rules: dict[str, Any]) -> str | None:
    """The claim that names the subject, if the policy's issuer signed the token for its audience and it has not expired."""
    for key in _keys(rules) if rules.get("jwks_json") else ():
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256", "ES256"],
                issuer=rules["issuer"],
                audience=rules["audiences"],
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.PyJWTError:
            continue
        return str(claims.get(rules["subject_claim"], ""))
    return None


def _route(method: str, path: str, handler: Handler) -> Route:
    checked = principals.of_this_account(handler)
    return Route(method=method, path=path, handler=checked, faces=(Face.ACCOUNT,), level="executed")


_ROOTS = (
    "/api/2.0/accounts/{account}/federationPolicies",
    "/api/2.0/accounts/{account}/servicePrincipals/{id}/federationPolicies",
)

ROUTES = tuple(
    _route(method, root + rest, handler)
    for root in _ROOTS
    for method, rest, handler in (
        ("POST", "", _create),
        ("GET", "", _list),
        ("GET", "/{policy}", _get),
        ("PATCH", "/{policy}", _update),
        ("DELETE", "/{policy}", _delete),
    )
)
