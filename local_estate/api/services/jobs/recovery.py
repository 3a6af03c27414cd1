"""After the service ended, however it did: what ran is over and says so, what waited goes on."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psutil

from local_estate.api.services.jobs import models
from local_estate.api.services.jobs.active import Active
from local_estate.api.services.jobs.models import RUN, Ending, TaskRun

if TYPE_CHECKING:
    from local_estate.api.services.jobs.scheduler import Scheduler

INTERRUPTED = "The local estate ended while this run was active; repair the run or run it again."
_NEVER_BEGAN = "The local estate ended before this task began."


def recover(scheduler: Scheduler) -> list[Active]:
    """The runs that go on. Interrupted ones end as INTERNAL_ERROR, and the processes they left are killed."""
    reader = scheduler.estate.store.read
    going_on = []
    for _, document in reader.find(RUN):
        if document["phase"] == "ENDED":
            continue
        run = models.run_of(document)
        active = Active(run, {each.run_id: each for each in models.task_runs(reader, run.run_id)})
        orphaned = run.parent_run_id and _is_over(scheduler, run.workspace_id, run.parent_run_id)
        if not orphaned and not run.stopping.result and not any(each.began_ms or each.end_ms for each in active.attempts.values()):
            _start_over(scheduler, active)
            going_on.append(active)
        else:
            _end(scheduler, active)
    return going_on


def _is_over(scheduler: Scheduler, workspace_id: int, run_id: int) -> bool:
    """Parents have smaller ids than their children, so theirs is decided first (in `changed`, if not in the store)."""
    parent = scheduler.pending_change(run_id) or models.load_run(scheduler.estate.store.read, workspace_id, run_id)
    return parent is None or parent.phase == "ENDED"


def _start_over(scheduler: Scheduler, active: Active) -> None:
    if active.run.phase != "QUEUED":
        active.run.phase = "PENDING"
    for each in active.attempts.values():
        each.phase = "BLOCKED"
        scheduler.changed(each)
    scheduler.changed(active.run)


def _end(scheduler: Scheduler, active: Active) -> None:
    run, now = active.run, scheduler.now()
    for each in active.attempts.values():
        if each.phase == "ENDED":
            continue
        reap(each)
        begun = each.began_ms > 0
        each.ending = (
            Ending(result="FAILED", code="INTERNAL_ERROR", message=INTERRUPTED)
            if begun
            else Ending(result="CANCELED", code="CANCELED", message=_NEVER_BEGAN)
        )
        each.error = INTERRUPTED if begun else ""
        each.phase, each.end_ms = "ENDED", now
        scheduler.changed(each)
    run.ending = run.stopping if run.stopping.result else Ending(result="FAILED", code="INTERNAL_ERROR", message=INTERRUPTED)
    run.phase, run.end_ms = "ENDED", now
    run.history[-1].end_ms, run.history[-1].ending = now, run.ending
    scheduler.changed(run)


def reap(task_run: TaskRun) -> None:
    """Kills the task's process tree. A process id alone proves nothing after a restart: the start time must match too."""
    if not task_run.pid:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(task_run.pid)
        if abs(process.create_time() - task_run.pid_started) > 0.05:
            return
        family = [*process.children(recursive=True), process]
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(family, timeout=5)


def started_at(pid: int) -> float:
    """When the process began; 0.0 when it is gone already."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0
