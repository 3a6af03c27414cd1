"""Vaults in the state between deletion and purge: their names stay taken, their secrets can be recovered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from local_estate.api.kernel.call import Call, Estate, Reply
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document, Transaction
from local_estate.api.services.arm import requests, state, vault

_DAY = 86_400


def keep(estate: Estate, transaction: Transaction, document: Document) -> None:
    """Call before the vault's secrets leave the store."""
    secrets = [
        [key, each, transaction.get(vault.VALUE, key)]
        for key, each in transaction.find(state.RESOURCE, prefix=f"{document['id'].lower()}/secrets/")
    ]
    now = estate.clock.now()
    retention = int(document["properties"].get("softDeleteRetentionInDays", 90))
    entry = {"vault": document, "secrets": secrets, "deleted": now, "purged": now + retention * _DAY}
    transaction.put(state.SOFT_DELETED_VAULT, document["name"].lower(), entry)


def expire(estate: Estate, transaction: Transaction) -> None:
    """What has been deleted for its retention time is purged."""
    for name, entry in list(transaction.find(state.SOFT_DELETED_VAULT)):
        if entry["purged"] <= estate.clock.now():
            transaction.delete(state.SOFT_DELETED_VAULT, name)


def recover(transaction: Transaction, document: Document) -> None:
    """The vault is back: so are its secrets, if this is the one that was deleted."""
    entry = transaction.get(state.SOFT_DELETED_VAULT, document["name"].lower())
    if entry is None:
        return
    if entry["vault"]["id"].lower() != document["id"].lower():
        raise ApiError("ConflictError", f"The deleted vault '{document['name']}' was {entry['vault']['id']}; recover it there.", 409)
    for key, secret, value in entry["secrets"]:
        transaction.put(state.RESOURCE, key, secret)
        if value is not None:
            transaction.put(vault.VALUE, key, value)
    transaction.delete(state.SOFT_DELETED_VAULT, document["name"].lower())


# The wire


def _find(call: Call, transaction: Transaction) -> dict[str, Any]:
    requests.require_api_version(call)
    expire(call.estate, transaction)
    name = call.path_parameters["name"]
    entry = transaction.get(state.SOFT_DELETED_VAULT, name.lower())
    if entry is None or entry["vault"]["location"] != call.path_parameters["location"].replace(" ", "").lower():
        raise ApiError("DeletedVaultNotFound", f"There is no deleted vault '{name}' in {call.path_parameters['location']}.", 404)
    return entry


def _shown(entry: dict[str, Any]) -> Document:
    deleted = entry["vault"]
    subscription = deleted["id"].split("/resource", 1)[0]

    def moment(seconds: float) -> str:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

    return {
        "id": f"{subscription}/providers/Microsoft.KeyVault/locations/{deleted['location']}/deletedVaults/{deleted['name']}",
        "name": deleted["name"],
        "type": "Microsoft.KeyVault/deletedVaults",
        "properties": {
            "vaultId": deleted["id"],
            "location": deleted["location"],
            "tags": deleted.get("tags") or {},
            "deletionDate": moment(entry["deleted"]),
            "scheduledPurgeDate": moment(entry["purged"]),
            "purgeProtectionEnabled": bool(deleted["properties"].get("enablePurgeProtection")),
        },
    }


def read(call: Call) -> Document:
    with call.store.transaction() as transaction:
        entry = _find(call, transaction)
    requests.require_role(call, entry["vault"]["id"], "Microsoft.KeyVault/locations/deletedVaults/read", "read")
    return _shown(entry)


def listing(call: Call) -> dict[str, Any]:
    requests.require_api_version(call)
    with call.store.transaction() as transaction:
        expire(call.estate, transaction)
        found = [entry for _, entry in transaction.find(state.SOFT_DELETED_VAULT)]
    return {"value": [_shown(entry) for entry in found if requests.may(call, entry["vault"]["id"], "read")]}


def purge(call: Call) -> Reply:
    with call.store.transaction() as transaction:
        entry = _find(call, transaction)
        requests.require_role(call, entry["vault"]["id"], "Microsoft.KeyVault/locations/deletedVaults/purge/action", "write")
        if entry["vault"]["properties"].get("enablePurgeProtection"):
            raise ApiError("MethodNotAllowed", "Operation 'DeletedVaultPurge' is not allowed.", 405)
        transaction.delete(state.SOFT_DELETED_VAULT, entry["vault"]["name"].lower())
    return Reply(status=200, body=b"")
