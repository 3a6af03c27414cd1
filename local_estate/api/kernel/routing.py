"""Routes as rows of a table: method, path template, handler, and how far the estate goes (executed or stored)."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

if TYPE_CHECKING:
    from local_estate.api.kernel.call import Call

Handler = Callable[["Call"], Any]


class Face(enum.Enum):
    """Which API a listening port speaks."""

    ARM = "arm"
    ACCOUNT = "account"
    WORKSPACE = "workspace"
    CONSOLE = "console"


ErrorStyle = Literal["databricks", "arm", "scim", "oauth"]


@dataclass(frozen=True, kw_only=True)
class Route:
    """`path` has `{name}` for one segment and `{name:path}` for the rest (kept with its slashes).

    `level`: "executed" does the work for real, "stored" validates, keeps and returns it consistently.
    """

    method: str
    path: str
    handler: Handler
    faces: tuple[Face, ...] = (Face.WORKSPACE,)
    level: Literal["executed", "stored"] = "stored"
    anonymous: bool = False
    errors: ErrorStyle = "databricks"

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        expression = ""
        for piece in re.split(r"(\{[^}]+\})", self.path):
            if piece.startswith("{"):
                name, _, kind = piece[1:-1].partition(":")
                expression += f"(?P<{name}>{'.*' if kind == 'path' else '[^/]+'})"
            else:
                expression += re.escape(piece)
        flags = re.IGNORECASE if Face.ARM in self.faces else 0  # ARM compares paths without regard to case
        return re.compile(expression + "/?$", flags)


@dataclass(frozen=True, kw_only=True)
class Service:
    """One emulated service: its routes, the questions it answers for others, and what it runs in the background.

    `provides` maps a question such as `unity_catalog.authorize` to a function `(estate, **named) -> answer`.
    `start(estate)` returns a function that stops what it started.
    """

    name: str
    routes: tuple[Route, ...] = ()
    provides: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    start: Callable[[Any], Callable[[], None]] | None = None


class Router:
    """Finds the route of a request; literal paths win over templates."""

    def __init__(self, services: Iterable[Service]) -> None:
        self.services = tuple(services)
        self._routes: dict[tuple[Face, str], list[Route]] = {}
        for service in self.services:
            for route in service.routes:
                for face in route.faces:
                    self._routes.setdefault((face, route.method), []).append(route)
        for routes in self._routes.values():
            routes.sort(key=_specificity)

    def match(self, face: Face, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """`path` still percent-encoded; the parameters come back decoded."""
        for route in self._routes.get((face, method), ()):
            if found := route.pattern.match(path):
                return route, {name: unquote(value) for name, value in found.groupdict().items()}
        return None


def _specificity(route: Route) -> tuple[int, int, int]:
    return (route.path.count(":path}"), route.path.count("{"), -len(route.path))
