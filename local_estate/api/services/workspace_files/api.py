"""`/api/2.0/workspace/*` and the CLI's `workspace-files/import-file`."""

from __future__ import annotations

import base64
import binascii
import io
from pathlib import PurePosixPath
from typing import Any

from python_multipart import parse_form

from local_estate.api.kernel.call import Call, Reply
from local_estate.api.kernel.errors import ApiError, not_supported
from local_estate.api.kernel.routing import Route, Service
from local_estate.api.kernel.store import Document
from local_estate.api.services.workspace_files import models

_IMPORT_BYTES = 10 * 1024 * 1024
_FILE_BYTES = 500 * 1024 * 1024
_FILE_TYPES = {"PYTHON": "py", "SQL": "sql", "SCALA": "scala", "R": "r"}


def _wire(document: Document, asked: str) -> Document:
    """The path is echoed as it was asked for."""
    return {**document, "path": asked}


def _shown_below(asked: str, path: str) -> str:
    return f"/Workspace{path}" if asked == "/Workspace" or asked.startswith("/Workspace/") else path


def _existing(call: Call, level: str) -> Document:
    asked = str(call.required("path"))
    path = models.normalised(asked)
    models.prepare(call)
    document = models.find(call.store.read, call.workspace_id or 0, path)
    if document is None:
        raise models.no_path(asked)
    models.require(call, path, level)
    return document


def _get_status(call: Call) -> Document:
    return _wire(_existing(call, "CAN_READ"), str(call.data["path"]))


def _list(call: Call) -> Document:
    document = _existing(call, "CAN_READ")
    asked = str(call.data["path"])
    if document["object_type"] != "DIRECTORY":
        return {"objects": [_wire(document, asked)]}
    found = models.children(call.store.read, call.workspace_id or 0, document["path"])
    visible = [each for each in found if models.level_of(call.estate, call.caller.id, call.workspace_id or 0, each["path"])]
    return {"objects": [_wire(each, _shown_below(asked, each["path"])) for each in visible]}


def _mkdirs(call: Call) -> Document:
    models.prepare(call)
    models.make_directories(call, models.normalised(call.required("path")))
    return {}


def _delete(call: Call) -> Document:
    document = _existing(call, "CAN_MANAGE")
    models.delete(call, document["path"], recursive=call.flag("recursive"))
    return {}


def _form(call: Call) -> dict[str, Any]:
    """The fields of a multipart import; `content` as bytes."""
    fields: dict[str, Any] = {}

    def on_field(field: Any) -> None:
        fields[field.field_name.decode()] = (field.value or b"").decode("utf-8", "surrogateescape")

    def on_file(file: Any) -> None:
        file.file_object.seek(0)
        fields[file.field_name.decode()] = file.file_object.read()

    headers = {"Content-Type": call.headers["content-type"].encode(), "Content-Length": str(len(call.body)).encode()}
    try:
        parse_form(headers, io.BytesIO(call.body), on_field, on_file)
    except ValueError as error:
        raise ApiError("MALFORMED_REQUEST", f"Could not parse the multipart form: {error}") from None
    return fields


def _import(call: Call) -> Document:
    models.prepare(call)
    if call.headers.get("content-type", "").startswith("multipart/form-data"):
        fields = _form(call)
        content = fields.get("content", b"")
        content = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    else:
        fields = call.json
        try:
            content = base64.b64decode(str(fields.get("content", "")), validate=True)
        except binascii.Error:
            raise ApiError("INVALID_PARAMETER_VALUE", "content must be base64.") from None
    if "path" not in fields:
        raise ApiError("INVALID_PARAMETER_VALUE", "Missing required field: path")
    if len(content) > _IMPORT_BYTES:
        raise ApiError("MAX_NOTEBOOK_SIZE_EXCEEDED", f"Imports may be at most {_IMPORT_BYTES} bytes, not {len(content)}.")
    _store(call, models.normalised(fields["path"]), content, fields)
    return {}


def _store(call: Call, path: str, content: bytes, fields: dict[str, Any]) -> None:
    form = fields.get("format") or "SOURCE"
    overwrite = str(fields.get("overwrite", "")).lower() == "true"
    language = fields.get("language")
    if form not in ("SOURCE", "AUTO", "RAW"):
        raise not_supported(f"workspace import of format {form}; use SOURCE, AUTO or RAW")
    if form == "SOURCE":
        if language not in models.LANGUAGES:
            raise ApiError(
                "INVALID_PARAMETER_VALUE", f"language {language!r} is not one of {', '.join(models.LANGUAGES)}; format SOURCE needs it."
            )
    elif form == "AUTO":
        language = models.notebook_language(path, content)
        path = str(PurePosixPath(path).with_suffix("")) if language else path
    if form == "RAW" or language is None:
        models.write(call, path, content, object_type="FILE", overwrite=overwrite)
    else:
        models.write(call, path, models.as_notebook(content, language), object_type="NOTEBOOK", overwrite=overwrite, language=language)


def _import_file(call: Call) -> Document:
    models.prepare(call)
    path = models.normalised("/" + call.path_parameters["path"].lstrip("/"))
    if len(call.body) > _FILE_BYTES:
        raise ApiError("MAX_FILE_SIZE_EXCEEDED", f"Workspace files may be at most {_FILE_BYTES} bytes.")
    try:
        models.write(call, path, call.body, object_type="FILE", overwrite=call.query.get("overwrite", "").lower() == "true")
    except ApiError as error:
        # The same refusal as of import, under the status this older call uses.
        raise ApiError(error.code, error.message, 409 if error.code == "RESOURCE_ALREADY_EXISTS" else error.status) from None
    return {}


def _export(call: Call) -> Any:
    document = _existing(call, "CAN_READ")
    form = call.data.get("format") or "SOURCE"
    if form not in ("SOURCE", "AUTO", "RAW"):
        raise not_supported(f"workspace export of format {form}; use SOURCE, AUTO or RAW")
    if document["object_type"] == "DIRECTORY":
        raise not_supported("the export of whole workspace directories")
    content = models.disk_path(call.estate, call.workspace_id or 0, document["path"]).read_bytes()
    if call.flag("direct_download"):
        return Reply(body=content, content_type="application/octet-stream")
    return {"content": base64.b64encode(content).decode(), "file_type": _FILE_TYPES.get(document.get("language", ""), "file")}


def _route(method: str, path: str, handler: Any) -> Route:
    return Route(method=method, path=f"/api/2.0/{path}", handler=handler, level="executed")


SERVICE = Service(
    name="workspace_files",
    routes=(
        _route("GET", "workspace/get-status", _get_status),
        _route("GET", "workspace/list", _list),
        _route("POST", "workspace/mkdirs", _mkdirs),
        _route("POST", "workspace/delete", _delete),
        _route("POST", "workspace/import", _import),
        _route("GET", "workspace/export", _export),
        _route("POST", "workspace-files/import-file/{path:path}", _import_file),
    ),
    provides={"workspace_files.local_path": models.local_path},
)
