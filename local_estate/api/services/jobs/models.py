"""Jobs, runs and task runs as stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document, Reader, Transaction

JOB = "jobs.job"  # documents by `<workspace>|<job id>`
RUN = "jobs.run"  # documents by run id, ascending
TASK_RUN = "jobs.task_run"  # documents by `<job run id>|<task run id>`
PARENT = "jobs.task_parent"  # documents: {"run_id": job run id} by task run id
TOKEN = "jobs.idempotency_token"  # noqa: S105  documents: {"run_id"} by `<workspace>|<job id or "submit">|<token>`
_FIRST_JOB_ID, _FIRST_RUN_ID = 100_000_000_000_001, 700_000_000_000_001

RunPhase = Literal["QUEUED", "PENDING", "RUNNING", "TERMINATING", "ENDED"]
TaskPhase = Literal["BLOCKED", "PENDING", "RUNNING", "TERMINATING", "WAITING", "ENDED"]


@dataclass(kw_only=True)
class Ending:
    """How a run or task run ended: result_state, termination code and message; empty while it has not."""

    result: str = ""
    code: str = ""
    message: str = ""


@dataclass(kw_only=True)
class Attempt:
    """One item of the repair history: the original run first, then each repair. Times in epoch ms, 0 for not yet."""

    id: int
    start_ms: int
    end_ms: int = 0
    ending: Ending = field(default_factory=Ending)
    task_run_ids: list[int] = field(default_factory=list)


@dataclass(kw_only=True)
class JobRun:
    """`created_ms` is the start_time clients see; `began_ms` when it left the queue. `stopping`: why it is being ended early."""

    run_id: int
    job_id: int
    workspace_id: int
    name: str
    run_type: str
    trigger: str
    number_in_job: int
    creator_id: str
    creator_name: str
    run_as_id: str
    run_as_name: str
    settings: Document
    parameters: dict[str, str]
    overriding: Document
    only: list[str]
    phase: RunPhase
    created_ms: int
    began_ms: int = 0
    end_ms: int = 0
    ending: Ending = field(default_factory=Ending)
    stopping: Ending = field(default_factory=Ending)
    history: list[Attempt] = field(default_factory=list)
    parent_run_id: int = 0
    parent_task_run_id: int = 0
    deleted: bool = False

    @property
    def repair_count(self) -> int:
        return len(self.history) - 1

    @property
    def tasks(self) -> list[Document]:
        """The tasks of this run; run-now may have asked for some only."""
        return [task for task in self.settings["tasks"] if not self.only or task["task_key"] in self.only]


@dataclass(kw_only=True)
class TaskRun:
    """One attempt at a task. `group` is the for-each task run an iteration belongs to; `child_run_id` the run of a run-job task."""

    run_id: int
    job_run_id: int
    task_key: str
    attempt: int
    task: Document
    phase: TaskPhase = "BLOCKED"
    ending: Ending = field(default_factory=Ending)
    stopping: Ending = field(default_factory=Ending)
    created_ms: int = 0
    ready_ms: int = 0
    began_ms: int = 0
    end_ms: int = 0
    not_before_ms: int = 0
    executions: int = 1
    retries: int = 0
    resolved: Document = field(default_factory=dict)
    outcome: str = ""
    values: Document = field(default_factory=dict)
    error: str = ""
    error_trace: str = ""
    pid: int = 0
    pid_started: float = 0.0
    child_run_id: int = 0
    group: int = 0
    iteration: int = -1
    input: Any = None


def run_key(run_id: int) -> str:
    return f"{run_id:020d}"


def task_run_key(job_run_id: int, run_id: int) -> str:
    return f"{job_run_id:020d}|{run_id:020d}"


def _ending(document: Document) -> Ending:
    return Ending(**document)


def run_of(document: Document) -> JobRun:
    history = [Attempt(**{**item, "ending": _ending(item["ending"])}) for item in document["history"]]
    return JobRun(**{**document, "ending": _ending(document["ending"]), "stopping": _ending(document["stopping"]), "history": history})


def task_run_of(document: Document) -> TaskRun:
    return TaskRun(**{**document, "ending": _ending(document["ending"]), "stopping": _ending(document["stopping"])})


def save(transaction: Transaction, item: JobRun | TaskRun) -> None:
    if isinstance(item, JobRun):
        transaction.put(RUN, run_key(item.run_id), asdict(item))
    else:
        transaction.put(TASK_RUN, task_run_key(item.job_run_id, item.run_id), asdict(item))
        transaction.put(PARENT, run_key(item.run_id), {"run_id": item.job_run_id})


def load_run(reader: Reader, workspace_id: int, run_id: int) -> JobRun | None:
    document = reader.get(RUN, run_key(run_id))
    if document is None or document["workspace_id"] != workspace_id or document["deleted"]:
        return None
    return run_of(document)


def task_runs(reader: Reader, job_run_id: int) -> list[TaskRun]:
    return [task_run_of(document) for _, document in reader.find(TASK_RUN, prefix=f"{job_run_id:020d}|")]


def runs(reader: Reader, where: dict[str, str | int]) -> Iterator[JobRun]:
    """Ascending by id."""
    for _, document in reader.find(RUN, where=where):
        if not document["deleted"]:
            yield run_of(document)


def new_job_id(transaction: Transaction) -> int:
    return transaction.next("jobs.job_id", start=_FIRST_JOB_ID)


def new_run_id(transaction: Transaction) -> int:
    """Job runs, task runs and repairs share one sequence, as no two may have the same id."""
    return transaction.next("jobs.run_id", start=_FIRST_RUN_ID)


def job_key(workspace_id: int, job_id: int) -> str:
    return f"{workspace_id}|{job_id:020d}"


def load_job(reader: Reader, workspace_id: int, job_id: int) -> Document:
    """Raises ApiError INVALID_PARAMETER_VALUE with the words clients match."""
    document = reader.get(JOB, job_key(workspace_id, job_id))
    if document is None:
        raise ApiError("INVALID_PARAMETER_VALUE", f"Job {job_id} does not exist.")
    return document


def no_run(run_id: int) -> ApiError:
    return ApiError("INVALID_PARAMETER_VALUE", f"Run {run_id} does not exist.")
