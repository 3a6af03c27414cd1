"""How a run moves on: which task begins, how one ends, retries, time limits, and the run's own end. Called under the scheduler's lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.routing import Face
from local_estate.api.kernel.store import Document, Transaction
from local_estate.api.services.jobs import graph, models, parameters, references, settings
from local_estate.api.services.jobs.active import Active
from local_estate.api.services.jobs.models import Attempt, Ending, JobRun, TaskRun
from local_estate.api.services.jobs.new_runs import new_job_run
from local_estate.api.services.jobs.recovery import started_at
from local_estate.api.services.jobs.references import Facts, TaskFacts
from local_estate.api.services.jobs.work import Order, Result, failed, succeeded

if TYPE_CHECKING:
    from local_estate.api.services.jobs.scheduler import Scheduler

QUEUE_MS = 48 * 3600 * 1000
_EXECUTING = ("python_wheel_task", "spark_python_task", "sql_task", "pipeline_task")
_SKIPPED_MESSAGES = {
    "UPSTREAM_FAILED": "An upstream task failed.",
    "UPSTREAM_CANCELED": "An upstream task was canceled.",
    "EXCLUDED": "The run condition of the task was not met.",
}


class Progress:
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._estate = scheduler.estate

    # --- attempts

    def prepare(self, active: Active, transaction: Transaction) -> None:
        """The first attempt of every task, and the ORIGINAL item of the history."""
        run = active.run
        made = [self.attempt(active, task, transaction) for task in run.tasks]
        run.history = [Attempt(id=0, start_ms=run.created_ms, task_run_ids=[each.run_id for each in made])]

    def attempt(self, active: Active, task: Document, transaction: Transaction, after: TaskRun | None = None) -> TaskRun:
        """One more attempt, blocked until its turn; `after` is the one before it."""
        made = TaskRun(
            run_id=models.new_run_id(transaction),
            job_run_id=active.run.run_id,
            task_key=task["task_key"],
            attempt=after.attempt + 1 if after else 0,
            executions=after.executions + 1 if after else 1,
            task=task,
            created_ms=self._scheduler.now(),
        )
        active.attempts[made.run_id] = made
        self._scheduler.changed(made)
        return made

    # --- moving on

    def advance(self, active: Active) -> None:
        run = active.run
        if run.phase == "QUEUED" and not self._leaves_queue(active):
            return
        if run.phase == "PENDING":
            run.phase, run.began_ms = "RUNNING", run.began_ms or self._scheduler.now()
            self._scheduler.changed(run)
        self._end_overdue(active)
        if run.phase == "RUNNING":
            self._begin_ready(active)
            for each in list(active.attempts.values()):
                if each.phase == "WAITING" and each.not_before_ms <= self._scheduler.now():
                    self._begin(active, each)
        for each in list(active.attempts.values()):
            if "for_each_task" in each.task and each.phase in ("RUNNING", "TERMINATING"):
                self._advance_iterations(active, each)
        if all(each.phase == "ENDED" for each in active.attempts.values()):
            self._end_run(active)

    def _leaves_queue(self, active: Active) -> bool:
        run = active.run
        if self._scheduler.now() >= run.created_ms + QUEUE_MS:
            message = "The run was skipped because it waited in the queue for more than 48 hours."
            self.stop_run(active, Ending(result="MAXIMUM_CONCURRENT_RUNS_REACHED", code="MAX_CONCURRENT_RUNS_EXCEEDED", message=message))
            self._end_run(active)
            return False
        if self._scheduler.others_active(run) >= run.settings["max_concurrent_runs"] or self._scheduler.queued_before(run):
            return False
        run.phase = "PENDING"
        return True

    def _begin_ready(self, active: Active) -> None:
        begun = True
        while begun:  # a condition task ends at once and may free the next
            begun = False
            ended = active.ended()
            needs = active.dependencies
            for key, task_run in active.latest().items():
                if task_run.phase != "BLOCKED":
                    continue
                verdict = "EXCLUDED" if task_run.task.get("disabled") else graph.verdict(task_run.task["run_if"], needs[key], ended)
                if verdict == "WAIT":
                    continue
                if verdict == "RUN":
                    self._begin(active, task_run)
                elif task_run.task.get("disabled"):
                    self._end_task(task_run, Ending(result="DISABLED", code="DISABLED", message="The task is disabled."))
                else:
                    self._end_task(task_run, Ending(result=verdict, code="SKIPPED", message=_SKIPPED_MESSAGES[verdict]))
                begun = True

    def _begin(self, active: Active, task_run: TaskRun) -> None:
        task_run.ready_ms = self._scheduler.now()
        kind = settings.type_of(task_run.task)
        if kind in _EXECUTING:
            task_run.phase = "PENDING"
            self._scheduler.changed(task_run)
            self._scheduler.enqueue(active, task_run)
            return
        self.began(task_run, 0)
        try:
            if kind == "condition_task":
                self._decide(active, task_run)
            elif kind == "for_each_task":
                task_run.resolved = {"inputs": parameters.inputs(task_run.task, self._facts(active, task_run))}
            else:
                self._start_child(active, task_run)
        except (references.BadReference, ValueError) as bad:
            self.finish(active, task_run, failed("INVALID_RUN_CONFIGURATION", str(bad)))
        except ApiError as refused:
            self.finish(active, task_run, failed("INVALID_RUN_CONFIGURATION", refused.message))

    def began(self, task_run: TaskRun, pid: int) -> None:
        task_run.began_ms = self._scheduler.now()
        if task_run.phase != "TERMINATING":
            task_run.phase = "RUNNING"
        if pid:
            task_run.pid, task_run.pid_started = pid, started_at(pid)
        self._scheduler.changed(task_run)

    def _decide(self, active: Active, task_run: TaskRun) -> None:
        task = parameters.resolved_task(task_run.task, {}, self._facts(active, task_run))
        details = task["condition_task"]
        task_run.resolved = {"condition_task": details}
        try:
            met = references.compare(details["op"], str(details["left"]), str(details["right"]))
        except ValueError:
            raise ValueError(f"{details['op']} compares numbers, not {details['left']!r} and {details['right']!r}.") from None
        task_run.outcome = "true" if met else "false"
        self.finish(active, task_run, succeeded())

    def _start_child(self, active: Active, task_run: TaskRun) -> None:
        run = active.run
        task = parameters.resolved_task(task_run.task, {}, self._facts(active, task_run))
        details = task["run_job_task"]
        task_run.resolved = {"run_job_task": details}

        def create(transaction: Transaction) -> JobRun:
            child = new_job_run(
                self._estate,
                self._scheduler,
                transaction,
                workspace_id=run.workspace_id,
                job_id=details["job_id"],
                caller_id=run.run_as_id,
                request=details,
                trigger="RUN_JOB_TASK",
            )
            child.parent_run_id, child.parent_task_run_id = run.run_id, task_run.run_id
            task_run.child_run_id = child.run_id
            return child

        child = self._scheduler.submit(create)
        if child.phase == "ENDED":
            self.finish(active, task_run, failed("INVALID_RUN_CONFIGURATION", child.ending.message))

    def child_ended(self, child: JobRun) -> None:
        """The run-job task that started it ends with it."""
        parent = self._scheduler.find_active(child.parent_run_id)
        task_run = parent.attempts.get(child.parent_task_run_id) if parent else None
        if parent is None or task_run is None or task_run.phase == "ENDED":
            return
        good = child.ending.result in ("SUCCESS", "SUCCESS_WITH_FAILURES")
        message = f"The job run {child.run_id} that this task started ended with {child.ending.result}: {child.ending.message}"
        self.finish(parent, task_run, succeeded() if good else failed("RUN_EXECUTION_ERROR", message))

    # --- for each

    def _advance_iterations(self, active: Active, group: TaskRun) -> None:
        elements = group.resolved["inputs"]
        begun = active.iterations(group)
        under_way = sum(each.phase != "ENDED" for each in begun.values())
        concurrency = int(group.task["for_each_task"].get("concurrency") or 1)
        while not group.stopping.result and under_way < concurrency and len(begun) < len(elements):
            with self._estate.store.transaction() as transaction:
                each = self.attempt(active, group.task["for_each_task"]["task"], transaction)
            each.group, each.iteration, each.input = group.run_id, len(begun), elements[len(begun)]
            begun[each.iteration] = each
            self._begin(active, each)
            under_way = sum(each.phase != "ENDED" for each in begun.values())
        if under_way == 0 and (len(begun) == len(elements) or group.stopping.result):
            bad = [each for each in begun.values() if each.ending.result != "SUCCESS"]
            message = f"{len(bad)} of {len(elements)} iterations failed."
            if bad:
                message += f" Iteration {bad[0].iteration} failed with message: {bad[0].ending.message}"
            self.finish(active, group, failed("RUN_EXECUTION_ERROR", message) if bad else succeeded())

    # --- executing

    def order(self, active: Active, task_run: TaskRun) -> Order | None:
        """What the executor is to do; None when a reference cannot be resolved, which ends the task."""
        run = active.run
        facts = self._facts(active, task_run)
        try:
            task = parameters.resolved_task(task_run.task, run.overriding, facts)
        except references.BadReference as bad:
            self.finish(active, task_run, failed("INVALID_RUN_CONFIGURATION", str(bad)))
            return None
        kind = settings.type_of(task)
        task_run.resolved = {kind: task[kind]}
        return Order(
            workspace_id=run.workspace_id,
            run_as_id=run.run_as_id,
            run_as_name=run.run_as_name,
            directory=self._estate.paths.runs / str(task_run.run_id),
            task=task,
            settings=run.settings,
            upstream_values={key: other.values for key, other in facts.tasks.items() if other.values},
        )

    def _facts(self, active: Active, task_run: TaskRun) -> Facts:
        run = active.run
        others = {
            key: TaskFacts(
                run_id=each.run_id,
                result_state=each.ending.result,
                error_code="" if each.ending.code == "SUCCESS" else each.ending.code,
                execution_count=each.executions,
                values=each.values,
            )
            for key, each in active.latest().items()
        }
        return Facts(
            job_id=run.job_id,
            job_name=run.name,
            run_id=run.run_id,
            start_ms=run.created_ms,
            parameters=run.parameters,
            workspace_id=run.workspace_id,
            workspace_url=self._estate.base_url(Face.WORKSPACE, run.workspace_id),
            task_key=task_run.task_key,
            task_run_id=task_run.run_id,
            execution_count=task_run.executions,
            repair_count=run.repair_count,
            trigger_type=run.trigger.lower(),
            tasks=others,
            input=task_run.input,
        )

    def finish(self, active: Active, task_run: TaskRun, result: Result) -> None:
        """A task is over; it may be tried again."""
        if task_run.phase == "ENDED":
            return
        task_run.values = dict(result.values)
        task_run.error, task_run.error_trace = result.error, result.error_trace
        stopped = task_run.stopping.result and result.ending.result != "SUCCESS"
        if stopped:
            task_run.error, task_run.error_trace = task_run.stopping.message, ""
        self._end_task(task_run, task_run.stopping if stopped else result.ending)
        if self._tries_again(active, task_run):
            with self._estate.store.transaction() as transaction:
                again = self.attempt(active, task_run.task, transaction, after=task_run)
            again.retries = task_run.retries + 1
            again.group, again.iteration, again.input = task_run.group, task_run.iteration, task_run.input
            again.phase = "WAITING"
            # The interval counts from the start of the failed attempt.
            again.not_before_ms = task_run.ready_ms + int(task_run.task.get("min_retry_interval_millis") or 0)
            if not again.group:
                active.run.history[-1].task_run_ids.append(again.run_id)
                self._scheduler.changed(active.run)

    def _tries_again(self, active: Active, task_run: TaskRun) -> bool:
        if active.run.stopping.result or task_run.ending.code == "INVALID_RUN_CONFIGURATION":
            return False
        retryable = task_run.ending.result == "FAILED" or (task_run.ending.result == "TIMEDOUT" and task_run.task.get("retry_on_timeout"))
        allowed = int(task_run.task.get("max_retries") or 0)
        group = active.attempts.get(task_run.group)
        if group is not None and group.stopping.result:
            return False
        return bool(retryable) and (allowed == -1 or task_run.retries < allowed)

    def _end_task(self, task_run: TaskRun, ending: Ending) -> None:
        task_run.phase, task_run.ending, task_run.end_ms = "ENDED", ending, self._scheduler.now()
        self._scheduler.changed(task_run)

    # --- stopping

    def stop_run(self, active: Active, why: Ending) -> None:
        run = active.run
        if run.stopping.result or run.phase == "ENDED":
            return
        run.stopping, run.phase = why, "TERMINATING"
        self._scheduler.changed(run)
        for each in list(active.attempts.values()):
            self.stop_task(active, each, why)

    def stop_task(self, active: Active, task_run: TaskRun, why: Ending) -> None:
        if task_run.phase == "ENDED" or task_run.stopping.result:
            return
        task_run.stopping = why
        self._scheduler.changed(task_run)
        work = self._scheduler.work_of(task_run)
        if work is not None:
            task_run.phase = "TERMINATING"
            work.stop()
        elif task_run.phase == "RUNNING" and "for_each_task" in task_run.task:
            task_run.phase = "TERMINATING"
            for each in active.iterations(task_run).values():
                self.stop_task(active, each, why)
        elif task_run.phase == "RUNNING" and task_run.child_run_id:
            task_run.phase = "TERMINATING"
            self._scheduler.cancel(task_run.child_run_id, why)
        else:
            self._end_task(task_run, why)

    def _end_overdue(self, active: Active) -> None:
        now, run = self._scheduler.now(), active.run
        limit = run.settings["timeout_seconds"]
        if limit and run.phase == "RUNNING" and now >= self._began_ms(run) + limit * 1000:
            message = f"Run timed out after {limit} seconds."
            self.stop_run(active, Ending(result="TIMEDOUT", code="CANCELED", message=message))
        for each in list(active.attempts.values()):
            limit = each.task["timeout_seconds"]
            if limit and each.phase == "RUNNING" and now >= each.began_ms + limit * 1000:
                self.stop_task(active, each, Ending(result="TIMEDOUT", code="CANCELED", message=f"Task timed out after {limit} seconds."))

    @staticmethod
    def _began_ms(run: JobRun) -> int:
        return max(run.began_ms, run.history[-1].start_ms)

    def next_due(self, active: Active) -> int | None:
        """Epoch ms of the next time limit or retry of this run."""
        run = active.run
        if run.phase == "QUEUED":
            return run.created_ms + QUEUE_MS
        due = [each.not_before_ms for each in active.attempts.values() if each.phase == "WAITING"]
        due += [
            each.began_ms + each.task["timeout_seconds"] * 1000
            for each in active.attempts.values()
            if each.phase == "RUNNING" and each.task["timeout_seconds"]
        ]
        if run.settings["timeout_seconds"] and run.phase == "RUNNING":
            due.append(self._began_ms(run) + run.settings["timeout_seconds"] * 1000)
        return min(due, default=None)

    # --- the end

    def _end_run(self, active: Active) -> None:
        run = active.run
        if run.phase == "ENDED":
            return
        run.ending = run.stopping if run.stopping.result else self._ending(active)
        run.phase, run.end_ms = "ENDED", self._scheduler.now()
        run.history[-1].end_ms, run.history[-1].ending = run.end_ms, run.ending
        self._scheduler.changed(run)
        self._scheduler.ended(active)

    def _ending(self, active: Active) -> Ending:
        result = graph.run_result(active.dependencies, active.ended())
        if result == "SUCCESS":
            return Ending(result=result, code="SUCCESS")
        latest = active.latest()
        wanted = ("CANCELED",) if result == "CANCELED" else ("FAILED", "TIMEDOUT")
        culprit = next((each for each in latest.values() if each.ending.result in wanted), None)
        if culprit is None:
            return Ending(result=result, code="RUN_EXECUTION_ERROR")
        message = f"Task {culprit.task_key} failed with message: {culprit.ending.message.rstrip('.')}."
        if result == "CANCELED":
            return Ending(result=result, code=culprit.ending.code, message=culprit.ending.message)
        code = "SUCCESS_WITH_FAILURES" if result == "SUCCESS_WITH_FAILURES" else culprit.ending.code
        return Ending(result=result, code=code, message=message)
