"""One job or one statement of a deployed stack, by the names people use: what `estate run` and `estate sql` do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_estate import facts, personas
from local_estate.day.progress import Progress
from local_estate.day.run import error_of, result_of, wait_for
from local_estate.paths import Paths

if TYPE_CHECKING:  # takes a second to import
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.sql import StatementResponse

_POLL_SECONDS = 0.02, 0.5  # the first pause and the longest
_DENIED = ("INSUFFICIENT_PERMISSIONS", "PERMISSION_DENIED")


class Refused(RuntimeError):
    """The service said no; the message is its own."""


class Cancelled(Exception):
    """Whoever asked pressed Ctrl-C, and the service was told."""


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
    types: tuple[str, ...]  # as SQL writes them, `DECIMAL(10,2)`
    rows: tuple[tuple[str | None, ...], ...]


@contextmanager
def _refusals() -> Iterator[None]:
    from databricks.sdk.errors.base import DatabricksError

    try:
        yield
    except DatabricksError as error:
        # Behind its message the client's own puts how it was configured.
        raise Refused(str(error).split(". Config: ")[0]) from None


def written(parameters: Mapping[str, str], longest: int = 60) -> str:
    """`system=cmdm day=2`, cut where it is long."""
    said = " ".join(f"{name}={value}" for name, value in parameters.items())
    return said if len(said) <= longest else said[: longest - 1] + "…"


def run_job(paths: Paths, stack: str, job: str, parameters: Mapping[str, str], progress: Callable[[str], None] = lambda _: None) -> JobRun:
    """Runs the job that the stack exports under this name, to its end. Raises Refused for a name it does not export, or by the service."""
    exported: Mapping[str, str] = facts.outputs(paths, stack)["job_ids"]
    if job not in exported:
        raise Refused(f"stack {stack} exports no job {job}; there are {', '.join(sorted(exported))}")
    workspace = facts.workspace_client(paths, stack)
    with _refusals():
        started = workspace.jobs.run_now(int(exported[job]), job_parameters=dict(parameters))
    run = wait_for(workspace, started.run_id, Progress(workspace, int(exported[job]), job, parameters, progress))
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

    Raises Refused with the service's own error, also for a group that does not exist, and Cancelled after Ctrl-C.
    """
    warehouse = str(facts.outputs(paths, stack)["warehouse_id"])
    client = facts.workspace_client(paths, stack) if groups is None else _member(paths, stack, groups)
    with _refusals():
        # Not to be waited for: only who knows the statement's id can cancel it.
        answer = client.statement_execution.execute_statement(statement, warehouse, wait_timeout="0s")
    answer = ended(client, answer)
    if answer.status and answer.status.error:
        said = answer.status.error.message or "the statement failed"
        if groups is None and any(word in said for word in _DENIED):
            said += "\nThe deployer owns objects and reads no data. Fix: ask as a member of groups, --as data_engineering,pii_readers"
        raise Refused(said)
    schema = answer.manifest.schema.columns if answer.manifest and answer.manifest.schema else None
    rows: list[tuple[str | None, ...]] = []
    chunk = answer.result
    while chunk:
        rows += [tuple(row) for row in chunk.data_array or []]
        following = chunk.next_chunk_index
        chunk = client.statement_execution.get_statement_result_chunk_n(answer.statement_id or "", following) if following else None
    return Answer(
        columns=tuple(column.name or "" for column in schema or []),
        types=tuple(column.type_text or "" for column in schema or []),
        rows=tuple(rows),
    )


def ended(client: WorkspaceClient, answer: StatementResponse) -> StatementResponse:
    """The statement once it has ended. Raises Cancelled after Ctrl-C, when the service has been told."""
    statement, pause = answer.statement_id or "", _POLL_SECONDS[0]
    try:
        while answer.status and answer.status.state and answer.status.state.value in ("PENDING", "RUNNING"):
            time.sleep(pause)
            pause = min(pause * 1.5, _POLL_SECONDS[1])
            answer = client.statement_execution.get_statement(statement)
    except KeyboardInterrupt:
        client.statement_execution.cancel_execution(statement)
        raise Cancelled(f"statement {statement} is cancelled") from None
    return answer


def _member(paths: Paths, stack: str, groups: Sequence[str]) -> WorkspaceClient:
    wanted = sorted(set(groups))
    try:
        return personas.client(paths, stack, f"persona-{'-'.join(wanted) or 'nobody'}", *wanted)
    except personas.NoSuchGroup as error:
        raise Refused(str(error)) from None
