"""The most memory that processes held at once."""

from __future__ import annotations

import contextlib
import threading

import psutil


class PeakMemory:
    """While entered, looks twice a second at what a process and its children hold. `held`: bytes, resident, all together."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.held = 0

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            held = 0
            with contextlib.suppress(psutil.NoSuchProcess):
                root = psutil.Process(self._pid)
                for process in (root, *root.children(recursive=True)):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        held += process.memory_info().rss
            self.held = max(self.held, held)
