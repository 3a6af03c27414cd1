"""A child whose output lines are read as they come, and which ends with whoever asked for it."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

GRACE_SECONDS = 5
_running: weakref.WeakSet[ChildProcess] = weakref.WeakSet()


def end_all() -> None:
    """Every child of this process that is still running."""
    for child in list(_running):
        child.end()


class ChildProcess:
    """Starts `command`; `events()` yields ("stdout" | "stderr", line). With `listens` it waits for `tell` on its standard input."""

    def __init__(self, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], listens: bool = False) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.PIPE if listens else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        _running.add(self)
        self._lines: queue.Queue[tuple[str, bytes] | None] = queue.Queue()
        assert self._process.stdout is not None and self._process.stderr is not None  # noqa: S101  PIPE was asked for
        for name, stream in (("stdout", self._process.stdout), ("stderr", self._process.stderr)):
            threading.Thread(target=self._drain, args=(name, stream), daemon=True).start()

    def _drain(self, name: str, stream: IO[bytes]) -> None:
        for line in stream:
            self._lines.put((name, line))
        self._lines.put(None)

    def events(self) -> Iterator[tuple[str, bytes]]:
        open_streams = 2
        while open_streams:
            item = self._lines.get()
            if item is None:
                open_streams -= 1
            else:
                yield item

    def tell(self, text: str) -> None:
        """All that the child will ever be told. One that has ended meanwhile says why in its own words, so that is no error here."""
        assert self._process.stdin is not None  # noqa: S101  it listens
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(text.encode())

    def wait(self) -> int:
        return self._process.wait()

    def end(self) -> None:
        """Asks, then insists. Safe to call more than once and after the end."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
