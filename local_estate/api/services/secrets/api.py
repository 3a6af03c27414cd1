"""`/api/2.0/secrets/*`."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.routing import Route, Service
from local_estate.api.kernel.store import Document
from local_estate.api.services.secrets import models
from local_estate.api.services.secrets.models import LEVELS, MAX_BYTES, MAX_SECRETS, SCOPE, SECRET


def _workspace(call: Call) -> int:
    return call.workspace_id or 0


def _scope(call: Call, level: str) -> Document:
    """The scope named in the request, if the caller has `level` on it."""
    scope = models.scope_of(call.store.read, _workspace(call), str(call.required("scope")))
    models.require(call.estate, scope, level, principal_id=call.caller.id, workspace_id=_workspace(call))
    return scope


def _create_scope(call: Call) -> Document:
    name = models.valid_name("Scope name", call.required("scope"))
    backend = call.data.get("scope_backend_type") or "DATABRICKS"
    if backend not in ("DATABRICKS", "AZURE_KEYVAULT"):
        raise ApiError("INVALID_PARAMETER_VALUE", f"scope_backend_type {backend!r} is not one of DATABRICKS, AZURE_KEYVAULT.")
    manager = call.data.get("initial_manage_principal")
    if manager not in (None, "users"):
        raise ApiError("INVALID_PARAMETER_VALUE", f"initial_manage_principal can only be 'users', not {manager!r}.")
    document: Document = {"name": name, "backend_type": backend, "acls": {manager or call.caller.name: "MANAGE"}}
    if backend == "AZURE_KEYVAULT":
        document["keyvault_metadata"] = _vault(call)
    with call.store.transaction() as transaction:
        if transaction.get(SCOPE, f"{_workspace(call)}|{name}") is not None:
            raise ApiError("RESOURCE_ALREADY_EXISTS", f"Scope {name} already exists!")
        transaction.put(SCOPE, f"{_workspace(call)}|{name}", document)
    return {}


def _vault(call: Call) -> Document:
    if call.caller.token_kind == "pat":  # noqa: S105
        raise ApiError(
            "CUSTOMER_UNAUTHORIZED",
            "Scope with Azure KeyVault must have userAADToken defined: a personal access token cannot create it.",
            403,
        )
    given = call.data.get("backend_azure_keyvault") or {}
    resource_id, dns_name = given.get("resource_id"), given.get("dns_name")
    if not resource_id or not dns_name:
        raise ApiError("INVALID_PARAMETER_VALUE", "Missing required field: backend_azure_keyvault.resource_id and .dns_name")
    vault = call.estate.ask("arm.resource", id=resource_id)
    if vault is None or "/microsoft.keyvault/vaults/" not in resource_id.lower():
        raise ApiError("INVALID_PARAMETER_VALUE", f"Key vault '{resource_id}' does not exist.")
    uri = str((vault.get("properties") or {}).get("vaultUri") or dns_name)
    if uri.rstrip("/").lower() != str(dns_name).rstrip("/").lower():
        raise ApiError("INVALID_PARAMETER_VALUE", f"dns_name {dns_name} is not that of the key vault, {uri}.")
    return {"resource_id": resource_id, "dns_name": dns_name}


def _list_scopes(call: Call) -> Document:
    """Those the caller may read."""
    stored = [scope for _, scope in call.store.read.find(SCOPE, prefix=f"{_workspace(call)}|")]
    found = [scope for scope in stored if models.level_of(call.estate, scope, principal_id=call.caller.id, workspace_id=_workspace(call))]
    shown = [{key: value for key, value in scope.items() if key != "acls"} for scope in found]
    return {"scopes": shown} if shown else {}


def _delete_scope(call: Call) -> Document:
    scope = _scope(call, "MANAGE")
    prefix = f"{_workspace(call)}|{scope['name']}"
    with call.store.transaction() as transaction:
        for key, _ in list(transaction.find(SECRET, prefix=f"{prefix}|")):
            transaction.delete(SECRET, key)
        transaction.delete(SCOPE, prefix)
    return {}


def _refuse_vault(scope: Document, what: str) -> None:
    if scope["backend_type"] == "AZURE_KEYVAULT":
        raise ApiError("BAD_REQUEST", f"Cannot {what} Azure KeyVault-backed scope {scope['name']}: it is read-only. Use the vault itself.")


def _value(call: Call) -> bytes:
    given = [name for name in ("string_value", "bytes_value") if name in call.json]
    if len(given) != 1:
        raise ApiError("INVALID_PARAMETER_VALUE", "Specify exactly one of string_value and bytes_value.")
    if given[0] == "string_value":
        value = str(call.json["string_value"]).encode()
    else:
        try:
            value = base64.b64decode(str(call.json["bytes_value"]), validate=True)
        except binascii.Error:
            raise ApiError("INVALID_PARAMETER_VALUE", "bytes_value must be base64.") from None
    if len(value) > MAX_BYTES:
        raise ApiError("RESOURCE_LIMIT_EXCEEDED", f"A secret may be at most {MAX_BYTES} bytes.")
    return value


def _put(call: Call) -> Document:
    scope = _scope(call, "WRITE")
    _refuse_vault(scope, "put a secret into")
    key = models.valid_name("Key", call.required("key"))
    value = _value(call)
    prefix = f"{_workspace(call)}|{scope['name']}|"
    with call.store.transaction() as transaction:
        models.scope_of(transaction, _workspace(call), scope["name"])
        others = sum(1 for name, _ in transaction.find(SECRET, prefix=prefix) if name != prefix + key)
        if others >= MAX_SECRETS:
            raise ApiError("RESOURCE_LIMIT_EXCEEDED", f"A scope may hold at most {MAX_SECRETS} secrets.")
        stored = {"key": key, "value": models.encrypted(call.estate, value), "last_updated_timestamp": call.estate.clock.now_ms()}
        transaction.put(SECRET, prefix + key, stored)
    return {}


def _delete(call: Call) -> Document:
    scope = _scope(call, "WRITE")
    _refuse_vault(scope, "delete a secret from")
    with call.store.transaction() as transaction:
        if not transaction.delete(SECRET, f"{_workspace(call)}|{scope['name']}|{call.required('key')}"):
            raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Secret does not exist with scope: {scope['name']} and key: {call.required('key')}")
    return {}


def _get(call: Call) -> Document:
    scope, key = str(call.required("scope")), str(call.required("key"))
    value = models.get_secret(call.estate, principal_id=call.caller.id, workspace_id=_workspace(call), scope=scope, key=key)
    return {"key": key, "value": base64.b64encode(value).decode()}


def _list(call: Call) -> Document:
    scope = _scope(call, "READ")
    if scope["backend_type"] == "AZURE_KEYVAULT":
        if "arm.vault_secrets" not in call.estate.answers:
            raise ApiError("NOT_IMPLEMENTED", "the local estate does not support listing the secrets of a Key Vault-backed scope", 501)
        names = call.estate.ask("arm.vault_secrets", vault_resource_id=scope["keyvault_metadata"]["resource_id"])
        return {"secrets": [{"key": name} for name in sorted(names)]}
    found = call.store.read.find(SECRET, prefix=f"{_workspace(call)}|{scope['name']}|")
    shown = [{"key": secret["key"], "last_updated_timestamp": secret["last_updated_timestamp"]} for _, secret in found]
    return {"secrets": shown} if shown else {}


def _put_acl(call: Call) -> Document:
    scope = _scope(call, "MANAGE")
    principal, permission = str(call.required("principal")), call.required("permission")
    if permission not in LEVELS:
        raise ApiError("INVALID_PARAMETER_VALUE", f"permission {permission!r} is not one of {', '.join(LEVELS)}.")
    if principal not in ("users", "admins") and call.estate.ask("identity.grantee", name=principal) is None:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Principal {principal} does not exist.")
    return _store_acl(call, scope["name"], principal, permission)


def _store_acl(call: Call, name: str, principal: str, permission: str | None) -> Document:
    with call.store.transaction() as transaction:
        scope = models.scope_of(transaction, _workspace(call), name)
        acls = {who: level for who, level in scope["acls"].items() if who != principal}
        if permission is None and len(acls) == len(scope["acls"]):
            raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Failed to get secret acl for principal {principal} for scope {name}.")
        transaction.put(SCOPE, f"{_workspace(call)}|{name}", {**scope, "acls": acls | ({principal: permission} if permission else {})})
    return {}


def _delete_acl(call: Call) -> Document:
    return _store_acl(call, _scope(call, "MANAGE")["name"], str(call.required("principal")), None)


def _get_acl(call: Call) -> Document:
    scope, principal = _scope(call, "MANAGE"), str(call.required("principal"))
    if principal not in scope["acls"]:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Failed to get secret acl for principal {principal} for scope {scope['name']}.")
    return {"principal": principal, "permission": scope["acls"][principal]}


def _list_acls(call: Call) -> Document:
    scope = _scope(call, "MANAGE")
    return {"items": [{"principal": who, "permission": level} for who, level in sorted(scope["acls"].items())]}


def _route(method: str, path: str, handler: Any) -> Route:
    return Route(method=method, path=f"/api/2.0/secrets/{path}", handler=handler, level="executed")


SERVICE = Service(
    name="secrets",
    routes=(
        _route("POST", "scopes/create", _create_scope),
        _route("GET", "scopes/list", _list_scopes),
        _route("POST", "scopes/delete", _delete_scope),
        _route("POST", "put", _put),
        _route("POST", "delete", _delete),
        _route("GET", "get", _get),
        _route("GET", "list", _list),
        _route("POST", "acls/put", _put_acl),
        _route("POST", "acls/delete", _delete_acl),
        _route("GET", "acls/get", _get_acl),
        _route("GET", "acls/list", _list_acls),
    ),
    provides={"secrets.get": models.get_secret},
)
