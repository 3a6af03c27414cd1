"""Where managed bytes go, which external location covers a URL, and which URLs collide."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document
from local_estate.api.services.unity_catalog.authorization import Authority
from local_estate.api.services.unity_catalog.securables import GARBAGE, STAGING, Securable, Securables, SecurableWrites
from local_estate.api.services.unity_catalog.storage_urls import StorageUrl

MANAGED = "__unitystorage"
STAGING_SECONDS = 24 * 3600  # a table whose writer never registered it is given up after that


def nearest(securables: Securables, url: StorageUrl, kinds: Iterable[Securable]) -> Document | None:
    """Of these kinds, what has the longest location that contains the URL; the first kind wins a tie."""
    kinds = tuple(kinds)
    candidates = (securables.at(directory.text, kind) for directory in url.upwards() for kind in kinds)
    return next((found for found in candidates if found is not None), None)


def conflict(securables: Securables, url: StorageUrl, kinds: Iterable[Securable]) -> Document | None:
    """Of these kinds, something whose location contains the URL or lies in it."""
    kinds = tuple(kinds)
    return nearest(securables, url, kinds) or next((each for each in securables.below(url.text) if each["type"] in kinds), None)


def require_on_location(authority: Authority, url: StorageUrl, privilege: str) -> Document:
    """The external location that covers the URL, if the caller has `privilege` on it. Raises ApiError 400 or 403."""
    location = nearest(authority.securables, url, (Securable.EXTERNAL_LOCATION,))
    if location is None:
        raise ApiError(
            "INVALID_PARAMETER_VALUE", f"Missing cloud file system scheme or no parent external location was found for path '{url.text}'."
        )
    return authority.require(privilege, Securable.EXTERNAL_LOCATION, location["name"])


def refuse_overlap(securables: Securables, url: StorageUrl, request: str) -> None:
    """External tables and volumes share no path with one another nor with managed storage."""
    if data := conflict(securables, url, (Securable.TABLE, Securable.VOLUME)):
        raise ApiError(
            "INVALID_PARAMETER_VALUE",
            f"LOCATION_OVERLAP: Input path url '{url.text}' overlaps with other external tables or volumes within '{request}' call. "
            f"Conflicting tables/volumes: {data['full_name']}.",
        )
    if managed := conflict(securables, url, (Securable.CATALOG, Securable.SCHEMA)):
        raise ApiError(
            "INVALID_PARAMETER_VALUE",
            f"LOCATION_OVERLAP: Input path url '{url.text}' overlaps with managed storage within '{request}' call. "
            f"Conflicting {managed['type'].lower()}: {managed['full_name']}.",
        )


def managed_root(securables: Securables, schema: Document) -> StorageUrl:
    """Below it lie `tables/<id>` and `volumes/<id>` of the schema: its own root, else the catalog's, else the metastore's."""
    catalog = securables.get(Securable.CATALOG, schema["catalog_name"])
    root = schema.get("storage_root") or catalog.get("storage_root") or securables.metastore.get("storage_root")
    if not root:
        raise ApiError("INVALID_STATE", "Metastore storage root URL does not exist. Please provide a storage location for the catalog.")
    return StorageUrl.parse(root) / f"{MANAGED}/schemas/{schema['uid']}"


def discard(securables: SecurableWrites, document: Document) -> None:
    """Removes the securable; managed bytes go with it once the transaction has committed (`sweep`)."""
    managed = document.get("volume_type") == "MANAGED" or document.get("table_type") == "MANAGED"
    if managed and document.get("storage_location"):
        securables.transaction.put(GARBAGE, document["uid"], {"location": document["storage_location"]})
    securables.remove(document)


def discard_below(securables: SecurableWrites, parent: Document) -> None:
    for kind in (Securable.TABLE, Securable.VOLUME, Securable.FUNCTION, Securable.SCHEMA):
        if kind is Securable.SCHEMA and parent["type"] == Securable.SCHEMA:
            continue
        for each in list(securables.all(kind, parent["full_name"])):
            discard(securables, each)


def sweep(estate: Estate) -> None:
    """Deletes the bytes of what was dropped, also by a process that died before it could, and of stagings given up."""
    given_up = estate.clock.now_ms() - STAGING_SECONDS * 1000
    with estate.store.transaction() as transaction:
        for uid, staging in list(transaction.find(STAGING)):
            if staging["created_at"] < given_up:
                transaction.put(GARBAGE, uid, {"location": staging["staging_location"]})
                transaction.delete(STAGING, uid)
    garbage = list(estate.store.read.find(GARBAGE))
    for uid, document in garbage:
        try:
            directory = StorageUrl.parse(document["location"]).local(estate)
        except ApiError:
            directory = None  # the container went first, and took the bytes with it
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)
        with estate.store.transaction() as transaction:
            transaction.delete(GARBAGE, uid)
