"""A task that begins while nothing can be written."""

from __future__ import annotations

import errno
import threading

import pytest

from local_estate.api.services.jobs.work import Work


class Running:
    """A task that has begun; `ended` is set once it was cancelled."""

    pid = 4711

    def __init__(self) -> None:
        self.ended = threading.Event()

    def cancel(self) -> None:
        self.ended.set()


def test_a_task_whose_beginning_cannot_be_stored_is_ended_and_the_reason_goes_on() -> None:
    def store(pid: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    running = Running()
    with pytest.raises(OSError, match="No space left on device"):
        Work(store).began(running)
    assert running.ended.wait(10)


def test_a_task_whose_beginning_is_stored_goes_on_until_it_is_stopped() -> None:
    stored: list[int] = []
    running, work = Running(), Work(stored.append)
    work.began(running)
    assert (stored, running.ended.is_set()) == ([4711], False)
    work.stop()
    assert running.ended.wait(10)
