"""What tests ask of a pipeline through the real SDK."""

from __future__ import annotations

import time
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.pipelines import UpdateInfo, UpdateInfoState

ENDED = (UpdateInfoState.COMPLETED, UpdateInfoState.FAILED, UpdateInfoState.CANCELED)


def ended(client: WorkspaceClient, pipeline_id: str, update_id: str, *, seconds: float = 300) -> UpdateInfo:
    deadline = time.monotonic() + seconds
    while True:
        update = client.pipelines.get_update(pipeline_id, update_id).update
        assert update is not None
        if update.state in ENDED:
            return update
        assert time.monotonic() < deadline, f"still {update.state} after {seconds} s"
        time.sleep(0.1)  # a client of this API can only poll


def events(client: WorkspaceClient, pipeline_id: str) -> list[dict[str, Any]]:
    """Whole events, oldest first; the SDK's own type leaves their details out."""
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"max_results": 250, "order_by": "timestamp asc"}
    while True:
        page: Any = client.api_client.do("GET", f"/api/2.0/pipelines/{pipeline_id}/events", query=query)
        found += page["events"]
        if "next_page_token" not in page:
            return found
        query["page_token"] = page["next_page_token"]


def flows(client: WorkspaceClient, pipeline_id: str, update_id: str | None) -> dict[str, dict[str, Any]]:
    """The last progress of each flow of an update, by flow."""
    return {
        each["origin"]["flow_name"]: each["details"]["flow_progress"]
        for each in events(client, pipeline_id)
        if each["event_type"] == "flow_progress" and each["origin"]["update_id"] == update_id
    }
