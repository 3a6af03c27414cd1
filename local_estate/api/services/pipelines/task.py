"""A job's pipeline_task: one update, started, waited for and stopped by the job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local_estate.api.kernel.call import Estate
from local_estate.api.services.pipelines import models
from local_estate.api.services.pipelines.models import EVENT
from local_estate.api.services.pipelines.updates import Updates


@dataclass(frozen=True)
class Running:
    """What the job can stop: the update of this pipeline, never a later one."""

    updates: Updates
    pipeline_id: str
    update_id: str
    pid: int = 0

    def cancel(self) -> None:
        self.updates.stop(self.pipeline_id, self.update_id)


def run_task(
    estate: Estate, *, principal_id: str, workspace_id: int, details: Mapping[str, Any], began: Callable[[Running], None]
) -> tuple[str, str, str]:
    """The question `pipelines.run_task`: `(state, update id, error)` once the update has ended.

    Raises ApiError: without CAN_RUN, for an unknown pipeline, while another update is active.
    """
    pipeline_id = str(details["pipeline_id"])
    named = {"object_type": "pipelines", "object_id": pipeline_id, "level": "CAN_RUN"}
    estate.ask("permissions.require", principal_id=principal_id, workspace_id=workspace_id, **named)
    updates: Updates = estate.ask("pipelines.updates")
    pipeline = models.load(estate.store.read, workspace_id, pipeline_id)
    update = updates.start(pipeline, details, "JOB_TASK")
    running = Running(updates, pipeline_id, update["update_id"])
    try:
        began(running)
    except BaseException:
        running.cancel()
        raise
    ended = updates.wait(pipeline_id, update["update_id"])
    return ended["state"], update["update_id"], "" if ended["state"] == "COMPLETED" else _error(estate, pipeline_id, ended)


def _error(estate: Estate, pipeline_id: str, update: Mapping[str, Any]) -> str:
    if update["state"] != "FAILED":
        return ""
    said = ""
    for _, event in estate.store.read.find(EVENT, prefix=f"{pipeline_id}|"):
        if event["origin"].get("update_id") == update["update_id"] and event.get("error"):
            said = str(event["error"]["exceptions"][0]["message"])
    return said
