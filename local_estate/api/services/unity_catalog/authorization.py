"""Who may do what: ownership, MANAGE, grants with inheritance, the usage chain, and workspaces a catalog is bound to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document, Reader
from local_estate.api.services.unity_catalog.securables import (
    ASSIGNMENT,
    BINDABLE,
    BINDINGS,
    EVERYONE,
    INFORMATION_SCHEMA,
    METASTORE,
    NOT_IN_ALL_PRIVILEGES,
    PRIVILEGES,
    Securable,
    Securables,
    missing,
    require_applicable,
)

_WRITES = frozenset(
    {"MODIFY", "WRITE_VOLUME", "CREATE_SCHEMA", "CREATE_TABLE", "CREATE_VOLUME", "CREATE_FUNCTION", "WRITE_FILES", "MANAGE"}
)
_CHAIN = {Securable.CATALOG: "USE_CATALOG", Securable.SCHEMA: "USE_SCHEMA"}


@dataclass(frozen=True, kw_only=True)
class Caller:
    """On whose behalf a check is made. `identities`: the principal's name, its account groups, and everyone."""

    name: str
    identities: frozenset[str]
    workspace_id: int | None

    @classmethod
    def of(cls, estate: Estate, principal_id: str, workspace_id: int | None) -> Caller:
        principal = estate.ask("identity.principal", id=principal_id)
        if principal is None:
            raise ApiError("PERMISSION_DENIED", "The calling principal does not exist in this account.")
        groups = estate.ask("identity.groups_of", principal_id=principal_id)
        return cls(name=principal["name"], identities=frozenset({principal["name"], EVERYONE, *groups}), workspace_id=workspace_id)


def metastore_of(reader: Reader, workspace_id: int | None) -> Document:
    """Of the workspace. Raises ApiError METASTORE_DOES_NOT_EXIST without one."""
    assignment = reader.get(ASSIGNMENT, str(workspace_id))
    metastore = reader.get(METASTORE, assignment["metastore_id"]) if assignment else None
    if metastore is None:
        raise ApiError("METASTORE_DOES_NOT_EXIST", "No metastore assigned for the current workspace.")
    return metastore


def denied(privilege: str, securable: Securable, name: str) -> ApiError:
    return ApiError("PERMISSION_DENIED", f"User does not have {privilege.replace('_', ' ')} on {securable.label} '{name}'.")


class Authority:
    """Answers for one caller over one state of the metastore."""

    def __init__(self, securables: Securables, caller: Caller) -> None:
        self.securables = securables
        self.caller = caller
        self._grants: dict[str, frozenset[str]] = {}

    @property
    def is_metastore_admin(self) -> bool:
        return self.securables.metastore["owner"] in self.caller.identities

    def owns(self, document: Document) -> bool:
        return document["owner"] in self.caller.identities

    def holds(self, privilege: str, document: Document) -> bool:
        """Granted on the securable or above it, or contained in owning it; says nothing of the usage chain."""
        if self.owns(document) and privilege in PRIVILEGES[Securable(document["type"])]:
            return True
        for level in self.securables.ancestors(document):
            held = self._granted(level)
            if privilege in held or ("ALL_PRIVILEGES" in held and privilege not in NOT_IN_ALL_PRIVILEGES):
                return True
            # The owner of a catalog or schema passes through it, and manages what lies inside; data is theirs only by a grant.
            if privilege in ("USE_CATALOG", "USE_SCHEMA", "BROWSE") and self.owns(level):
                return True
        return privilege == "BROWSE" and self.is_metastore_admin

    def manages(self, document: Document) -> bool:
        """Owner, MANAGE, owner of what contains it, or metastore admin."""
        if self.is_metastore_admin:
            return True
        return any(self.owns(level) or "MANAGE" in self._granted(level) for level in self.securables.ancestors(document))

    def sees(self, document: Document) -> str:
        """How much of the metadata the caller may read: "full", "browse" or ""."""
        if not self.is_bound(document) and not self.manages(document):
            return ""
        if self.manages(document):
            return "full"
        if self._missing_link(document) is None and self._reads(document):
            return "full"
        return "browse" if Securable(document["type"]) is not Securable.METASTORE and self.holds("BROWSE", document) else ""

    def require(self, privilege: str, securable: Securable, full_name: str) -> Document:
        """The securable, if the caller has `privilege` on it and the usage chain above. Raises ApiError 403 or 404.

        What is missing first, from the catalog down, is what the error names.
        """
        require_applicable(privilege, securable, full_name)
        self._require_chain(securable, full_name)
        document = self.securables.get(securable, full_name)
        self.require_bound(document, writing=privilege in _WRITES)
        allowed = self.manages(document) if privilege == "MANAGE" else self.holds(privilege, document)
        # On the metastore, its admins need no grant.
        if not allowed and not (securable is Securable.METASTORE and self.is_metastore_admin):
            raise denied(privilege, securable, document["name"] if securable is Securable.METASTORE else document["full_name"])
        return document

    def require_visible(self, securable: Securable, full_name: str) -> Document:
        """For reading metadata. Raises ApiError 403 naming what is missing, or 404."""
        self._require_chain(securable, full_name, browsing=True, managing=self.is_metastore_admin)
        document = self.securables.get(securable, full_name)
        if not self.manages(document):
            self.require_bound(document)
        if not self.sees(document):
            raise denied(_READ[securable][0], securable, document["full_name"])
        return document

    def require_manage(self, securable: Securable, full_name: str) -> Document:
        """For changing metadata, grants or existence."""
        self._require_chain(securable, full_name, managing=self.is_metastore_admin)
        document = self.securables.get(securable, full_name)
        catalog = self.securables.catalog_of(document)
        if catalog is not None and securable is not Securable.CATALOG:
            self.require_bound(catalog, writing=True)
        if not self.manages(document):
            raise denied("MANAGE", securable, document["full_name"])
        return document

    def is_bound(self, document: Document, *, writing: bool = False) -> bool:
        """Whether this workspace may use the securable (or the catalog that holds it)."""
        *_, top = self.securables.ancestors(document)
        if Securable(top["type"]) not in BINDABLE or "ISOLATED" not in top.get("isolation_mode", "OPEN"):
            return True
        bindings = (self.securables.reader.get(BINDINGS, top["uid"]) or {"bindings": []})["bindings"]
        types = [binding["binding_type"] for binding in bindings if binding["workspace_id"] == self.caller.workspace_id]
        return bool(types) and not (writing and "BINDING_TYPE_READ_WRITE" not in types)

    def require_bound(self, document: Document, *, writing: bool = False) -> None:
        if not self.is_bound(document, writing=writing):
            *_, top = self.securables.ancestors(document)
            how = "not accessible" if not self.is_bound(document) else "read-only"
            raise ApiError("PERMISSION_DENIED", f"{Securable(top['type']).label} '{top['name']}' is {how} in current workspace")

    def _require_chain(self, securable: Securable, full_name: str, *, browsing: bool = False, managing: bool = False) -> None:
        """`browsing`: BROWSE opens the way too; `managing`: whatever exists does."""
        above = securable.parent
        if above is None:
            return
        parts = full_name.split(".")
        if len(parts) != (2 if securable is Securable.SCHEMA else 3) or not all(parts):
            raise ApiError("INVALID_PARAMETER_VALUE", f"'{full_name}' is not a valid name of a {securable.value.lower()}.")
        for level, name in ((Securable.CATALOG, parts[0]), (Securable.SCHEMA, ".".join(parts[:2]))):
            if level is Securable.SCHEMA and securable is Securable.SCHEMA:
                return
            document = self.securables.get(level, name)
            if managing:
                continue
            self.require_bound(document)
            if not self.holds(_CHAIN[level], document) and not (browsing and self.holds("BROWSE", document)):
                raise denied(_CHAIN[level], level, document["full_name"])

    def _missing_link(self, document: Document) -> Document | None:
        levels = list(self.securables.ancestors(document))[1:]
        return next((level for level in reversed(levels) if not self.holds(_CHAIN[Securable(level["type"])], level)), None)

    def _reads(self, document: Document) -> bool:
        return any(self.holds(privilege, document) for privilege in _READ[Securable(document["type"])])

    def _granted(self, document: Document) -> frozenset[str]:
        """What the caller's identities were granted on exactly this securable."""
        uid = document["uid"]
        if uid not in self._grants:
            grants = self.securables.grants(document)
            self._grants[uid] = frozenset(privilege for who, held in grants.items() if who in self.caller.identities for privilege in held)
        return self._grants[uid]


# Any one of these lets a principal read the securable's metadata; the first is named when all are missing.
_READ: dict[Securable, tuple[str, ...]] = {
    Securable.METASTORE: tuple(sorted(PRIVILEGES[Securable.METASTORE])),
    Securable.CATALOG: ("USE_CATALOG",),
    Securable.SCHEMA: ("USE_SCHEMA",),
    Securable.TABLE: ("SELECT", "MODIFY"),
    Securable.VOLUME: ("READ_VOLUME", "WRITE_VOLUME"),
    Securable.FUNCTION: ("EXECUTE",),
    Securable.STORAGE_CREDENTIAL: ("CREATE_EXTERNAL_LOCATION", "READ_FILES", "WRITE_FILES", "CREATE_EXTERNAL_TABLE"),
    Securable.EXTERNAL_LOCATION: ("READ_FILES", "WRITE_FILES", "CREATE_EXTERNAL_TABLE", "CREATE_EXTERNAL_VOLUME", "CREATE_MANAGED_STORAGE"),
}


def authorize(estate: Estate, *, principal_id: str, workspace_id: int, checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One result per check, in order: `{"allowed": True}`, or False with `error_code` and `message`."""
    reader = estate.store.read
    authority = Authority(Securables(reader, metastore_of(reader, workspace_id)), Caller.of(estate, principal_id, workspace_id))
    return [_result(authority, check) for check in checks]


def _result(authority: Authority, check: dict[str, Any]) -> dict[str, Any]:
    try:
        privilege = str(check["privilege"]).upper().replace(" ", "_")
        securable = Securable.named(str(check["securable_type"]))
        full_name = str(check.get("full_name", "")).lower()
        if securable is Securable.METASTORE:
            full_name = full_name or authority.securables.metastore["metastore_id"]
        if securable is Securable.TABLE and full_name.split(".")[1:2] == [INFORMATION_SCHEMA]:
            _information_schema(authority, privilege, full_name)
        elif privilege == "MANAGE":
            authority.require_manage(securable, full_name)
        else:
            authority.require(privilege, securable, full_name)
    except KeyError as absent:
        return {"allowed": False, "error_code": "INVALID_PARAMETER_VALUE", "message": f"Missing required field: {absent.args[0]}"}
    except ApiError as error:
        return {"allowed": False, "error_code": error.code, "message": error.message}
    return {"allowed": True}


def _information_schema(authority: Authority, privilege: str, full_name: str) -> None:
    """Its views are no stored tables: they show each reader what the reader may see, so the chain is enough."""
    if privilege != "SELECT":
        raise denied(privilege, Securable.TABLE, full_name)
    authority.require("USE_SCHEMA", Securable.SCHEMA, full_name.rpartition(".")[0])


__all__ = ["Authority", "Caller", "authorize", "denied", "metastore_of", "missing"]
