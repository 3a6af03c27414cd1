"""Scopes, their secrets and who may read them. Values are encrypted with a key derived from the estate's signing key."""

from __future__ import annotations

import base64
import re
from typing import Any

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from local_estate import tenancy
from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.identity import Credentials
from local_estate.api.kernel.store import Document, Reader

SCOPE = "secrets.scope"  # documents: by `<workspace id>|<scope>`, with the ACLs in them
SECRET = "secrets.secret"  # documents: by `<workspace id>|<scope>|<key>`; the value as a Fernet token  # noqa: S105
LEVELS = ("READ", "WRITE", "MANAGE")
MAX_BYTES = 128 * 1024
MAX_SECRETS = 1000
_READ_SECRETS = ("Key Vault Secrets User", "Key Vault Secrets Officer", "Key Vault Administrator")
_NAME = re.compile(r"[\w.@/ -]{1,128}")


def _cipher(estate: Estate) -> Fernet:
    signing_key = Credentials.load_or_create(estate.paths.credentials).signing_key
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"secret scopes").derive(signing_key.encode())
    return Fernet(base64.urlsafe_b64encode(derived))


def encrypted(estate: Estate, value: bytes) -> str:
    return _cipher(estate).encrypt(value).decode()


def valid_name(what: str, name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ApiError(
            "INVALID_PARAMETER_VALUE",
            f"{what} must be 1 to 128 alphanumeric characters, dashes, underscores, @ and periods, not {str(name)[:140]!r}.",
        )
    return name


def scope_of(reader: Reader, workspace_id: int, name: str) -> Document:
    """Raises ApiError RESOURCE_DOES_NOT_EXIST."""
    found = reader.get(SCOPE, f"{workspace_id}|{name}")
    if found is None:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Scope {name} does not exist!")
    return found


def level_of(estate: Estate, scope: Document, *, principal_id: str, workspace_id: int) -> str | None:
    """The highest level the principal holds by name, by group, or as workspace admin."""
    if estate.ask("identity.is_workspace_admin", principal_id=principal_id, workspace_id=workspace_id):
        return "MANAGE"
    principal = estate.ask("identity.principal", id=principal_id)
    names = {"users", *estate.ask("identity.groups_of", principal_id=principal_id), *((principal["name"],) if principal else ())}
    held = [level for who, level in scope["acls"].items() if who in names]
    return max(held, key=LEVELS.index, default=None)


def require(estate: Estate, scope: Document, level: str, *, principal_id: str, workspace_id: int) -> None:
    """Raises ApiError PERMISSION_DENIED."""
    held = level_of(estate, scope, principal_id=principal_id, workspace_id=workspace_id)
    if held is None or LEVELS.index(held) < LEVELS.index(level):
        principal = estate.ask("identity.principal", id=principal_id) or {"name": principal_id}
        raise ApiError("PERMISSION_DENIED", f"User {principal['name']} does not have {level} permission on scope {scope['name']}.")


def get_secret(estate: Estate, *, principal_id: str, workspace_id: int, scope: str, key: str) -> bytes:
    """The question `secrets.get`: needs READ; a Key Vault scope reads through to its vault. The answer is for use, never for a log."""
    reader = estate.store.read
    found = scope_of(reader, workspace_id, scope)
    require(estate, found, "READ", principal_id=principal_id, workspace_id=workspace_id)
    if found["backend_type"] == "AZURE_KEYVAULT":
        return _from_vault(estate, found, key)
    secret = reader.get(SECRET, f"{workspace_id}|{scope}|{key}")
    if secret is None:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Secret does not exist with scope: {scope} and key: {key}")
    return _cipher(estate).decrypt(secret["value"].encode())


def _from_vault(estate: Estate, scope: Document, key: str) -> bytes:
    """As the application AzureDatabricks, which needs its role on the vault like anybody else."""
    vault = scope["keyvault_metadata"]
    reader = tenancy.AZURE_DATABRICKS_OBJECT_ID
    if not any(estate.ask("arm.has_role", object_id=reader, role_name=role, scope=vault["resource_id"]) for role in _READ_SECRETS):
        raise ApiError(
            "PERMISSION_DENIED",
            f"Invalid permissions on the specified KeyVault {vault['dns_name']}: "
            f"AzureDatabricks ({reader}) has no role {_READ_SECRETS[0]} there.",
        )
    try:
        value = estate.ask("arm.vault_secret", vault_resource_id=scope["keyvault_metadata"]["resource_id"], name=key)
    except ApiError as error:
        if error.status == 403:
            raise ApiError("PERMISSION_DENIED", f"The vault of scope {scope['name']} refused access to secret {key}.") from None
        if error.status == 404:
            raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Secret does not exist with scope: {scope['name']} and key: {key}") from None
        raise ApiError("MALFORMED_REQUEST", f"The vault of scope {scope['name']} answered {error.code} for secret {key}.") from None
    return str(value).encode()
