"""OAuth secrets of service principals: made once in the clear, kept as hashes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.identity import PRINCIPAL
from local_estate.api.kernel.routing import Face, Handler, Route
from local_estate.api.services.identity import principals

_TWO_YEARS = 63_072_000  # the default and the longest


def _own_or_admin(call: Call) -> str:
    identifier = call.path_parameters["id"]
    if identifier != call.caller.id:
        principals.require_account_admin(call)
    document = call.store.read.get(PRINCIPAL, identifier)
    if document is None or document["kind"] != "service_principal":
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Service principal {identifier} does not exist.")
    return identifier


def _shown(stored: dict[str, Any]) -> dict[str, Any]:
    times = {name: datetime.fromtimestamp(stored[name], UTC).isoformat().replace("+00:00", "Z") for name in ("create_time", "expire_time")}
    return {"id": stored["id"], "status": stored["status"], "secret_hash": stored["secret_hash"][:12], **times}


def _create(call: Call) -> dict[str, Any]:
    lifetime = str(call.data.get("lifetime") or f"{_TWO_YEARS}s")
    seconds = lifetime.removesuffix("s")
    if not seconds.isdecimal() or not 0 < int(seconds) <= _TWO_YEARS:
        raise ApiError("INVALID_PARAMETER_VALUE", f"lifetime is a number of seconds up to {_TWO_YEARS}s such as 3600s, not {lifetime!r}.")
    made = principals.create_secret(call.estate, _own_or_admin(call), int(seconds))
    return {**_shown(made), "secret": made["secret"]}


def _list(call: Call) -> dict[str, Any]:
    identifier = _own_or_admin(call)
    return {"secrets": [_shown(stored) for _, stored in call.store.read.find(principals.SECRET, prefix=f"{identifier}/")]}


def _delete(call: Call) -> dict[str, Any]:
    key = f"{_own_or_admin(call)}/{call.path_parameters['secret']}"
    with call.store.transaction() as transaction:
        if not transaction.delete(principals.SECRET, key):
            raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Secret {call.path_parameters['secret']} does not exist.")
    return {}


def _route(method: str, path: str, handler: Handler) -> Route:
    on_account = "{account}" in path
    return Route(
        method=method,
        path=path,
        handler=principals.of_this_account(handler) if on_account else handler,
        faces=(Face.ACCOUNT if on_account else Face.WORKSPACE,),
        level="executed",
    )


# A workspace's proxy leaves the account's id out.
_ROOTS = (
    "/api/2.0/accounts/{account}/servicePrincipals/{id}/credentials/secrets",
    "/api/2.0/accounts/servicePrincipals/{id}/credentials/secrets",
)

ROUTES = tuple(
    _route(method, root + rest, handler)
    for root in _ROOTS
    for method, rest, handler in (("POST", "", _create), ("GET", "", _list), ("DELETE", "/{secret}", _delete))
)
