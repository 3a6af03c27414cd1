"""From a path to what governs it: the longest prefix that is a volume, a table or an external location decides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from local_estate.api.kernel.call import Call, Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.routing import Route
from local_estate.api.kernel.store import Document
from local_estate.api.services.unity_catalog.authorization import Authority, Caller, metastore_of
from local_estate.api.services.unity_catalog.locations import MANAGED, nearest
from local_estate.api.services.unity_catalog.securables import STAGING, Securable, Securables
from local_estate.api.services.unity_catalog.storage_urls import StorageUrl, segments

_PRIVILEGE = {
    ("VOLUME", "READ"): "READ_VOLUME",
    ("VOLUME", "WRITE"): "WRITE_VOLUME",
    ("TABLE", "READ"): "SELECT",
    ("TABLE", "WRITE"): "MODIFY",
    ("EXTERNAL_LOCATION", "READ"): "READ_FILES",
    ("EXTERNAL_LOCATION", "WRITE"): "WRITE_FILES",
}


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """`prefix` is the governed part of the normalised `path`, `url` the governed directory, `rest` what follows the prefix."""

    securable: Securable
    full_name: str
    prefix: str
    url: StorageUrl
    rest: tuple[str, ...]

    @property
    def path(self) -> str:
        return "/".join((self.prefix, *self.rest))


def resolve(authority: Authority, estate: Estate, path: str, operation: str) -> Resolved:
    """Raises ApiError 400 for what is no path, 403 for what the caller may not touch, 404 for what does not exist."""
    if operation not in ("READ", "WRITE"):
        raise ApiError("INVALID_PARAMETER_VALUE", f"operation {operation!r} is not one of READ, WRITE.")
    scheme = path.partition(":")[0].lower() if ":" in path.partition("/")[0] else ""
    if scheme == "dbfs":
        path = "/" + path[5:].lstrip("/")
        scheme = ""
    if scheme == "abfss":
        return _by_url(authority, StorageUrl.parse(path), operation)
    if scheme == "file":
        url = StorageUrl.of_local(estate, unquote(urlsplit(path).path))
        if url is None:
            raise ApiError("PERMISSION_DENIED", f"Access is denied on path: {path}. Local files are not governed by Unity Catalog.")
        return _by_url(authority, url, operation)
    if scheme or not path.startswith("/"):
        raise ApiError("INVALID_PARAMETER_VALUE", f"Path {path!r} is neither /Volumes/<catalog>/<schema>/<volume>/… nor an abfss:// URL.")
    parts = segments(path)
    if parts[:1] != ("Volumes",):
        raise ApiError("PERMISSION_DENIED", f"Public DBFS root is disabled. Access is denied on path: {path}")
    if len(parts) < 4:
        raise ApiError("INVALID_PARAMETER_VALUE", f"Path {path!r} names no volume; use /Volumes/<catalog>/<schema>/<volume>/…")
    return _by_volume(authority, parts, operation)


def _by_volume(authority: Authority, parts: tuple[str, ...], operation: str) -> Resolved:
    full_name = ".".join(parts[1:4]).lower()
    volume = authority.require(_PRIVILEGE["VOLUME", operation], Securable.VOLUME, full_name)
    return Resolved(
        securable=Securable.VOLUME,
        full_name=volume["full_name"],
        prefix="/" + "/".join(parts[:4]),
        url=StorageUrl.parse(volume["storage_location"]),
        rest=parts[4:],
    )


def _by_url(authority: Authority, url: StorageUrl, operation: str) -> Resolved:
    found = governing(authority.securables, url)
    if found is None:
        staging = _staging(authority, url)
        if staging is not None:
            return staging
        raise ApiError("PERMISSION_DENIED", f"User does not have permission for path '{url.text}': no Unity Catalog object governs it.")
    securable = Securable(found["type"])
    if securable is Securable.EXTERNAL_LOCATION:
        staging = _staging(authority, url)
        if staging is not None:
            return staging
        if _in_managed_storage(authority.securables, url):
            # Managed bytes belong to tables and volumes; what lies between them is nobody's, whatever the location grants.
            raise ApiError("PERMISSION_DENIED", f"User does not have permission for path '{url.text}': it lies in managed storage.")
        if operation == "WRITE" and found.get("read_only"):
            raise ApiError("PERMISSION_DENIED", f"External Location '{found['name']}' is read-only.")
    authority.require(_PRIVILEGE[securable.value, operation], securable, found["full_name"])
    directory = StorageUrl.parse(found.get("storage_location") or found.get("url"))
    return Resolved(
        securable=securable, full_name=found["full_name"], prefix=directory.text, url=directory, rest=url.parts[len(directory.parts) :]
    )


def governing(securables: Securables, url: StorageUrl) -> Document | None:
    """The table, volume or external location with the longest location that contains the URL."""
    return nearest(securables, url, (Securable.TABLE, Securable.VOLUME, Securable.EXTERNAL_LOCATION))


def _staging(authority: Authority, url: StorageUrl) -> Resolved | None:
    """A table still being written: its creator's alone."""
    for depth in range(len(url.parts), 0, -1):
        staging = authority.securables.reader.get(STAGING, url.parts[depth - 1])
        if staging is None:
            continue
        directory = StorageUrl.parse(staging["staging_location"])
        if directory.contains(url) and staging["owner"] in authority.caller.identities:
            full_name = f"{staging['catalog_name']}.{staging['schema_name']}.{staging['name']}"
            return Resolved(
                securable=Securable.TABLE, full_name=full_name, prefix=directory.text, url=directory, rest=url.parts[len(directory.parts) :]
            )
    return None


def _in_managed_storage(securables: Securables, url: StorageUrl) -> bool:
    if MANAGED not in url.parts:
        return False
    root = StorageUrl(url.container, url.account, url.parts[: url.parts.index(MANAGED)]).text
    return any(securables.at(root, kind) is not None for kind in (Securable.CATALOG, Securable.SCHEMA))


def _authority(estate: Estate, principal_id: str, workspace_id: int | None) -> Authority:
    reader = estate.store.read
    return Authority(Securables(reader, metastore_of(reader, workspace_id)), Caller.of(estate, principal_id, workspace_id))


def resolve_path(estate: Estate, *, principal_id: str, workspace_id: int, path: str, operation: str) -> dict[str, str]:
    """The question `unity_catalog.resolve_path`. Every value is a string; `local_path` is `local_prefix` plus what follows `prefix`."""
    if path.removeprefix("dbfs:").startswith("/pipelines/"):
        own: dict[str, str] = estate.ask(
            "pipelines.storage", principal_id=principal_id, workspace_id=workspace_id, path=path.removeprefix("dbfs:"), operation=operation
        )
        return own
    found = resolve(_authority(estate, principal_id, workspace_id), estate, path, operation)
    directory = found.url.local(estate)
    return {
        "prefix": found.prefix,
        "local_prefix": str(directory),
        "securable_type": found.securable.value,
        "full_name": found.full_name,
        "path": found.path,
        "local_path": str(_inside(directory, found)),
    }


def volume_path(estate: Estate, *, principal_id: str, workspace_id: int, path: str, operation: str) -> Path:
    """The question `volumes.local_path`: where the bytes of a `/Volumes/…` path lie, for a principal who may READ or WRITE them."""
    found = resolve(_authority(estate, principal_id, workspace_id), estate, path, operation)
    if found.securable is not Securable.VOLUME:
        raise ApiError("INVALID_PARAMETER_VALUE", f"Path {path!r} is not in a volume.")
    return _inside(found.url.local(estate), found)


def _inside(directory: Path, found: Resolved) -> Path:
    path = directory.joinpath(*found.rest)
    if not path.resolve().is_relative_to(directory.resolve()):
        raise ApiError("PERMISSION_DENIED", f"Path {found.path} leads out of {found.securable.label} '{found.full_name}'.")
    return path


def _resolve_path(call: Call) -> dict[str, str]:
    return resolve_path(
        call.estate,
        principal_id=call.caller.id,
        workspace_id=call.workspace_id or 0,
        path=str(call.required("path")),
        operation=str(call.data.get("operation") or "READ").upper(),
    )


ROUTES = (Route(method="POST", path="/api/estate/1.0/resolve-path", handler=_resolve_path, level="executed"),)
