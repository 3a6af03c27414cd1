"""Key Vault secrets: values encrypted at rest with a key of this estate, returned by the data plane alone and never by ARM."""

from __future__ import annotations

import base64
import hashlib
import json

from cryptography.fernet import Fernet

from local_estate import tenancy
from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Transaction
from local_estate.api.services.arm import state
from local_estate.api.services.arm.ids import ResourceId

VALUE = "arm.vault-value"
DATABRICKS_APPLICATION = "AzureDatabricks"


def cipher(estate: Estate) -> Fernet:
    key = json.loads(estate.paths.credentials.read_text())["signing_key"]
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"key vault" + key.encode()).digest()))


def keep(estate: Estate, transaction: Transaction, identifier: ResourceId, value: str) -> bool:
    """Stores the value if it differs from the stored one; True when that made a new version."""
    stored = transaction.get(VALUE, identifier.key)
    if stored and cipher(estate).decrypt(stored["value"].encode()).decode() == value:
        return False
    transaction.put(VALUE, identifier.key, {"value": cipher(estate).encrypt(value.encode()).decode()})
    return True


def secret(estate: Estate, *, vault_resource_id: str, name: str) -> str:
    """The value, as a Key Vault-backed scope reads it. Raises ApiError as the vault would."""
    vault = state.get(estate.store.read, vault_resource_id)
    if vault is None:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Key Vault {vault_resource_id} does not exist.")
    if vault["properties"].get("tenantId") != tenancy.TENANT_ID:
        raise ApiError("PERMISSION_DENIED", f"Key Vault {vault['name']} is in another tenant.")
    stored = estate.store.read.get(VALUE, f"{vault_resource_id}/secrets/{name}".lower())
    if stored is None:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Secret {name} was not found in Key Vault {vault['name']}.")
    document = state.get(estate.store.read, f"{vault_resource_id}/secrets/{name}")
    # Dates do not matter here: Key Vault hands out expired and not yet valid secrets.
    if (state.property_of(document, "attributes") or {}).get("enabled") is False:
        raise ApiError("PERMISSION_DENIED", f"Operation get is not allowed on a disabled secret: {name} in Key Vault {vault['name']}.")
    return cipher(estate).decrypt(stored["value"].encode()).decode()
