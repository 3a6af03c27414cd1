"""The workspace tree: directories, notebooks and files. What exists is in the store; bytes lie under the same path on disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from local_estate.api.kernel.call import Call, Estate
from local_estate.api.kernel.durable_files import write_whole
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document, Reader, Transaction

OBJECT = "workspace_files.object"  # documents: by `<workspace id>|<path>`
LEVELS = ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE")
_WORDS = {"CAN_READ": "View", "CAN_RUN": "Run", "CAN_EDIT": "Edit", "CAN_MANAGE": "Manage"}
_ROOTS = ("/", "/Users", "/Shared", "/Repos")
# First line of a notebook exported as source; its absence makes the same extension a plain file.
_HEADERS = {
    "PYTHON": "# Databricks notebook source",
    "SQL": "-- Databricks notebook source",
    "SCALA": "// Databricks notebook source",
    "R": "# Databricks notebook source",
}
_EXTENSIONS = {".py": "PYTHON", ".sql": "SQL", ".scala": "SCALA", ".r": "R"}


def normalised(path: Any) -> str:
    """`/Workspace/Users/x` and `/Users/x` are one. Raises ApiError INVALID_PARAMETER_VALUE for a relative path or one with `..`."""
    if not isinstance(path, str) or not path.startswith("/"):
        raise ApiError("INVALID_PARAMETER_VALUE", f"Path ({path}) doesn't start with '/'")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or any(ord(character) < 32 or character == "\\" for character in path):
        raise ApiError("INVALID_PARAMETER_VALUE", f"Path ({path}) must not contain '..', backslash or control characters.")
    if parts[:1] == ["Workspace"]:
        parts = parts[1:]
    return "/" + "/".join(parts)


def parent_of(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def no_path(path: str) -> ApiError:
    return ApiError("RESOURCE_DOES_NOT_EXIST", f"Path ({path}) doesn't exist.")


def find(reader: Reader, workspace_id: int, path: str) -> Document | None:
    return reader.get(OBJECT, f"{workspace_id}|{path}")


def children(reader: Reader, workspace_id: int, path: str, *, deep: bool = False) -> list[Document]:
    """In path order; `deep` takes everything below."""
    prefix = f"{workspace_id}|{path.rstrip('/')}/"
    found = [document for _, document in reader.find(OBJECT, prefix=prefix) if document["path"] != "/"]
    return found if deep else [each for each in found if parent_of(each["path"]) == path]


def disk_path(estate: Estate, workspace_id: int, path: str) -> Path:
    return estate.paths.workspace_files / str(workspace_id) / path.lstrip("/")


def local_path(estate: Estate, *, workspace_id: int, path: str, principal_id: str | None = None) -> Path:
    """The question `workspace_files.local_path`: of an existing object, which `principal_id`, if given, may read.

    Raises ApiError RESOURCE_DOES_NOT_EXIST or PERMISSION_DENIED.
    """
    where = normalised(path)
    if find(estate.store.read, workspace_id, where) is None:
        raise no_path(path)
    if principal_id is not None:
        require_level(estate, principal_id, workspace_id, where, "CAN_READ")
    return disk_path(estate, workspace_id, where)


def prepare(call: Call) -> None:
    """The directories every workspace has, and the caller's home."""
    workspace_id = call.workspace_id or 0
    wanted = [*_ROOTS, f"/Users/{call.caller.name}"]
    if all(find(call.store.read, workspace_id, path) for path in wanted):
        return
    with call.store.transaction() as transaction:
        for path in wanted:
            if find(transaction, workspace_id, path) is None:
                put(call, transaction, path, "DIRECTORY")


def put(call: Call, transaction: Transaction, path: str, object_type: str, **fields: Any) -> Document:
    """A new object, or the same one with new fields."""
    workspace_id = call.workspace_id or 0
    existing = find(transaction, workspace_id, path)
    now = call.estate.clock.now_ms()
    document: Document = {
        "object_id": existing["object_id"] if existing else transaction.next("workspace_files.id", start=3_000_000_000_001),
        "object_type": object_type,
        "path": path,
        "created_at": existing["created_at"] if existing else now,
        "modified_at": now,
        **fields,
    }
    document["resource_id"] = str(document["object_id"])
    transaction.put(OBJECT, f"{workspace_id}|{path}", document)
    if object_type == "DIRECTORY":
        disk_path(call.estate, workspace_id, path).mkdir(parents=True, exist_ok=True)
    if existing is None and "permissions.created" in call.estate.answers:
        call.estate.ask(
            "permissions.created",
            workspace_id=workspace_id,
            object_type=_acl_type(object_type),
            object_id=str(document["object_id"]),
            # Whoever happens to be first in a workspace must not come to own its roots.
            owner_id="" if path in _ROOTS else call.caller.id,
        )
    return document


def _acl_type(object_type: str) -> str:
    return {"DIRECTORY": "directories", "NOTEBOOK": "notebooks", "FILE": "files"}[object_type]


def level_of(estate: Estate, principal_id: str, workspace_id: int, path: str) -> str | None:
    """The highest level on a path: admins and one's home MANAGE, everyone MANAGE below /Shared, else ACLs of it and above it."""
    principal = estate.ask("identity.principal", id=principal_id) or {"name": principal_id}
    if path == "/Shared" or path.startswith("/Shared/") or f"{path}/".startswith(f"/Users/{principal['name']}/"):
        return "CAN_MANAGE"
    if estate.ask("identity.is_workspace_admin", principal_id=principal_id, workspace_id=workspace_id):
        return "CAN_MANAGE"
    held = ["CAN_READ"] if path in _ROOTS else []
    current = path
    while "permissions.level" in estate.answers and current != "/":
        document = find(estate.store.read, workspace_id, current)
        if document is not None:
            named = {"object_type": _acl_type(document["object_type"]), "object_id": str(document["object_id"])}
            level = estate.ask("permissions.level", principal_id=principal_id, workspace_id=workspace_id, **named)
            held += [level] if level in LEVELS else []
        current = parent_of(current)
    return max(held, key=LEVELS.index, default=None)


def require_level(estate: Estate, principal_id: str, workspace_id: int, path: str, level: str) -> None:
    """Raises ApiError PERMISSION_DENIED."""
    held = level_of(estate, principal_id, workspace_id, path)
    if held is None or LEVELS.index(held) < LEVELS.index(level):
        document = find(estate.store.read, workspace_id, path)
        principal = estate.ask("identity.principal", id=principal_id) or {"name": principal_id}
        raise ApiError(
            "PERMISSION_DENIED",
            f"{principal['name']} does not have {_WORDS[level]} permissions on {document['object_id'] if document else path}. "
            "Please contact the owner or an administrator for access.",
        )


def require(call: Call, path: str, level: str) -> None:
    require_level(call.estate, call.caller.id, call.workspace_id or 0, path, level)


def make_directories(call: Call, path: str) -> None:
    """`mkdir -p`. Raises ApiError RESOURCE_ALREADY_EXISTS when a file is in the way."""
    workspace_id = call.workspace_id or 0
    chain = [path]
    while chain[-1] != "/":
        chain.append(parent_of(chain[-1]))
    nearest = next(each for each in chain if find(call.store.read, workspace_id, each) is not None)
    if nearest != path:
        require(call, nearest, "CAN_EDIT")
    with call.store.transaction() as transaction:
        for each in reversed(chain):
            existing = find(transaction, workspace_id, each)
            if existing is not None and existing["object_type"] != "DIRECTORY":
                raise ApiError("RESOURCE_ALREADY_EXISTS", f"Path ({each}) already exists and is no directory.")
            if existing is None:
                put(call, transaction, each, "DIRECTORY")


def write(call: Call, path: str, content: bytes, *, object_type: str, overwrite: bool, **fields: Any) -> Document:
    """Raises ApiError RESOURCE_ALREADY_EXISTS, or RESOURCE_DOES_NOT_EXIST for a missing parent folder."""
    workspace_id = call.workspace_id or 0
    parent = find(call.store.read, workspace_id, parent_of(path))
    if parent is None or parent["object_type"] != "DIRECTORY":
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"The parent folder ({parent_of(path)}) does not exist.")
    with call.store.transaction() as transaction:
        existing = find(transaction, workspace_id, path)
        require(call, path if existing else parent["path"], "CAN_EDIT")
        if existing is not None and (not overwrite or existing["object_type"] == "DIRECTORY"):
            raise ApiError("RESOURCE_ALREADY_EXISTS", f"Path ({path}) already exists.")
        if existing is not None and existing["object_type"] != object_type:
            raise ApiError("INVALID_PARAMETER_VALUE", f"Path ({path}) is a {existing['object_type']} and cannot become a {object_type}.")
        local = disk_path(call.estate, workspace_id, path)
        local.parent.mkdir(parents=True, exist_ok=True)
        write_whole(local, content)
        return put(call, transaction, path, object_type, size=len(content), **fields)


def delete(call: Call, path: str, *, recursive: bool) -> None:
    """Raises ApiError DIRECTORY_NOT_EMPTY."""
    workspace_id = call.workspace_id or 0
    with call.store.transaction() as transaction:
        document = find(transaction, workspace_id, path)
        if document is None:
            raise no_path(path)
        require(call, path, "CAN_MANAGE")
        if path in _ROOTS:
            raise ApiError("INVALID_PARAMETER_VALUE", f"Path ({path}) is a folder of the workspace itself and cannot be deleted.")
        below = children(transaction, workspace_id, path, deep=True)
        if below and not recursive:
            raise ApiError("DIRECTORY_NOT_EMPTY", f"Folder ({path}) is not empty")
        for each in (*below, document):
            transaction.delete(OBJECT, f"{workspace_id}|{each['path']}")
            if "permissions.deleted" in call.estate.answers:
                named = {"object_type": _acl_type(each["object_type"]), "object_id": str(each["object_id"])}
                call.estate.ask("permissions.deleted", workspace_id=workspace_id, **named)
    local = disk_path(call.estate, workspace_id, path)
    if local.is_dir():
        shutil.rmtree(local, ignore_errors=True)
    else:
        local.unlink(missing_ok=True)


def notebook_language(path: str, content: bytes) -> str | None:
    """Of source that begins with the notebook header of its extension."""
    suffix = Path(path).suffix.lower()
    language = _EXTENSIONS.get(suffix)
    first_line = content.split(b"\n", 1)[0].decode("utf-8", "replace").rstrip()
    return language if language and first_line == _HEADERS[language] else None


def as_notebook(content: bytes, language: str) -> bytes:
    """With the header its export begins with."""
    header = _HEADERS[language].encode()
    return content if content.split(b"\n", 1)[0].rstrip() == header else header + b"\n" + content


LANGUAGES = tuple(_HEADERS)
