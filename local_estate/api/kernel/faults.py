"""Faults a test asks for: throttling, errors, delay, a dropped reply, a crash before or after the effect, a stale first read."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from local_estate.api.kernel.errors import ApiError

Effect = Literal["status", "delay", "drop_reply", "crash_before", "crash_after"]

_CODES = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 429: "REQUEST_LIMIT_EXCEEDED", 503: "TEMPORARILY_UNAVAILABLE"}


@dataclass(kw_only=True)
class Fault:
    """Applies to the next `times` requests whose method and path match. `status` and `seconds` belong to their effects."""

    method: str
    path: str
    effect: Effect
    times: int = 1
    status: int = 503
    seconds: float = 0.0
    retry_after: int | None = None


class DroppedReply(Exception):
    """The effect happened; the caller's connection is closed without an answer."""


class Faults:
    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        re.compile(fault.path)
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def waiting(self) -> list[Fault]:
        """Those that have not met all their requests yet."""
        with self._lock:
            return [fault for fault in self._faults if fault.times > 0]

    def _take(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.times > 0 and fault.method in ("*", method) and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None

    def around(self, method: str, path: str, handle: Callable[[], Any]) -> Any:
        """Runs the handler under the fault, if one waits for this request."""
        fault = self._take(method, path) if self._faults else None
        if fault is None:
            return handle()
        if fault.effect == "status":
            raise ApiError(_CODES.get(fault.status, "INTERNAL_ERROR"), "injected fault", fault.status)
        if fault.effect == "crash_before":
            os._exit(137)
        if fault.effect == "delay":
            time.sleep(fault.seconds)
            return handle()
        handle()
        if fault.effect == "crash_after":
            os._exit(137)
        raise DroppedReply
