"""Pulumi programs as processes, the next one started before the engine asks for it.

An update asks for the program's packages first, then starts policies and plugins, then runs the program. Importing the SDKs takes a
program as long as all that takes the engine, so both go on at once.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from local_estate.engine.language_host import dependencies
from local_estate.engine.language_host.child_process import ChildProcess
from local_estate.engine.language_host.interpreters import Interpreter

RUN_PROGRAM = Path(__file__).with_name("run_program.py")
_Key = tuple[Interpreter, Path]


class Programs:
    """At most one program of a kind waits; the host ends it with everything else where nobody asks for it."""

    def __init__(self) -> None:
        self._waiting: dict[_Key, ChildProcess] = {}
        self._lock = threading.Lock()

    def start_ahead(self, interpreter: Interpreter, program: Path) -> None:
        with self._lock:
            if (interpreter, program) not in self._waiting:
                self._waiting[interpreter, program] = _started(interpreter, program)

    def started(self, interpreter: Interpreter, program: Path) -> ChildProcess:
        """A process that waits to be told its run."""
        with self._lock:
            waiting = self._waiting.pop((interpreter, program), None)
        return waiting or _started(interpreter, program)


def _started(interpreter: Interpreter, program: Path) -> ChildProcess:
    ahead = dependencies.imported_modules(interpreter, program)
    command = [str(interpreter.executable), "-u", str(RUN_PROGRAM), *ahead]
    return ChildProcess(command, cwd=RUN_PROGRAM.parent, environment=interpreter.environment(os.environ), listens=True)
