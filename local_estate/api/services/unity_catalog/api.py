"""`/api/2.1/unity-catalog/*`, the account's metastores, and what Spark asks: may this principal, and where do the bytes lie."""

from __future__ import annotations

from collections.abc import Callable

from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.routing import Service
from local_estate.api.kernel.store import Document
from local_estate.api.services.unity_catalog import (
    bindings,
    catalogs,
    functions,
    metastores,
    paths,
    permissions,
    policies,
    storage,
    tables,
    tag_listing,
    tags,
    volumes,
)
from local_estate.api.services.unity_catalog.authorization import authorize
from local_estate.api.services.unity_catalog.locations import sweep
from local_estate.api.services.unity_catalog.securables import Securable


def _start(estate: Estate) -> Callable[[], None]:
    sweep(estate)
    return lambda: None


def _tables(estate: Estate) -> list[Document]:
    """Every registered table of every metastore; for the console, which shows names and counts and no data."""
    return [document for _, document in estate.store.read.find(Securable.TABLE.kind)]


SERVICE = Service(
    name="unity_catalog",
    routes=(
        *metastores.ROUTES,
        *storage.ROUTES,
        *catalogs.ROUTES,
        *tables.ROUTES,
        *volumes.ROUTES,
        *functions.ROUTES,
        *permissions.ROUTES,
        *bindings.ROUTES,
        *tags.ROUTES,
        *tag_listing.ROUTES,
        *policies.ROUTES,
        *paths.ROUTES,
    ),
    provides={
        "unity_catalog.metastore_of": metastores.assigned,
        "unity_catalog.authorize": authorize,
        "unity_catalog.tables": _tables,
        "unity_catalog.resolve_path": paths.resolve_path,
        "volumes.local_path": paths.volume_path,
    },
    start=_start,
)
