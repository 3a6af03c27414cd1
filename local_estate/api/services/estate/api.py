"""`/api/estate/1.0/*`: what is no Azure or Databricks API. Faults and clock need `ESTATE_FAULTS=1` in the service's environment."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from local_estate import service_sources
from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.faults import Fault
from local_estate.api.kernel.routing import Face, Route, Service
from local_estate.paths import REPOSITORY

_SOURCES = service_sources.digest(REPOSITORY)  # when this process started, whatever is edited later
_EVERY_FACE = (Face.ARM, Face.ACCOUNT, Face.WORKSPACE, Face.CONSOLE)


def _health(call: Call) -> dict[str, Any]:
    return {"status": "ok", "pid": os.getpid(), "writes": call.store.writes, "sources": _SOURCES}


def _testing() -> None:
    if os.environ.get("ESTATE_FAULTS") != "1":
        raise ApiError("PERMISSION_DENIED", "fault injection is off; start the service with ESTATE_FAULTS=1")


def _add_fault(call: Call) -> dict[str, Any]:
    _testing()
    call.estate.faults.add(Fault(**call.json))
    return {}


def _waiting_faults(call: Call) -> dict[str, Any]:
    _testing()
    return {"faults": [asdict(fault) for fault in call.estate.faults.waiting()]}


def _clear_faults(call: Call) -> dict[str, Any]:
    _testing()
    call.estate.faults.clear()
    return {}


def _advance_clock(call: Call) -> dict[str, Any]:
    _testing()
    call.estate.clock.offset_seconds += float(call.required("seconds"))
    return {"now": call.estate.clock.now()}


SERVICE = Service(
    name="estate",
    routes=(
        Route(
            method="GET",
            path="/api/estate/1.0/health",
            handler=_health,
            faces=_EVERY_FACE,
            level="executed",
            anonymous=True,
        ),
        Route(
            method="POST",
            path="/api/estate/1.0/faults",
            handler=_add_fault,
            faces=(Face.ARM,),
            level="executed",
            anonymous=True,
        ),
        Route(
            method="GET",
            path="/api/estate/1.0/faults",
            handler=_waiting_faults,
            faces=(Face.ARM,),
            level="executed",
            anonymous=True,
        ),
        Route(
            method="DELETE",
            path="/api/estate/1.0/faults",
            handler=_clear_faults,
            faces=(Face.ARM,),
            level="executed",
            anonymous=True,
        ),
        Route(
            method="POST",
            path="/api/estate/1.0/clock",
            handler=_advance_clock,
            faces=(Face.ARM,),
            level="executed",
            anonymous=True,
        ),
    ),
)
