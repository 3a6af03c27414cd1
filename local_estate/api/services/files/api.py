"""`/api/2.0/fs/*` and the DBFS calls that reach volumes."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

from local_estate.api.kernel.call import Call, Reply
from local_estate.api.kernel.errors import ApiError, not_supported
from local_estate.api.kernel.routing import Route, Service
from local_estate.api.services.files import models

_PAGE = 1000
_BLOCK = 1 << 20  # bytes: what DBFS reads or writes at once


@dataclass(frozen=True, kw_only=True)
class _Target:
    """A volume path the caller may READ or WRITE, where its bytes lie, and the volume's own directory."""

    path: str
    local: Path
    volume: Path


def _target(call: Call, path: str, operation: str) -> _Target:
    found = call.estate.ask(
        "unity_catalog.resolve_path",
        principal_id=call.caller.id,
        workspace_id=call.workspace_id,
        path=path,
        operation=operation,
    )
    return _Target(path=found["path"], local=Path(found["local_path"]), volume=Path(found["local_prefix"]))


def _fs(call: Call, operation: str) -> _Target:
    path = "/" + call.path_parameters["path"].lstrip("/")
    if not path.startswith("/Volumes/"):
        raise ApiError("INVALID_PARAMETER_VALUE", f"Path {path!r} must start with /Volumes/.")
    return _target(call, path, operation)


def _empty() -> Reply:
    return Reply(status=204, body=b"")


def _upload(call: Call) -> Reply:
    target = _fs(call, "WRITE")
    models.write(target.local, call.body, overwrite=call.query.get("overwrite", "true").lower() == "true", within=target.volume)
    return _empty()


def _headers(entry: models.Entry) -> dict[str, str]:
    return {
        "last-modified": formatdate(entry.modified_ms / 1000, usegmt=True),
        "accept-ranges": "bytes",
        "content-length": str(entry.size),
    }


def _download(call: Call) -> Reply:
    target = _fs(call, "READ")
    entry = models.entry(target.local, target.path)
    if entry.is_directory:
        raise models.no_file()
    content = models.read(target.local)
    headers = _headers(entry) | {"content-length": str(len(content))}
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", call.headers.get("range", ""))
    if asked is None:
        return Reply(body=content, headers=headers, content_type="application/octet-stream")
    first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
    if first > last:
        raise ApiError("INVALID_PARAMETER_VALUE", f"Range {call.headers['range']} lies outside the file's {len(content)} bytes.", 416)
    piece = content[first : last + 1]
    headers |= {"content-length": str(len(piece)), "content-range": f"bytes {first}-{last}/{len(content)}"}
    return Reply(status=206, body=piece, headers=headers, content_type="application/octet-stream")


def _file_metadata(call: Call) -> Reply:
    target = _fs(call, "READ")
    entry = models.entry(target.local, target.path)
    if entry.is_directory:
        raise models.no_file()
    return Reply(body=b"", headers=_headers(entry), content_type="application/octet-stream")


def _delete_file(call: Call) -> Reply:
    models.delete_file(_fs(call, "WRITE").local)
    return _empty()


def _make_directory(call: Call) -> Reply:
    models.make_directory(_fs(call, "WRITE").local)
    return _empty()


def _directory_metadata(call: Call) -> Reply:
    if not _fs(call, "READ").local.is_dir():
        raise models.no_directory()
    return Reply(body=b"")


def _delete_directory(call: Call) -> Reply:
    target = _fs(call, "WRITE")
    models.delete_directory(target.local, within=target.volume)
    return _empty()


def _list_directory(call: Call) -> dict[str, Any]:
    target = _fs(call, "READ")
    size = min(call.number("page_size", _PAGE) or _PAGE, _PAGE)
    after = _after(str(call.data.get("page_token", "")))
    entries = [each for each in models.contents(target.local, target.path) if each.name > after]
    answer: dict[str, Any] = {"contents": [_listed(each) for each in entries[:size]]}
    if len(entries) > size:
        answer["next_page_token"] = base64.urlsafe_b64encode(entries[size - 1].name.encode()).decode()
    return answer


def _after(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except ValueError:
        raise ApiError("INVALID_PARAMETER_VALUE", f"Invalid page token: {token[:50]}") from None


def _listed(entry: models.Entry) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": entry.name, "path": entry.path, "is_directory": entry.is_directory, "last_modified": entry.modified_ms}
    return shown if entry.is_directory else {**shown, "file_size": entry.size}


def _initiate_upload(call: Call) -> dict[str, Any]:
    """Clients begin large uploads here, are then refused a presigned URL, and fall back to one plain PUT."""
    if call.query.get("action") != "initiate-upload":
        raise not_supported(f"the upload action {call.query.get('action')}; it follows a presigned URL, and there are none")
    target = _fs(call, "WRITE")
    if target.local.exists() and call.query.get("overwrite", "true").lower() != "true":
        raise ApiError("ALREADY_EXISTS", "The file being created already exists.")
    return {"multipart_upload": {"session_token": secrets.token_hex(16)}}


def _no_presigned_urls(call: Call) -> Any:
    details = [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "FILES_API_API_IS_NOT_ENABLED",
            "domain": "filesystem.databricks.com",
        }
    ]
    raise ApiError("NOT_FOUND", f"Presigned URLs are not enabled: {call.path}", 404, details)


def _dbfs_info(entry: models.Entry) -> dict[str, Any]:
    return {"path": entry.path, "is_dir": entry.is_directory, "file_size": entry.size, "modification_time": entry.modified_ms}


def _dbfs(call: Call, operation: str) -> _Target:
    return _target(call, str(call.required("path")), operation)


def _dbfs_status(call: Call) -> dict[str, Any]:
    target = _dbfs(call, "READ")
    return _dbfs_info(models.entry(target.local, target.path))


def _dbfs_list(call: Call) -> dict[str, Any]:
    target = _dbfs(call, "READ")
    here = models.entry(target.local, target.path)
    return {"files": [_dbfs_info(each) for each in (models.contents(target.local, target.path) if here.is_directory else [here])]}


def _dbfs_read(call: Call) -> dict[str, Any]:
    offset, length = call.number("offset", 0), call.number("length", _BLOCK // 2)
    if length > _BLOCK:
        raise ApiError("MAX_READ_SIZE_EXCEEDED", f"A read may be at most {_BLOCK} bytes, not {length}.")
    if offset < 0 or length < 0:
        raise ApiError("INVALID_PARAMETER_VALUE", "offset and length must not be negative.")
    piece = models.read(_dbfs(call, "READ").local)[offset : offset + length]
    return {"bytes_read": len(piece), "data": base64.b64encode(piece).decode()}


def _dbfs_put(call: Call) -> dict[str, Any]:
    target = _dbfs(call, "WRITE")
    try:
        content = base64.b64decode(str(call.data.get("contents", "")), validate=True)
    except binascii.Error:
        raise ApiError("INVALID_PARAMETER_VALUE", "contents must be base64.") from None
    if len(content) > _BLOCK:
        raise ApiError("MAX_BLOCK_SIZE_EXCEEDED", f"contents may be at most {_BLOCK} bytes.")
    models.write(target.local, content, overwrite=call.flag("overwrite"), within=target.volume)
    return {}


def _dbfs_mkdirs(call: Call) -> dict[str, Any]:
    models.make_directory(_dbfs(call, "WRITE").local)
    return {}


def _dbfs_delete(call: Call) -> dict[str, Any]:
    target = _dbfs(call, "WRITE")
    if target.local.is_dir():
        if any(target.local.iterdir()) and not call.flag("recursive"):
            raise ApiError("IO_ERROR", f"Directory {target.path} is not empty; use recursive.")
        models.delete_directory(target.local, within=target.volume, recursive=True)
    elif target.local.exists():
        models.delete_file(target.local)
    return {}


def _route(method: str, path: str, handler: Any) -> Route:
    return Route(method=method, path=f"/api/2.0/{path}", handler=handler, level="executed")


SERVICE = Service(
    name="files",
    routes=(
        _route("PUT", "fs/files/{path:path}", _upload),
        _route("GET", "fs/files/{path:path}", _download),
        _route("HEAD", "fs/files/{path:path}", _file_metadata),
        _route("DELETE", "fs/files/{path:path}", _delete_file),
        _route("POST", "fs/files/{path:path}", _initiate_upload),
        _route("PUT", "fs/directories/{path:path}", _make_directory),
        _route("GET", "fs/directories/{path:path}", _list_directory),
        _route("HEAD", "fs/directories/{path:path}", _directory_metadata),
        _route("DELETE", "fs/directories/{path:path}", _delete_directory),
        _route("POST", "fs/create-download-url", _no_presigned_urls),
        _route("POST", "fs/create-upload-part-urls", _no_presigned_urls),
        _route("POST", "fs/create-resumable-upload-url", _no_presigned_urls),
        _route("POST", "fs/create-abort-upload-url", _no_presigned_urls),
        _route("GET", "dbfs/get-status", _dbfs_status),
        _route("GET", "dbfs/list", _dbfs_list),
        _route("GET", "dbfs/read", _dbfs_read),
        _route("POST", "dbfs/put", _dbfs_put),
        _route("POST", "dbfs/mkdirs", _dbfs_mkdirs),
        _route("POST", "dbfs/delete", _dbfs_delete),
    ),
)
