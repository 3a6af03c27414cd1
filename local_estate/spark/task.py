"""A task as a child process of the service, with a private line to it for what the task may ask."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from typing import Any

import psutil

from local_estate.paths import Paths
from local_estate.spark.jvm import ControlRefused, Jvm, JvmDidNotStart, JvmGone
from local_estate.spark.runtime import SparkRuntime, TaskLaunch, TaskOutcome, write_json

JVM_ENDED = "The Spark JVM ended while this task was using it; run the task again, a new JVM starts by itself."


class TaskProcess:
    """A running task. The token reaches the child over the private line only, never by file, argument or environment."""

    def __init__(self, paths: Paths, runtime: SparkRuntime, task: TaskLaunch) -> None:
        self._runtime = runtime
        self._task = task
        self._opened: list[tuple[Jvm, str]] = []
        self._done = threading.Lock()
        self._outcome: TaskOutcome | None = None
        directory = task.directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_json(directory / "spec.json", _spec(paths, task))
        ours, theirs = socket.socketpair()
        with (directory / "stdout").open("ab") as out, (directory / "stderr").open("ab") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-m", "local_estate.spark.task_runner", str(directory / "spec.json"), str(theirs.fileno())],
                cwd=directory,
                env=_environment(paths, task),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        theirs.close()
        self.pid = self._process.pid
        threading.Thread(target=self._serve, args=(ours,), name=f"task-{self.pid}", daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        """Answers the child's questions until it ends."""
        with line, line.makefile("rw", encoding="utf-8") as channel, contextlib.suppress(OSError):
            for question in channel:
                channel.write(json.dumps(self._answer(json.loads(question)["ask"])) + "\n")
                channel.flush()

    def _answer(self, question: str) -> dict[str, Any]:
        session = self._task.session
        if question == "credentials":
            return {"workspace_url": session.workspace_url, "token": session.token, "principal": session.principal}
        if question != "spark":
            return {"error": f"unknown question {question}"}
        try:
            jvm, opened = self._runtime.open_session(session, self._task.spark_conf)
        except (ControlRefused, JvmDidNotStart, JvmGone) as failure:
            return {"error": str(failure)}
        except Exception as failure:  # the child shows it; this thread has nobody to raise to
            return {"error": f"{type(failure).__name__}: {failure}"}
        self._opened.append((jvm, opened["session_id"]))
        return opened

    def wait(self, timeout: float | None = None) -> TaskOutcome | None:
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        with self._done:
            if self._outcome is None:
                self._outcome = self._read(code, lost=self._close_sessions())
        return self._outcome

    def _read(self, code: int, *, lost: bool) -> TaskOutcome:
        try:
            result = json.loads((self._task.directory / "result.json").read_text())
        except (OSError, ValueError):
            why = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
            error = JVM_ENDED if lost else f"The task's process ended without a result ({why})."
            return TaskOutcome(succeeded=False, error=error, failed_at="run", exit_code=code)
        if not result["succeeded"] and lost:
            return TaskOutcome(succeeded=False, error=JVM_ENDED, error_trace=result["error_trace"], failed_at="run", exit_code=code)
        return TaskOutcome(**result, exit_code=code)

    def _close_sessions(self) -> bool:
        """True where a JVM of the task is gone. One that was killed answers no more, and can still be alive for its parent."""
        lost = False
        for jvm, session_id in self._opened:
            if not jvm.alive:
                lost = True
                continue
            try:
                jvm.ask("DELETE", f"/sessions/{session_id}")
            except JvmGone:
                lost = True
            except ControlRefused:
                continue
        self._opened = []
        return lost

    def cancel(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.pid)
            for process in [*parent.children(recursive=True), parent]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self._close_sessions()


def _spec(paths: Paths, task: TaskLaunch) -> dict[str, Any]:
    return {
        "kind": task.kind,
        "directory": str(task.directory),
        "package_name": task.package_name,
        "entry_point": task.entry_point,
        "python_file": str(task.python_file) if task.python_file else "",
        "argv": list(task.argv),
        "wheels": [str(wheel) for wheel in task.wheels],
        "requirements": list(task.requirements),
    }


def _environment(paths: Paths, task: TaskLaunch) -> dict[str, str]:
    """The service's own settings and credentials are not the task's business."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "JAVA_HOME") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(paths.repository),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYSPARK_PIN_THREAD": "true",
        "DATABRICKS_RUNTIME_VERSION": "17.3",
        **task.environment,
    }
