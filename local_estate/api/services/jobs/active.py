"""A run that has not ended, with all attempts at its tasks."""

from __future__ import annotations

from local_estate.api.services.jobs import graph, settings
from local_estate.api.services.jobs.models import JobRun, TaskRun


class Active:
    """`attempts` by task run id. The latest attempt at a task is the one that counts."""

    def __init__(self, run: JobRun, attempts: dict[int, TaskRun] | None = None) -> None:
        self.run = run
        self.attempts: dict[int, TaskRun] = attempts or {}

    @property
    def dependencies(self) -> dict[str, list[graph.Dependency]]:
        """Of the tasks this run has; one left out by `only` is not waited for."""
        keys = {task["task_key"] for task in self.run.tasks}
        found = settings.dependencies({"tasks": self.run.tasks})
        return {key: [need for need in needs if need.task_key in keys] for key, needs in found.items()}

    def latest(self) -> dict[str, TaskRun]:
        """By task key; iterations of for-each tasks are not among them."""
        found: dict[str, TaskRun] = {}
        for each in sorted(self.attempts.values(), key=lambda attempt: attempt.run_id):
            if not each.group:
                found[each.task_key] = each
        return found

    def iterations(self, group: TaskRun) -> dict[int, TaskRun]:
        """The latest attempt of each iteration that has begun, by its index."""
        found: dict[int, TaskRun] = {}
        for each in sorted(self.attempts.values(), key=lambda attempt: attempt.run_id):
            if each.group == group.run_id:
                found[each.iteration] = each
        return found

    def ended(self) -> dict[str, graph.Ended]:
        return {
            key: graph.Ended(result=each.ending.result, outcome=each.outcome)
            for key, each in self.latest().items()
            if each.phase == "ENDED"
        }
