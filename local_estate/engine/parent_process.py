"""Ends a plugin whose engine was killed: nobody else will."""

from __future__ import annotations

import select
import sys
import threading
from collections.abc import Callable


def when_nobody_reads(action: Callable[[], None]) -> None:
    """Calls `action` in a thread once the reader of our stdout is gone. The engine holds that pipe for as long as it lives."""

    def watch() -> None:
        poll = select.poll()
        # No events asked for: an error of the pipe is reported all the same, and that is its reader's end.
        poll.register(sys.stdout.fileno(), 0)
        poll.poll()
        action()

    threading.Thread(target=watch, daemon=True).start()
