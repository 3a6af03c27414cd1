"""Errors as each face words them. A service raises; the kernel renders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_STATUS = {
    "INVALID_PARAMETER_VALUE": 400,
    "MALFORMED_REQUEST": 400,
    "BAD_REQUEST": 400,
    "INVALID_STATE": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "NOT_FOUND": 404,
    "RESOURCE_CONFLICT": 409,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "REQUEST_LIMIT_EXCEEDED": 429,
    "INTERNAL_ERROR": 500,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
}


class ApiError(Exception):
    """A Databricks-style error code (or an ARM code on the ARM face) with its message and HTTP status.

    `status` may be left out for the usual Databricks codes, and for `*_DOES_NOT_EXIST` (404) and `*_ALREADY_EXISTS` (400).
    """

    def __init__(self, code: str, message: str, status: int | None = None, details: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = list(details)
        self.status = status or _status(code)


def _status(code: str) -> int:
    if code in _STATUS:
        return _STATUS[code]
    if code.endswith("_DOES_NOT_EXIST"):
        return 404
    return 400


def not_supported(what: str) -> ApiError:
    """What this estate cannot do is refused by name, never half done."""
    return ApiError("NOT_IMPLEMENTED", f"the local estate does not support {what}", 501)


def databricks_body(error: ApiError) -> dict[str, Any]:
    return {"error_code": error.code, "message": error.message, "details": error.details}


def arm_body(error: ApiError) -> dict[str, Any]:
    return {"error": {"code": error.code, "message": error.message, "details": error.details}}


def scim_body(error: ApiError) -> dict[str, Any]:
    body: dict[str, Any] = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "detail": error.message,
        "status": str(error.status),
    }
    if error.code in {"invalidPath", "uniqueness", "invalidValue", "invalidFilter"}:
        body["scimType"] = error.code
    return body


def oauth_body(error: ApiError) -> dict[str, Any]:
    return {"error": error.code, "error_description": error.message}
