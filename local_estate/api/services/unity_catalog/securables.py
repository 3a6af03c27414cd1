"""What can be governed: the kinds of securable, the privileges each knows, and how they are stored and found.

A securable is a flat document: the fields of its wire form plus `uid` (stable over renames) and `type` (a `Securable` value).
Its key is `<metastore id>/<full name>`, so the children of a parent are one key range.
"""

from __future__ import annotations

import enum
import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document, Reader, Transaction

METASTORE = "unity_catalog.metastore"  # documents: by metastore id
ASSIGNMENT = "unity_catalog.assignment"  # documents: by workspace id
GRANTS = "unity_catalog.grants"  # documents: {principal: [privileges]} by uid
BINDINGS = "unity_catalog.bindings"  # documents: {"bindings": [...]} by uid
TAGS = "unity_catalog.tags"  # documents: {column or "" for the securable itself: {key: tag}} by uid
POLICIES = "unity_catalog.policies"  # documents: {name: policy} by uid
STAGING = "unity_catalog.staging"  # documents: tables whose files are being written, by id
LOCATION = "unity_catalog.location"  # documents: which securable a URL belongs to, by `<metastore id>|<url>|<type>`
GARBAGE = "unity_catalog.garbage"  # documents: locations of dropped managed data, until their bytes are gone

SYSTEM_USER = "System user"
EVERYONE = "account users"
INFORMATION_SCHEMA = "information_schema"


class Securable(enum.StrEnum):
    METASTORE = "METASTORE"
    CATALOG = "CATALOG"
    SCHEMA = "SCHEMA"
    TABLE = "TABLE"
    VOLUME = "VOLUME"
    FUNCTION = "FUNCTION"
    STORAGE_CREDENTIAL = "STORAGE_CREDENTIAL"
    EXTERNAL_LOCATION = "EXTERNAL_LOCATION"

    @classmethod
    def named(cls, word: str) -> Securable:
        """From a URL segment or body, in any case. Raises ApiError INVALID_PARAMETER_VALUE for a kind this estate does not govern."""
        try:
            return cls(word.upper().replace("-", "_"))
        except ValueError:
            raise ApiError("INVALID_PARAMETER_VALUE", f"SecurableType {word} is not one of {', '.join(cls)}.") from None

    @property
    def label(self) -> str:
        """As error messages spell it: `External Location`."""
        return self.value.replace("_", " ").title()

    @property
    def kind(self) -> str:
        """Of the documents in the store."""
        return f"unity_catalog.{self.value.lower()}"

    @property
    def location_field(self) -> str | None:
        """Where its document says which part of a storage account it has to itself."""
        return _LOCATION_FIELDS.get(self)

    @property
    def parent(self) -> Securable | None:
        """The securable privileges are inherited from; a metastore passes nothing on to catalogs."""
        if self is Securable.SCHEMA:
            return Securable.CATALOG
        if self in (Securable.TABLE, Securable.VOLUME, Securable.FUNCTION):
            return Securable.SCHEMA
        return None


_LOCATION_FIELDS = {
    Securable.TABLE: "storage_location",
    Securable.VOLUME: "storage_location",
    Securable.EXTERNAL_LOCATION: "url",
    Securable.CATALOG: "storage_root",
    Securable.SCHEMA: "storage_root",
}
_TABLE = frozenset({"SELECT", "MODIFY", "APPLY_TAG"})
_VOLUME = frozenset({"READ_VOLUME", "WRITE_VOLUME", "APPLY_TAG"})
_FUNCTION = frozenset({"EXECUTE"})
_SCHEMA = (
    _TABLE
    | _VOLUME
    | _FUNCTION
    | {
        "USE_SCHEMA",
        "CREATE_TABLE",
        "CREATE_VOLUME",
        "CREATE_FUNCTION",
        "CREATE_MODEL",
        "CREATE_MATERIALIZED_VIEW",
        "REFRESH",
        "EXTERNAL_USE_SCHEMA",
    }
)
_LOCATION = frozenset({"READ_FILES", "WRITE_FILES", "CREATE_EXTERNAL_TABLE"})
_COMMON = frozenset({"ALL_PRIVILEGES", "MANAGE"})

PRIVILEGES: Mapping[Securable, frozenset[str]] = {
    Securable.METASTORE: frozenset(
        {
            "CREATE_CATALOG",
            "CREATE_CLEAN_ROOM",
            "CREATE_CONNECTION",
            "CREATE_EXTERNAL_LOCATION",
            "CREATE_PROVIDER",
            "CREATE_RECIPIENT",
            "CREATE_SERVICE_CREDENTIAL",
            "CREATE_SHARE",
            "CREATE_STORAGE_CREDENTIAL",
            "MANAGE_ALLOWLIST",
            "SET_SHARE_PERMISSION",
            "USE_CONNECTION",
            "USE_MARKETPLACE_ASSETS",
            "USE_PROVIDER",
            "USE_RECIPIENT",
            "USE_SHARE",
        }
    ),
    Securable.CATALOG: _SCHEMA | _COMMON | {"USE_CATALOG", "CREATE_SCHEMA", "BROWSE"},
    Securable.SCHEMA: _SCHEMA | _COMMON,
    Securable.TABLE: _TABLE | _COMMON | {"REFRESH"},
    Securable.VOLUME: _VOLUME | _COMMON,
    Securable.FUNCTION: _FUNCTION | _COMMON,
    Securable.STORAGE_CREDENTIAL: _LOCATION | _COMMON | {"CREATE_EXTERNAL_LOCATION"},
    Securable.EXTERNAL_LOCATION: _LOCATION
    | _COMMON
    | {"BROWSE", "CREATE_EXTERNAL_VOLUME", "CREATE_FOREIGN_SECURABLE", "CREATE_MANAGED_STORAGE", "EXTERNAL_USE_LOCATION"},
}
# ALL PRIVILEGES is worked out when a check is made, and on purpose does not contain these.
NOT_IN_ALL_PRIVILEGES = frozenset({"MANAGE", "EXTERNAL_USE_SCHEMA", "EXTERNAL_USE_LOCATION"})
BINDABLE = (Securable.CATALOG, Securable.STORAGE_CREDENTIAL, Securable.EXTERNAL_LOCATION)


def privilege_named(word: str) -> str:
    """`use catalog` and `USE_CATALOG` are the same. Raises ApiError INVALID_PARAMETER_VALUE for no privilege at all."""
    name = word.strip().upper().replace(" ", "_")
    if not any(name in known for known in PRIVILEGES.values()):
        raise ApiError("INVALID_PARAMETER_VALUE", f"Privilege {word!r} is not a Unity Catalog privilege.")
    return name


def require_applicable(privilege: str, securable: Securable, full_name: str) -> None:
    if privilege not in PRIVILEGES[securable]:
        raise ApiError(
            "INVALID_PARAMETER_VALUE",
            f"Privilege {privilege.replace('_', ' ')} is not applicable to this entity [{full_name}:{securable}]. "
            "If this seems unexpected, please check the privilege version of the metastore in use [1.0].",
        )


def valid_name(request: str, name: Any) -> str:
    """The name in lower case. `request` is the RPC that messages cite, such as `CreateCatalog`. Raises INVALID_PARAMETER_VALUE."""
    if not isinstance(name, str) or not name:
        raise ApiError("INVALID_PARAMETER_VALUE", f"{request} Missing required field: name")
    if len(name) > 255 or re.search(r"[\s./\x00-\x1f\x7f]", name):
        raise ApiError(
            "INVALID_PARAMETER_VALUE",
            f"{request} name: {name!r} is not a valid name. Names have at most 255 characters and must not contain "
            "spaces, periods, forward slashes, or control characters.",
        )
    return name.lower()


def missing(securable: Securable, full_name: str) -> ApiError:
    return ApiError(f"{securable}_DOES_NOT_EXIST", f"{securable.label} '{full_name}' does not exist.")


class Securables:
    """The securables of one metastore, over a reader or an open transaction."""

    def __init__(self, reader: Reader, metastore: Document) -> None:
        self.reader = reader
        self.metastore = metastore
        self._parents: dict[str, Document] = {}  # a list asks for the same schema and catalog once per row

    def _key(self, full_name: str) -> str:
        return f"{self.metastore['metastore_id']}/{full_name.lower()}"

    def find(self, securable: Securable, full_name: str) -> Document | None:
        if securable is Securable.METASTORE:
            return self.metastore if full_name.lower() in (self.metastore["metastore_id"], self.metastore["name"].lower()) else None
        return self.reader.get(securable.kind, self._key(full_name))

    def get(self, securable: Securable, full_name: str) -> Document:
        """Raises ApiError `<TYPE>_DOES_NOT_EXIST`."""
        document = self.find(securable, full_name)
        if document is None:
            raise missing(securable, full_name)
        return document

    def all(self, securable: Securable, parent: str = "") -> Iterator[Document]:
        """In name order; `parent` is the full name of a catalog or schema, "" is the whole metastore."""
        prefix = self._key(f"{parent}." if parent else "")
        return (document for _, document in self.reader.find(securable.kind, prefix=prefix))

    def parent(self, document: Document) -> Document | None:
        above = Securable(document["type"]).parent
        if above is None:
            return None
        name = document["full_name"].rpartition(".")[0]
        if name not in self._parents:
            self._parents[name] = self.get(above, name)
        return self._parents[name]

    def ancestors(self, document: Document) -> Iterator[Document]:
        """The document itself, then its schema, then its catalog."""
        current: Document | None = document
        while current is not None:
            yield current
            current = self.parent(current)

    def grants(self, document: Document) -> dict[str, list[str]]:
        return self.reader.get(GRANTS, document["uid"]) or {}

    def location_key(self, url: str, securable: Securable) -> str:
        return f"{self.metastore['metastore_id']}|{url}|{securable}"

    def at(self, url: str, securable: Securable) -> Document | None:
        """What has exactly that URL as its location."""
        entry = self.reader.get(LOCATION, self.location_key(url, securable))
        return self.get(securable, entry["full_name"]) if entry else None

    def below(self, url: str) -> Iterator[Document]:
        """What has its location under the URL, or the URL itself."""
        for start in (f"{url}|", f"{url}/"):
            for _, entry in self.reader.find(LOCATION, prefix=f"{self.metastore['metastore_id']}|{start}"):
                yield self.get(Securable(entry["type"]), entry["full_name"])

    def catalog_of(self, document: Document) -> Document | None:
        *_, top = self.ancestors(document)
        return top if top["type"] == Securable.CATALOG else None


class SecurableWrites(Securables):
    """The same inside a transaction, with what changes them."""

    def __init__(self, transaction: Transaction, metastore: Document) -> None:
        super().__init__(transaction, metastore)
        self.transaction = transaction

    def create(self, securable: Securable, full_name: str, *, owner: str, now_ms: int, uid: str = "", **fields: Any) -> Document:
        """Stores a new securable with what Unity Catalog fills in. Raises `<TYPE>_ALREADY_EXISTS`."""
        if self.find(securable, full_name) is not None:
            raise ApiError(f"{securable}_ALREADY_EXISTS", f"{securable.label} '{full_name}' already exists")
        document: Document = {
            "uid": uid or str(uuid.uuid4()),
            "type": securable.value,
            "name": full_name.rpartition(".")[2],
            "full_name": full_name,
            "metastore_id": self.metastore["metastore_id"],
            "owner": owner,
            "created_at": now_ms,
            "created_by": owner,
            "updated_at": now_ms,
            "updated_by": owner,
            **{name: value for name, value in fields.items() if value is not None},
        }
        self.put(document)
        return document

    def put(self, document: Document) -> None:
        self._parents.clear()
        securable = Securable(document["type"])
        before = self.find(securable, document["full_name"])
        if before is not None and self._url(before) != self._url(document):
            self._forget_location(before)
        self.transaction.put(securable.kind, self._key(document["full_name"]), document)
        if url := self._url(document):
            self.transaction.put(LOCATION, self.location_key(url, securable), {"type": securable.value, "full_name": document["full_name"]})

    @staticmethod
    def _url(document: Document) -> str | None:
        field = Securable(document["type"]).location_field
        return document.get(field) if field else None

    def _forget_location(self, document: Document) -> None:
        if url := self._url(document):
            self.transaction.delete(LOCATION, self.location_key(url, Securable(document["type"])))

    def remove(self, document: Document) -> None:
        self._parents.clear()
        self._forget_location(document)
        self.transaction.delete(Securable(document["type"]).kind, self._key(document["full_name"]))
        for kept in (GRANTS, BINDINGS, TAGS, POLICIES):
            self.transaction.delete(kept, document["uid"])

    def rename(self, document: Document, new_name: str) -> Document:
        """Under a new last name, its children with it. Raises `<TYPE>_ALREADY_EXISTS`."""
        securable = Securable(document["type"])
        parent = document["full_name"].rpartition(".")[0]
        full_name = f"{parent}.{new_name}" if parent else new_name
        if full_name == document["full_name"]:
            return document
        if self.find(securable, full_name) is not None:
            raise ApiError(f"{securable}_ALREADY_EXISTS", f"{securable.label} '{full_name}' already exists")
        below = [child for kind in Securable if kind.parent is not None for child in self._below(kind, document)]
        renamed = {**document, "name": new_name, "full_name": full_name}
        for old, new in [(document, renamed), *((child, _moved(child, document["full_name"], full_name)) for child in below)]:
            self.transaction.delete(Securable(old["type"]).kind, self._key(old["full_name"]))
            self.put(new)
        return renamed

    def _below(self, kind: Securable, document: Document) -> list[Document]:
        return list(self.all(kind, document["full_name"])) if document["type"] in (Securable.CATALOG, Securable.SCHEMA) else []


def _moved(child: Document, old_parent: str, new_parent: str) -> Document:
    full_name = new_parent + child["full_name"][len(old_parent) :]
    parts = full_name.split(".")
    moved = {**child, "full_name": full_name, "catalog_name": parts[0]}
    return moved if len(parts) < 3 else {**moved, "schema_name": parts[1]}
