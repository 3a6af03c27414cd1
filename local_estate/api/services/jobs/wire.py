"""Jobs and runs as clients read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document
from local_estate.api.services.jobs.models import Attempt, Ending, JobRun, TaskRun
from local_estate.api.services.jobs.settings import type_of

PAGE = 100
_LIFE_CYCLES = {"WAITING": "WAITING_FOR_RETRY"}
_RUN_LIFE_CYCLES = {"FAILED": "INTERNAL_ERROR", "MAXIMUM_CONCURRENT_RUNS_REACHED": "SKIPPED"}
_GOOD = ("SUCCESS", "SUCCESS_WITH_FAILURES")
_RUNNING_MESSAGES = {"RUNNING": "In run", "WAITING": "Waiting for the next attempt", "PENDING": "Waiting for a slot"}


def job(document: Document) -> Document:
    return {
        "job_id": document["job_id"],
        "creator_user_name": document["creator_user_name"],
        "run_as_user_name": document["run_as_name"],
        "created_time": document["created_time"],
        "settings": document["settings"],
    }


def state(phase: str, ending: Ending, life_cycle: str, queue_limit: int = 0) -> Document:
    """The old `state` and the newer `status` of one run or task run."""
    if phase != "ENDED":
        life = _LIFE_CYCLES.get(phase, phase)
        message = _RUNNING_MESSAGES.get(phase, "")
        found: Document = {
            "state": {"life_cycle_state": life, "state_message": message, "user_cancelled_or_timedout": False},
            "status": {"state": phase},
        }
        if phase == "QUEUED":
            reason = f"Queued due to reaching maximum concurrent runs of {queue_limit}."
            found["state"]["queue_reason"] = reason
            found["status"]["queue_details"] = {"code": "MAX_CONCURRENT_RUNS_REACHED", "message": reason}
        return found
    return {
        "state": {
            "life_cycle_state": life_cycle,
            "result_state": ending.result,
            "state_message": ending.message,
            "user_cancelled_or_timedout": ending.result in ("CANCELED", "TIMEDOUT"),
        },
        "status": {
            "state": "TERMINATED",
            "termination_details": {"code": ending.code, "type": _type(ending), "message": ending.message},
        },
    }


def _type(ending: Ending) -> str:
    if ending.code in (*_GOOD, "SKIPPED") and ending.result not in ("UPSTREAM_FAILED", "UPSTREAM_CANCELED"):
        return "SUCCESS"
    return "INTERNAL_ERROR" if ending.code == "INTERNAL_ERROR" else "CLIENT_ERROR"


def _run_state(run: JobRun, first_read: bool) -> Document:
    # Whatever ended before anybody looked is shown once as ending, so that pollers meet a state that is not final.
    phase = "TERMINATING" if first_read and run.phase == "ENDED" and run.ending.result != "MAXIMUM_CONCURRENT_RUNS_REACHED" else run.phase
    life_cycle = _RUN_LIFE_CYCLES.get(run.ending.result, "TERMINATED")
    return state(phase, run.ending, life_cycle, run.settings.get("max_concurrent_runs", 1))


def task_state(task_run: TaskRun) -> Document:
    life_cycle = "INTERNAL_ERROR" if task_run.ending.code == "INTERNAL_ERROR" else "TERMINATED"
    return state(task_run.phase, task_run.ending, life_cycle)


def _durations(began_ms: int, end_ms: int, created_ms: int) -> Document:
    found = {"setup_duration": 0, "execution_duration": 0, "cleanup_duration": 0}
    if end_ms:
        found["execution_duration"] = end_ms - (began_ms or end_ms)
        found["setup_duration"] = max(0, (began_ms or end_ms) - created_ms)
        found["end_time"] = end_ms
        found["run_duration"] = end_ms - created_ms
    return found


def page_url(base: str, run: JobRun, run_id: int) -> str:
    return f"{base}/?o={run.workspace_id}#job/{run.job_id}/run/{run_id}"


def run_head(run: JobRun, base: str, *, first_read: bool = False) -> Document:
    """A run without its tasks, as in lists."""
    found: Document = {
        "job_id": run.job_id,
        "run_id": run.run_id,
        "job_run_id": run.run_id,
        "original_attempt_run_id": run.run_id,
        "number_in_job": run.number_in_job or run.run_id,
        "attempt_number": 0,
        "creator_user_name": run.creator_name,
        "run_as_user_name": run.run_as_name,
        "run_name": run.name,
        "run_type": "WORKFLOW_RUN" if run.parent_run_id else run.run_type,
        "trigger": run.trigger,
        "start_time": run.created_ms,
        "run_page_url": page_url(base, run, run.run_id),
        "format": "MULTI_TASK",
        "queue_duration": max(0, (run.began_ms or run.created_ms) - run.created_ms),
        **_run_state(run, first_read),
        **_durations(run.began_ms, 0 if first_read else run.end_ms, run.created_ms),
    }
    if declared := run.settings.get("parameters"):
        found["job_parameters"] = [
            {"name": each["name"], "default": each.get("default", ""), "value": run.parameters.get(each["name"], "")} for each in declared
        ]
    if run.overriding:
        found["overriding_parameters"] = run.overriding
    if run.trigger == "RUN_JOB_TASK":
        found["trigger_info"] = {"run_id": run.parent_task_run_id}
    return found


def task(task_run: TaskRun, run: JobRun, base: str, attempts: Sequence[TaskRun], *, resolved: bool = False) -> Document:
    """One attempt at a task, with its definition."""
    started = task_run.ready_ms or task_run.created_ms
    found: Document = {
        **task_run.task,
        "run_id": task_run.run_id,
        "attempt_number": task_run.attempt,
        "start_time": started,
        "run_page_url": page_url(base, run, task_run.run_id),
        **task_state(task_run),
        **_durations(task_run.began_ms, task_run.end_ms, started),
    }
    kind = type_of(task_run.task)
    if kind == "condition_task":
        shown: Document = task_run.resolved.get(kind) or task_run.task[kind]
        found[kind] = {**shown, **({"outcome": task_run.outcome} if task_run.outcome else {})}
    elif kind == "for_each_task":
        found[kind] = {**task_run.task[kind], "stats": {"task_run_stats": _stats(task_run, attempts)}}
    if resolved and kind in task_run.resolved:
        fields = ("parameters", "named_parameters", "left", "right", "job_parameters")
        details = task_run.resolved[kind]
        found["resolved_values"] = {kind: {name: details[name] for name in fields if details.get(name) is not None}}
    return found


def _stats(group: TaskRun, attempts: Sequence[TaskRun]) -> Document:
    latest = {each.iteration: each for each in attempts if each.group == group.run_id}.values()
    ended = [each for each in latest if each.phase == "ENDED"]
    good = sum(each.ending.result == "SUCCESS" for each in ended)
    total = len(group.resolved.get("inputs", []))
    return {
        "total_iterations": total,
        "scheduled_iterations": len(latest),
        "active_iterations": len(latest) - len(ended),
        "completed_iterations": len(ended),
        "succeeded_iterations": good,
        "failed_iterations": len(ended) - good,
    }


def history(run: JobRun) -> list[Document]:
    return [_history_item(run, item, index) for index, item in enumerate(run.history)]


def _history_item(run: JobRun, item: Attempt, index: int) -> Document:
    latest = index == len(run.history) - 1
    phase = run.phase if latest else "ENDED"
    found: Document = {
        "type": "REPAIR" if index else "ORIGINAL",
        "start_time": item.start_ms,
        "task_run_ids": item.task_run_ids,
        **state(phase, item.ending, _RUN_LIFE_CYCLES.get(item.ending.result, "TERMINATED"), run.settings.get("max_concurrent_runs", 1)),
    }
    if item.end_ms:
        found["end_time"] = item.end_ms
    if index:
        found["id"] = item.id
    return found


def offset_of(token: Any) -> int:
    """Raises ApiError INVALID_PARAMETER_VALUE for a page_token that is none of ours."""
    if token in (None, ""):
        return 0
    if not str(token).isdigit():
        raise ApiError("INVALID_PARAMETER_VALUE", f"Invalid page_token: {token}")
    return int(token)


def paged(document: Document, lists: Mapping[str, Sequence[Any]], offset: int) -> Document:
    """The document with one page of each list; `next_page_token` while any list goes on."""
    found = {**document}
    for name, items in lists.items():
        page = items[offset : offset + PAGE]
        if page:
            found[name] = list(page)
    if any(len(items) > offset + PAGE for items in lists.values()):
        found["next_page_token"] = str(offset + PAGE)
    return found
