"""What the scheduler hands to a thread that executes one task, and what it gets back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from local_estate.api.services.jobs.models import Ending

FAILED_MESSAGE = "Workload failed, see run output for details"


@dataclass(frozen=True, kw_only=True)
class Order:
    """One task attempt, references resolved. `upstream_values`: `{task_key: {key: value}}` of the tasks that have ended."""

    workspace_id: int
    run_as_id: str
    run_as_name: str
    directory: Path
    task: Mapping[str, Any]
    settings: Mapping[str, Any]
    upstream_values: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Result:
    ending: Ending
    error: str = ""
    error_trace: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


def succeeded(values: Mapping[str, Any] | None = None) -> Result:
    return Result(ending=Ending(result="SUCCESS", code="SUCCESS"), values=values or {})


def failed(code: str, message: str, *, error: str = "", error_trace: str = "") -> Result:
    """`message` is the task's state message; `error` what its output says."""
    return Result(ending=Ending(result="FAILED", code=code, message=message), error=error or message, error_trace=error_trace)


class Stoppable(Protocol):
    @property
    def pid(self) -> int: ...

    def cancel(self) -> None: ...


class Work:
    """The way to stop a task, also before there is anything to stop. `on_began` is told the process id (0: none) once it runs."""

    def __init__(self, on_began: Callable[[int], None]) -> None:
        self._lock = threading.Lock()
        self._on_began = on_began
        self._running: Stoppable | None = None
        self.stopped = False

    def began(self, running: Stoppable | None) -> None:
        with self._lock:
            self._running = running
            stopped = self.stopped
        try:
            self._on_began(running.pid if running else 0)
        except BaseException:
            stopped = True  # what could not be put on record must not run: nobody would find it after a crash
            raise
        finally:
            if stopped and running:
                _cancel(running)

    def stop(self) -> None:
        with self._lock:
            self.stopped = True
            running = self._running
        if running:
            _cancel(running)


def _cancel(running: Stoppable) -> None:
    # Ending a process tree and its Spark session takes time that whoever asks for it should not wait.
    threading.Thread(target=running.cancel, name="stop-task", daemon=True).start()


Execute = Callable[[Order, Work], Result]
