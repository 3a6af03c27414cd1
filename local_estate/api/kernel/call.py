"""One request as a handler sees it, and the estate it acts on."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.identity import Principal, Tokens
from local_estate.api.kernel.routing import Face
from local_estate.api.kernel.store import Store
from local_estate.paths import Paths

if TYPE_CHECKING:
    from local_estate.api.kernel.faults import Faults

log = logging.getLogger("estate")


class Clock:
    """Wall time, which tests may move forward."""

    def __init__(self) -> None:
        self.offset_seconds = 0.0

    def now(self) -> float:
        return time.time() + self.offset_seconds

    def now_ms(self) -> int:
        return int(self.now() * 1000)


@dataclass(kw_only=True)
class Estate:
    """What handlers and background work share. `spark` is the data plane's runtime (`local_estate.spark.runtime.SparkRuntime`)."""

    paths: Paths
    store: Store
    tokens: Tokens
    deployer_secret: str
    clock: Clock = field(default_factory=Clock)
    faults: Faults
    spark: Any = None
    answers: dict[str, Callable[..., Any]] = field(default_factory=dict)
    open_workspace: Callable[[int, str, str], str] = lambda *_: ""  # (workspace id, host, resource id) -> base URL of its port
    close_workspace: Callable[[int], None] = lambda *_: None
    base_url: Callable[[Face, int | None], str] = lambda *_: ""
    stopping: threading.Event = field(default_factory=threading.Event)

    def ask(self, question: str, **named: Any) -> Any:
        """What another service `provides` under that name, such as `unity_catalog.authorize`."""
        if question not in self.answers:
            raise LookupError(f"no service answers {question}")
        return self.answers[question](self, **named)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer that is not plain `200 application/json`. `body`: JSON-able, or bytes with their `content_type`."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass(frozen=True, kw_only=True)
class Call:
    """`path_parameters` are decoded; `principal` is None on anonymous routes only; `workspace_id` None off the workspace face."""

    estate: Estate
    face: Face
    method: str
    path: str
    path_parameters: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    principal: Principal | None
    workspace_id: int | None

    @property
    def store(self) -> Store:
        return self.estate.store

    @property
    def caller(self) -> Principal:
        if self.principal is None:
            raise ApiError("UNAUTHENTICATED", "Credential was not sent or was of an unsupported type for this API.")
        return self.principal

    @cached_property
    def json(self) -> dict[str, Any]:
        """The JSON object in the body; `{}` without one. Raises ApiError MALFORMED_REQUEST for anything else."""
        if not self.body.strip():
            return {}
        try:
            value = json.loads(self.body)
        except ValueError as error:
            raise ApiError("MALFORMED_REQUEST", f"Could not parse request object: {error}") from None
        if not isinstance(value, dict):
            raise ApiError("MALFORMED_REQUEST", "Could not parse request object: expected an object")
        return value

    @cached_property
    def data(self) -> dict[str, Any]:
        """Query and JSON body in one: clients send GET parameters in either. An empty query value counts as absent."""
        return {**{name: value for name, value in self.query.items() if value != ""}, **self.json}

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean from query or body; `True`, `true` and true are the same."""
        value = self.data.get(name, default)
        return value if isinstance(value, bool) else str(value).lower() == "true"

    def number(self, name: str, default: int) -> int:
        value = self.data.get(name, default)
        try:
            return int(value)
        except (TypeError, ValueError):
            raise ApiError("INVALID_PARAMETER_VALUE", f"{name} must be an integer, not {value!r}.") from None

    def required(self, name: str) -> Any:
        value = self.data.get(name)
        if value is None or value == "":
            raise ApiError("INVALID_PARAMETER_VALUE", f"Missing required field: {name}")
        return value
