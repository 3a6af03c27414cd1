"""The data plane as the jobs and SQL services see it: launch a task, execute a statement."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from local_estate.paths import Paths
from local_estate.spark.jvm import ControlRefused, Jvm, JvmDidNotStart, JvmGone


@dataclass(frozen=True, kw_only=True)
class Session:
    """Who acts. `workspace_url` is the base URL of the workspace's REST API; `token` a bearer token of the run-as principal."""

    principal: str
    token: str = field(repr=False)
    workspace_url: str


@dataclass(frozen=True, kw_only=True)
class TaskLaunch:
    """One task to run. `directory` (runs/<run id>) receives spec.json, stdout, stderr, result.json and the installed wheels."""

    session: Session
    directory: Path
    kind: Literal["python_wheel", "spark_python"]
    package_name: str = ""
    entry_point: str = ""
    python_file: Path | None = None
    argv: tuple[str, ...] = ()  # after argv[0]; a wheel's argv[0] is its package name
    wheels: tuple[Path, ...] = ()
    requirements: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    spark_conf: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TaskOutcome:
    """`error` is the last line of the traceback, `error_trace` all of it."""

    succeeded: bool
    error: str = ""
    error_trace: str = ""
    failed_at: Literal["", "library_install", "run"] = ""
    exit_code: int = 0


class RunningTask(Protocol):
    @property
    def pid(self) -> int: ...

    def wait(self, timeout: float | None = None) -> TaskOutcome | None:
        """The outcome; None when it still runs after `timeout` seconds."""

    def cancel(self) -> None:
        """Kills the process tree and the Spark jobs of its session."""


@dataclass(frozen=True, kw_only=True)
class SqlRequest:
    """`parameters`: name -> (value, SQL type); a None value is NULL. `request_id` names the statement for `cancel_sql`."""

    session: Session
    statement: str
    parameters: Mapping[str, tuple[str | None, str]] = field(default_factory=dict)
    catalog: str = ""
    schema: str = ""
    row_limit: int | None = None
    request_id: str = ""


@dataclass(frozen=True, kw_only=True)
class SqlColumn:
    name: str
    type_name: str
    type_text: str


@dataclass(frozen=True, kw_only=True)
class SqlResult:
    columns: tuple[SqlColumn, ...]
    rows: tuple[tuple[str | None, ...], ...]
    truncated: bool


class SqlFailed(Exception):
    """A statement that Spark or Unity Catalog refused."""

    def __init__(self, message: str, *, error_class: str = "", sql_state: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.error_class = error_class
        self.sql_state = sql_state


HEAP = "ESTATE_SPARK_HEAP"


class SparkRuntime:
    """Owns the warm JVM. It starts at the first use and again after it was killed.

    `heap` as Java writes it (`3g`); `$ESTATE_SPARK_HEAP` where it is not given: days of millions of rows want more.
    """

    def __init__(self, paths: Paths, *, heap: str = "") -> None:
        self._paths = paths
        self._heap = heap or os.environ.get(HEAP, "3g")
        self._jvm: Jvm | None = None
        self._starting = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Does nothing when the JVM runs. Raises JvmDidNotStart, jars.ToolMissing."""
        self.jvm()

    def jvm(self) -> Jvm:
        with self._starting:
            if self._closed:
                raise JvmDidNotStart("the data plane is closed")
            if self._jvm is None or not self._jvm.alive:
                if self._jvm is not None:
                    self._jvm.close()
                self._jvm = None
                self._jvm = Jvm(self._paths, heap=self._heap)
            return self._jvm

    def launch(self, task: TaskLaunch) -> RunningTask:
        """Starts the task's process and returns at once; a broken wheel shows in the outcome."""
        from local_estate.spark.task import TaskProcess

        return TaskProcess(self._paths, self, task)

    def open_session(self, session: Session, conf: Mapping[str, str]) -> tuple[Jvm, dict[str, Any]]:
        """A Spark session bound to the principal, with a Py4J server of its own: `{session_id, gateway_port, gateway_secret}`."""
        body = {"principal": session.principal, "token": session.token, "workspace_url": session.workspace_url, "conf": dict(conf)}
        jvm = self.jvm()
        try:
            return jvm, jvm.ask("POST", "/sessions", body)
        except JvmGone:  # killed since it was last looked at
            jvm = self.jvm()
            return jvm, jvm.ask("POST", "/sessions", body)

    def execute_sql(self, request: SqlRequest) -> SqlResult:
        """Blocks until the statement is done. Raises SqlFailed."""
        body = {
            "principal": request.session.principal,
            "token": request.session.token,
            "workspace_url": request.session.workspace_url,
            "statement": request.statement,
            "parameters": {name: {"value": value, "type": type_} for name, (value, type_) in request.parameters.items()},
            "catalog": request.catalog,
            "schema": request.schema,
            "row_limit": request.row_limit,
            "request_id": request.request_id,
        }
        try:
            answer = self.jvm().ask("POST", "/sql", body)
        except ControlRefused as refused:
            error = refused.error
            raise SqlFailed(str(refused), error_class=error.get("error_class", ""), sql_state=error.get("sql_state", "")) from None
        except JvmGone:
            lost = "the Spark JVM ended while the statement ran; run it again"
            raise SqlFailed(lost, error_class="TEMPORARILY_UNAVAILABLE", sql_state="08006") from None
        return SqlResult(
            columns=tuple(SqlColumn(**column) for column in answer["columns"]),
            rows=tuple(tuple(row) for row in answer["rows"]),
            truncated=answer["truncated"],
        )

    def cancel_sql(self, request_id: str) -> None:
        """Ends the statement that carries this `request_id`; it fails with SqlFailed. Unknown ids are ignored."""
        jvm = self._jvm
        if jvm is not None and jvm.alive:
            with contextlib.suppress(JvmGone):
                jvm.ask("DELETE", f"/sql/{request_id}")

    def health(self) -> dict[str, Any]:
        """`{"status": "stopped"}` or what the control server says: pid, sessions, heap."""
        jvm = self._jvm
        if jvm is None or not jvm.alive:
            return {"status": "stopped"}
        try:
            return dict(jvm.ask("GET", "/health"))
        except JvmGone as gone:
            return {"status": "stopped", "reason": str(gone)}

    def close(self) -> None:
        with self._starting:
            self._closed = True
            if self._jvm is not None:
                self._jvm.close()
                self._jvm = None


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2))
