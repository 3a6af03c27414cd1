"""The child's end of the line to the service."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any


class LineRefused(Exception):
    """The service could not give what was asked for; the message is for the task's author."""


class PrivateLine:
    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self._channel = self._socket.makefile("rw", encoding="utf-8")
        self._one_at_a_time = threading.Lock()

    def ask(self, question: str) -> dict[str, Any]:
        """`credentials` or `spark`. Raises LineRefused."""
        with self._one_at_a_time:
            self._channel.write(json.dumps({"ask": question}) + "\n")
            self._channel.flush()
            answer: dict[str, Any] = json.loads(self._channel.readline() or '{"error": "the local estate has stopped"}')
        if "error" in answer:
            raise LineRefused(answer["error"])
        return answer
