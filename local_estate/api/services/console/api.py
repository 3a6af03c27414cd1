"""`GET /` (HTML) and `GET /api/estate/1.0/facts` (JSON) on the console's own port.

Read-only and without a sign-in: names, counts and results, never data or secrets.
"""

from __future__ import annotations

from typing import Any

from local_estate.api.kernel.call import Call, Reply
from local_estate.api.kernel.routing import Face, Route, Service
from local_estate.api.services.console import facts, page


def _facts(call: Call) -> dict[str, Any]:
    return {
        "writes": call.store.writes,
        "workspaces": call.estate.ask("arm.workspaces"),
        "resources": call.estate.ask("arm.resource_counts"),
        "tables": facts.tables(call.estate),
        "quality": facts.quality(call.estate),
        "files": facts.landed_files(call.estate),
        "runs": facts.runs(call.estate),
    }


def _page(call: Call) -> Reply:
    headers = {
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
        "x-content-type-options": "nosniff",
    }
    return Reply(body=page.render(_facts(call)).encode(), content_type="text/html; charset=utf-8", headers=headers)


SERVICE = Service(
    name="console",
    routes=(
        Route(method="GET", path="/", handler=_page, faces=(Face.CONSOLE,), level="executed", anonymous=True),
        Route(
            method="GET",
            path="/api/estate/1.0/facts",
            handler=_facts,
            faces=(Face.CONSOLE,),
            level="executed",
            anonymous=True,
        ),
    ),
)
