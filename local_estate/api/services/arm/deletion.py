"""DELETE: what goes with a resource, what keeps it, and what stays behind (soft-deleted vaults)."""

from __future__ import annotations

from collections.abc import Iterator

from local_estate.api.kernel.call import Call, Estate, Reply
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document, Reader, Transaction
from local_estate.api.services.arm import deleted_vaults, ids, requests, state, storage_bytes, vault
from local_estate.api.services.arm.ids import ResourceId
from local_estate.api.services.arm.types import TYPES


def delete(call: Call) -> Reply:
    identifier, known = requests.identify(call)
    requests.authorize(call, identifier, "delete")
    if known.singleton:
        raise ApiError("MethodNotAllowed", f"{known.name} exists with its parent and cannot be deleted.", 405)
    with call.store.transaction() as transaction:
        document = state.get(transaction, identifier.text)
        if document is None:
            return Reply(status=204, body=b"")
        doomed = remove(call.estate, transaction, document)
    clear(call.estate, doomed)
    return Reply(status=200, body={})


def remove(estate: Estate, transaction: Transaction, document: Document) -> list[Document]:
    """The resource and everything that goes with it, out of the store. Raises ApiError when something else needs one of them."""
    doomed = list(_with_its_own(transaction, document))
    leaving = {each["id"].lower() for each in doomed}
    for each in doomed:
        for check in TYPES[each["type"].lower()].deletes:
            check(transaction, ids.parse(each["id"]), leaving)
    for each in doomed:
        _forget(estate, transaction, each)
    return doomed


def clear(estate: Estate, doomed: list[Document]) -> None:
    """After the commit: bytes and ports of what is gone."""
    for each in doomed:
        _clear(estate, each)


def _with_its_own(reader: Reader, document: Document) -> Iterator[Document]:
    """Children, for a group everything in it, for a workspace its managed group."""
    yield document
    below = [each for _, each in reader.find(state.RESOURCE, prefix=document["id"].lower() + "/")]
    yield from below
    for each in (document, *below):
        managed = each["properties"].get("managedResourceGroupId") if each["type"] == "Microsoft.Databricks/workspaces" else None
        if managed and (group := state.get(reader, managed)):
            yield from _with_its_own(reader, group)


def _forget(estate: Estate, transaction: Transaction, document: Document) -> None:
    identifier: ResourceId = ids.parse(document["id"])
    if document["type"] == "Microsoft.KeyVault/vaults":
        deleted_vaults.keep(estate, transaction, document)
    elif document["type"] == "Microsoft.KeyVault/vaults/secrets":
        transaction.delete(vault.VALUE, identifier.key)
    transaction.delete(state.RESOURCE, identifier.key)


def _clear(estate: Estate, document: Document) -> None:
    storage_bytes.clear(estate, document)
    if document["type"] == "Microsoft.Databricks/workspaces":
        estate.close_workspace(int(document["properties"]["workspaceId"]))
