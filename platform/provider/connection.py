"""A workspace as the provider reaches it: SQL statements through a warehouse, functions through Unity Catalog's API."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.catalog import FunctionInfo
from databricks.sdk.service.sql import ExecuteStatementRequestOnWaitTimeout, StatementResponse, StatementState

# Names a JSON file {"workspaces": {host: {"url": …}}}, for networks where the name of a workspace does not resolve to the address to use.
ADDRESSES = "DATABRICKS_WORKSPACE_ADDRESSES"
# A warehouse that has stopped itself takes minutes to start.
PATIENCE_SECONDS = 1200.0
_POLL_SECONDS = 0.5
_UNFINISHED = (StatementState.PENDING, StatementState.RUNNING)


class Refused(Exception):
    """What was asked cannot be done; the message says why and what to do."""


def address(host: str) -> str:
    """Where the workspace `host` is reached. Raises Refused where a file of addresses is named that does not have it."""
    name = host.removeprefix("https://").rstrip("/")
    file = os.environ.get(ADDRESSES)
    if not file:
        return f"https://{name}"
    try:
        known = json.loads(Path(file).read_text(encoding="utf-8"))["workspaces"]
        return str(known[name]["url"])
    except (OSError, ValueError) as error:
        raise Refused(f"{ADDRESSES}={file} cannot be read: {error}. Fix: correct or unset the variable") from None
    except (KeyError, TypeError):
        raise Refused(f"{ADDRESSES}={file} has no address of {name}. Fix: add it, or unset the variable") from None


class Connection:
    """Signs in as databricks-sdk does it anywhere, by its variables or Azure's; makes no call before one is asked for."""

    def __init__(self, *, host: str, azure_workspace_resource_id: str, warehouse_id: str) -> None:
        self._host = host
        self._resource_id = azure_workspace_resource_id
        self._warehouse_id = warehouse_id
        self._client: WorkspaceClient | None = None
        self._lock = threading.Lock()
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Ends waiting for statements; they are cancelled, too."""
        self._cancelled.set()

    def execute(self, statement: str, *, patience: float = 0) -> None:
        """Runs one statement to its end. Raises Refused with the warehouse's own words."""
        statements = self._workspace().statement_execution
        answer = statements.execute_statement(
            statement, self._warehouse_id, wait_timeout="30s", on_wait_timeout=ExecuteStatementRequestOnWaitTimeout.CONTINUE
        )
        until = time.monotonic() + (patience or PATIENCE_SECONDS)
        while _state(answer) in _UNFINISHED:
            if self._cancelled.wait(_POLL_SECONDS) or time.monotonic() > until:
                statements.cancel_execution(answer.statement_id or "")
                why = "it was cancelled" if self._cancelled.is_set() else "it took too long"
                raise Refused(f"statement {answer.statement_id} did not end: {why}. Fix: look at warehouse {self._warehouse_id}, run again")
            answer = statements.get_statement(answer.statement_id or "")
        if _state(answer) is not StatementState.SUCCEEDED:
            error = answer.status.error if answer.status else None
            raise Refused(f"warehouse {self._warehouse_id} refused it: {error.message if error else _state(answer)}")

    def function(self, full_name: str) -> FunctionInfo | None:
        try:
            return self._workspace().functions.get(full_name)
        except NotFound:
            return None

    def drop_function(self, full_name: str) -> None:
        """One that is gone already counts as dropped."""
        try:
            self._workspace().functions.delete(full_name)
        except NotFound:
            return

    def _workspace(self) -> WorkspaceClient:
        with self._lock:
            if self._client is None:
                self._client = WorkspaceClient(host=address(self._host), azure_workspace_resource_id=self._resource_id or None)
            return self._client


def _state(answer: StatementResponse) -> StatementState | None:
    return answer.status.state if answer.status else None
