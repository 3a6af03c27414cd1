"""What goes wrong between the engine and the service, and how the engine is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class ServiceError(Exception):
    """An error answer of Azure or Databricks. `code` is the service's own, such as `ParentResourceNotFound`."""

    def __init__(self, status: int, code: str, message: str, call: str = "") -> None:
        super().__init__(f"{code}: {message}" + (f" ({call}: HTTP {status})" if call else ""))
        self.status = status
        self.code = code
        self.message = message

    @property
    def missing(self) -> bool:
        return self.status == 404 or self.code.endswith("_DOES_NOT_EXIST")


class ReplyLost(Exception):
    """The request may have had its effect: the connection ended after it was sent and before an answer came."""


class Refused(Exception):
    """The provider itself refuses; `code` is the name of a gRPC status such as `FAILED_PRECONDITION`."""

    def __init__(self, message: str, code: str = "FAILED_PRECONDITION") -> None:
        super().__init__(message)
        self.code = code


class MadeButNotReady(Exception):
    """The object exists, but not as asked: the engine keeps its id and tries an update next time."""

    def __init__(self, identifier: str, outputs: Mapping[str, Any], reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.identifier = identifier
        self.outputs = dict(outputs)
        self.reasons = list(reasons)


def grpc_code(error: ServiceError) -> str:
    """Never INTERNAL, UNKNOWN, DATA_LOSS (state unknown) nor UNAVAILABLE (the engine takes the plugin for dead)."""
    if "ALREADY_EXISTS" in error.code or "AlreadyExists" in error.code:
        return "ALREADY_EXISTS"
    by_status = {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        429: "RESOURCE_EXHAUSTED",
    }
    if error.status >= 500 and error.status != 501:
        return "ABORTED"
    return by_status.get(error.status, "FAILED_PRECONDITION")
