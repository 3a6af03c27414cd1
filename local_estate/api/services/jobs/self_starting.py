"""Jobs that start by themselves: on a schedule by the estate's clock, or continuously, one run behind the other.

A schedule that was due while the service was down is not made up for. A continuous job has one active run at a time; when that ends,
however it does, another begins: soon after a success or a cancellation, later and later where runs fail one after the other.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document, Transaction
from local_estate.api.services.jobs import models, new_runs, quartz
from local_estate.api.services.jobs.models import JOB, JobRun

if TYPE_CHECKING:
    from local_estate.api.services.jobs.scheduler import Scheduler

log = logging.getLogger("estate.jobs")
# Databricks says less than a minute between two runs, and that it waits ever longer where they fail, not for how long.
BETWEEN_MS, FIRST_WAIT_MS, LONGEST_WAIT_MS = 1_000, 15_000, 3_600_000


class SelfStarting:
    """Called by the scheduler, under its lock."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._jobs: list[Document] | None = None
        self._due: dict[str, int] = {}

    def look_again(self) -> None:
        """The settings of a job changed; its schedule counts from now on."""
        self._jobs = None

    def advance(self) -> None:
        """Starts what is due."""
        now = self._scheduler.now()
        for job in self._all():
            due = self._next(job)
            if due is not None and due <= now:
                self._start(job, now)

    def next_due(self) -> int | None:
        """When something is to be started, in epoch ms."""
        return min((due for job in self._all() if (due := self._next(job)) is not None), default=None)

    def _all(self) -> list[Document]:
        if self._jobs is None:
            self._jobs = self._read()
        return self._jobs

    def _read(self) -> list[Document]:
        now, found = self._scheduler.now(), dict(self._scheduler.estate.store.read.find(JOB))
        scheduled = [{**job, "key": key} for key, job in found.items() if quartz.is_on(job["settings"], "schedule")]
        self._due = {job["key"]: _after(job, now) for job in scheduled}
        return [*scheduled, *({**job, "key": key} for key, job in found.items() if quartz.is_on(job["settings"], "continuous"))]

    def _next(self, job: Document) -> int | None:
        """None for a continuous job that runs: its end is an event of its own."""
        if "schedule" in job["settings"]:
            return self._due[job["key"]]
        if self._scheduler.has_active(job["job_id"]):
            return None
        if job["key"] in self._due:  # it could not be started
            return self._due[job["key"]]
        runs = sorted(self._runs(job), key=lambda run: -run.run_id)
        failed = 0
        for run in runs:
            if run.ending.result in ("SUCCESS", "CANCELED"):
                break
            failed += 1
        wait = min(FIRST_WAIT_MS << min(failed - 1, 16), LONGEST_WAIT_MS) if failed else BETWEEN_MS
        return runs[0].end_ms + wait if runs else self._scheduler.now()

    def _runs(self, job: Document) -> list[JobRun]:
        """Those that the scheduler is about to store are newer than the store."""
        stored = models.runs(self._scheduler.estate.store.read, {"job_id": job["job_id"]})
        return [self._scheduler.pending_change(run.run_id) or run for run in stored]

    def _start(self, job: Document, now: int) -> None:
        key = job["key"]
        self._due.pop(key, None)
        if "schedule" in job["settings"]:
            self._due[key] = _after(job, now)
        workspace_id = int(key.split("|", 1)[0])

        def create(transaction: Transaction) -> JobRun:
            return new_runs.new_job_run(
                self._scheduler.estate,
                self._scheduler,
                transaction,
                workspace_id=workspace_id,
                job_id=job["job_id"],
                caller_id=job["run_as_id"],
                request={},
                trigger="PERIODIC" if "schedule" in job["settings"] else "CONTINUOUS",
                asked=False,
            )

        try:
            self._scheduler.submit(create)
        except ApiError as error:
            log.error("job %s did not start by itself: %s", job["job_id"], error)
            self._due[key] = now + LONGEST_WAIT_MS


def _after(job: Document, now_ms: int) -> int:
    return int(quartz.due(job["settings"]["schedule"], now_ms / 1000) * 1000)
