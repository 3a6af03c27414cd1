"""The directories behind storage accounts and containers."""

from __future__ import annotations

import shutil
from pathlib import Path

from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.store import Document, Reader
from local_estate.api.services.arm import state

ACCOUNT = "Microsoft.Storage/storageAccounts"
CONTAINER = f"{ACCOUNT}/blobServices/containers"


def _directory(estate: Estate, document: Document) -> Path | None:
    if document["type"] == ACCOUNT:
        return estate.paths.adls / str(document["name"]).lower()
    if document["type"] == CONTAINER:
        return estate.paths.adls / str(document["id"]).split("/")[8].lower() / str(document["name"]).lower()
    return None


def provide(estate: Estate, document: Document) -> None:
    if directory := _directory(estate, document):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)


def provide_all(estate: Estate, reader: Reader) -> None:
    for container in state.of_type(reader, CONTAINER):
        provide(estate, container)


def clear(estate: Estate, document: Document) -> None:
    if directory := _directory(estate, document):
        shutil.rmtree(directory, ignore_errors=True)
