"""One job or one statement of a deployed stack, by the names people use: what `estate run` and `estate sql` do."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_estate import facts, personas
from local_estate.day.run import error_of, result_of, wait_for
from local_estate.paths import Paths

if TYPE_CHECKING:  # takes a second to import
    from databricks.sdk import WorkspaceClient

_POLL_SECONDS = 0.2


class Refused(RuntimeError):
    """The service said no; the message is its own."""


@dataclass(frozen=True, kw_only=True)
class JobRun:
    """`said` is what the tasks printed, `error` what the first that failed says; empty where none did."""

    run_id: int
    result: str
    said: tuple[str, ...]
    error: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A result set; values as the API shows them, None for NULL."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]


@contextmanager
def _refusals() -> Iterator[None]:
    from databricks.sdk.errors.base import DatabricksError

    try:
        yield
    except DatabricksError as error:
        # Behind its message the client's own puts how it was configured.
        raise Refused(str(error).split(". Config: ")[0]) from None


def run_job(paths: Paths, stack: str, job: str, parameters: Mapping[str, str]) -> JobRun:
    """Runs the job that the stack exports under this name, to its end. Raises Refused for a name it does not export, or by the service."""
    exported: Mapping[str, str] = facts.outputs(paths, stack)["job_ids"]
    if job not in exported:
        raise Refused(f"stack {stack} exports no job {job}; there are {', '.join(sorted(exported))}")
    workspace = facts.workspace_client(paths, stack)
    with _refusals():
        started = workspace.jobs.run_now(int(exported[job]), job_parameters=dict(parameters))
    run = wait_for(workspace, started.run_id)
    said = [workspace.jobs.get_run_output(task.run_id or 0).logs or "" for task in run.tasks or []]
    result = result_of(run)
    return JobRun(
        run_id=run.run_id or 0,
        result=result,
        said=tuple(line for text in said for line in text.splitlines()),
        error="" if result == "SUCCESS" else error_of(workspace, run),
    )


def query(paths: Paths, stack: str, statement: str, *, groups: Sequence[str] | None = None) -> Answer:
    """Runs a statement on the stack's warehouse, as the deployer or as somebody who is in `groups` and in no other.

    Raises Refused with the service's own error, also for a group that does not exist.
    """
    warehouse = str(facts.outputs(paths, stack)["warehouse_id"])
    client = facts.workspace_client(paths, stack) if groups is None else _member(paths, stack, groups)
    with _refusals():
        answer = client.statement_execution.execute_statement(statement, warehouse, wait_timeout="50s")
    while answer.status and answer.status.state and answer.status.state.value in ("PENDING", "RUNNING"):
        time.sleep(_POLL_SECONDS)
        answer = client.statement_execution.get_statement(answer.statement_id or "")
    if answer.status and answer.status.error:
        raise Refused(answer.status.error.message or "the statement failed")
    schema = answer.manifest.schema.columns if answer.manifest and answer.manifest.schema else None
    rows: list[tuple[str | None, ...]] = []
    chunk = answer.result
    while chunk:
        rows += [tuple(row) for row in chunk.data_array or []]
        following = chunk.next_chunk_index
        chunk = client.statement_execution.get_statement_result_chunk_n(answer.statement_id or "", following) if following else None
    return Answer(columns=tuple(column.name or "" for column in schema or []), rows=tuple(rows))


def _member(paths: Paths, stack: str, groups: Sequence[str]) -> WorkspaceClient:
    wanted = sorted(set(groups))
    try:
        return personas.client(paths, stack, f"persona-{'-'.join(wanted) or 'nobody'}", *wanted)
    except personas.NoSuchGroup as error:
        raise Refused(str(error)) from None
