"""The scheduler of runs: one thread that moves them on, and one thread per executing task.

Every change is made under one lock and stored before the lock is released, so what a client reads is what survives a crash.
Lock order: the scheduler's before the store's transaction.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from local_estate import full_disk
from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.store import Transaction
from local_estate.api.services.jobs import models
from local_estate.api.services.jobs.active import Active
from local_estate.api.services.jobs.models import RUN, Ending, JobRun, TaskRun
from local_estate.api.services.jobs.progress import Progress
from local_estate.api.services.jobs.recovery import recover
from local_estate.api.services.jobs.self_starting import SelfStarting
from local_estate.api.services.jobs.work import Execute, Order, Result, Work, failed

log = logging.getLogger("estate.jobs")


class Scheduler:
    """`slots` tasks execute side by side. `submit`, `cancel`, `resume` are called from request threads."""

    def __init__(self, estate: Estate, execute: Execute, *, slots: int) -> None:
        self.estate = estate
        self._execute = execute
        self._slots = slots
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._active: dict[int, Active] = {}
        self._ready: deque[tuple[int, int]] = deque()
        self._works: dict[int, Work] = {}
        self._workers: set[threading.Thread] = set()
        self._dirty: dict[int, JobRun | TaskRun] = {}
        self._changes = 0
        self._stopping = False
        self._clock_offset = estate.clock.offset_seconds
        self.progress = Progress(self)
        self._self_starting = SelfStarting(self)
        self._thread = threading.Thread(target=self._loop, name="jobs-scheduler", daemon=True)
        self.unseen: set[int] = set()  # runs no client has read yet; their first read is never a final state

    # --- life

    def start(self) -> None:
        """Ends what a crash interrupted, takes up what was queued, and begins scheduling."""
        with self.lock:
            for active in recover(self):
                self._active[active.run.run_id] = active
            self.flush()
        self._thread.start()

    def stop(self) -> None:
        """Ends executing tasks; their runs are stored as interrupted."""
        with self._changed:
            self._stopping = True
            works = list(self._works.values())
            workers = list(self._workers)
            self._changed.notify_all()
        for work in works:
            work.stop()
        self._thread.join()
        for worker in workers:
            worker.join(timeout=20)
        with self.lock:
            recover(self)
            self.flush()

    # --- what requests ask for

    def submit(self, create: Callable[[Transaction], JobRun]) -> JobRun:
        """Stores a new run and lets it start. `create` may raise ApiError; then nothing is stored."""
        with self._changed:
            with self._all_or_nothing() as transaction:
                run = create(transaction)
                if transaction.get(RUN, models.run_key(run.run_id)) is not None:
                    return run  # the run an idempotency token stands for
                active = Active(run)
                if run.phase != "ENDED":
                    self.progress.prepare(active, transaction)
                models.save(transaction, run)
                for task_run in active.attempts.values():
                    models.save(transaction, task_run)
            if run.phase != "ENDED":
                self._active[run.run_id] = active
                self.unseen.add(run.run_id)
                self._changed.notify_all()
        return run

    @contextmanager
    def _all_or_nothing(self) -> Iterator[Transaction]:
        """A transaction; when it fails, what was marked as changed within it is forgotten too."""
        before = dict(self._dirty)
        try:
            with self.estate.store.transaction() as transaction:
                yield transaction
        except BaseException:
            self._dirty = before
            raise

    def cancel(self, run_id: int, why: Ending) -> None:
        """Of a job run or a task run; returns at once. Ended ones stay as they are."""
        with self._changed:
            if run_id in self._active:
                self.progress.stop_run(self._active[run_id], why)
            else:
                parent = self.estate.store.read.get(models.PARENT, models.run_key(run_id))
                active = self._active.get(parent["run_id"]) if parent else None
                if active and run_id in active.attempts:
                    self.progress.stop_task(active, active.attempts[run_id], why)
            self.flush()
            self._changed.notify_all()

    def resume(self, run: JobRun, attempts: Iterable[TaskRun], rerun: Callable[[Active, Transaction], None]) -> None:
        """An ended run goes on (a repair). `rerun` makes the new attempts."""
        with self._changed:
            active = Active(run, {each.run_id: each for each in attempts})
            with self._all_or_nothing() as transaction:
                rerun(active, transaction)
                models.save(transaction, run)
                for task_run in active.attempts.values():
                    models.save(transaction, task_run)
            self._active[run.run_id] = active
            self.unseen.add(run.run_id)
            self._changed.notify_all()

    def is_active(self, run_id: int) -> bool:
        return run_id in self._active

    def look_at_jobs(self) -> None:
        """A job was created, changed or deleted: it may start by itself now, or no longer."""
        with self._changed:
            self._self_starting.look_again()
            self._changed.notify_all()

    def look_at_clock(self) -> None:
        """Tests move the clock; whoever waits for a time must then look again."""
        if self.estate.clock.offset_seconds != self._clock_offset:
            with self._changed:
                self._clock_offset = self.estate.clock.offset_seconds
                self._changed.notify_all()

    # --- for progress and recovery, under the lock

    def now(self) -> int:
        return self.estate.clock.now_ms()

    def changed(self, item: JobRun | TaskRun) -> None:
        self._changes += 1
        self._dirty[item.run_id] = item

    def enqueue(self, active: Active, task_run: TaskRun) -> None:
        self._ready.append((active.run.run_id, task_run.run_id))

    def work_of(self, task_run: TaskRun) -> Work | None:
        return self._works.get(task_run.run_id)

    def find_active(self, run_id: int) -> Active | None:
        return self._active.get(run_id)

    def has_active(self, job_id: int) -> bool:
        return any(active.run.job_id == job_id for active in self._active.values())

    def pending_change(self, run_id: int) -> JobRun | None:
        """A run as it will be stored by the next `flush`."""
        item = self._dirty.get(run_id)
        return item if isinstance(item, JobRun) else None

    def ended(self, active: Active) -> None:
        self._active.pop(active.run.run_id, None)
        if active.run.parent_run_id:
            self.progress.child_ended(active.run)

    def others_active(self, run: JobRun) -> int:
        """How many runs of the job have begun and not ended."""
        return sum(
            other.run.job_id == run.job_id
            and other.run.workspace_id == run.workspace_id
            and other.run.run_id != run.run_id
            and other.run.phase != "QUEUED"
            for other in self._active.values()
        )

    def queued_before(self, run: JobRun) -> bool:
        return any(
            other.run.job_id == run.job_id and other.run.phase == "QUEUED" and other.run.run_id < run.run_id
            for other in self._active.values()
        )

    def flush(self) -> None:
        if self._dirty:
            with self.estate.store.transaction() as transaction:
                for item in self._dirty.values():
                    models.save(transaction, item)
            self._dirty.clear()

    # --- the loop

    def _loop(self) -> None:
        with self._changed:
            while not self._stopping:
                try:
                    deadline = self._step()
                except Exception as error:
                    self._explain("the scheduler failed on a step and goes on", error)
                    deadline = self.now() + 1000
                if self._stopping:
                    return
                wait = None if deadline is None else max(0.0, (deadline - self.now()) / 1000)
                if wait is None or wait > 0:
                    self._changed.wait(wait)

    def _step(self) -> int | None:
        """Moves every run as far as it goes; the next time (epoch ms) at which something is due."""
        self._self_starting.advance()
        before = -1
        while before != self._changes:
            before = self._changes
            for active in list(self._active.values()):
                self.progress.advance(active)
        self._fill_slots()
        self.flush()
        dues = [self.progress.next_due(active) for active in self._active.values()]
        return min((due for due in (*dues, self._self_starting.next_due()) if due), default=None)

    def _fill_slots(self) -> None:
        while self._ready and len(self._works) < self._slots:
            run_id, task_run_id = self._ready.popleft()
            active = self._active.get(run_id)
            task_run = active.attempts.get(task_run_id) if active else None
            if active is None or task_run is None or task_run.phase != "PENDING":
                continue
            order = self.progress.order(active, task_run)
            if order is None:
                continue
            work = Work(lambda pid, task_run=task_run: self._began(task_run, pid))  # type: ignore[misc]
            self._works[task_run_id] = work
            worker = threading.Thread(target=self._work, args=(run_id, task_run, order, work), name=f"task-run-{task_run_id}", daemon=True)
            self._workers.add(worker)
            worker.start()

    def _began(self, task_run: TaskRun, pid: int) -> None:
        with self._changed:
            self.progress.began(task_run, pid)
            self.flush()
            self._changed.notify_all()

    def _work(self, run_id: int, task_run: TaskRun, order: Order, work: Work) -> None:
        try:
            result = self._execute(order, work)
        except Exception as error:
            said = self._explain(f"task run {task_run.run_id} could not be executed", error)
            result = failed("INTERNAL_ERROR", said or f"{type(error).__name__} in the local estate; see its log")
        with self._changed:
            self._works.pop(task_run.run_id, None)
            self._workers.discard(threading.current_thread())
            active = self._active.get(run_id)
            if active is not None and not self._stopping:
                self._finish(active, task_run, result)
            self._changed.notify_all()

    def _finish(self, active: Active, task_run: TaskRun, result: Result) -> None:
        self.progress.finish(active, task_run, result)
        try:
            self.flush()
        except Exception as error:
            self._explain(f"the end of task run {task_run.run_id} is not stored yet", error)

    def _explain(self, what: str, error: Exception) -> str:
        """Logs a full disk in one line, and returns that; anything else with its traceback."""
        said = full_disk.explained(error, self.estate.paths.home)
        log.error("%s%s", what, f": {said}" if said else "", exc_info=None if said else error)
        return said

    def recent(self, limit: int) -> list[dict[str, Any]]:
        """Newest first: `{"job", "run_id", "workspace_id", "parameters", "result", "seconds", "start_time"}`.

        `result` is the phase of a run under way; `parameters` are those that were given, not the job's defaults.
        """
        found = [models.run_of(document) for _, document in self.estate.store.read.find(RUN) if not document["deleted"]]
        found.sort(key=lambda run: -run.run_id)
        return [
            {
                "job": run.name,
                "run_id": run.run_id,
                "workspace_id": run.workspace_id,
                "parameters": _given(run),
                "result": run.ending.result or run.phase,
                "seconds": ((run.end_ms or self.now()) - run.created_ms) / 1000,
                "start_time": run.created_ms,
            }
            for run in found[:limit]
        ]


def _given(run: JobRun) -> dict[str, str]:
    """Parameters that are not the job's defaults. A default with a reference in it is another value in every run."""
    defaults = {each["name"]: str(each.get("default", "")) for each in run.settings.get("parameters") or []}
    return {name: value for name, value in run.parameters.items() if value != defaults.get(name) and "{{" not in defaults.get(name, "")}
