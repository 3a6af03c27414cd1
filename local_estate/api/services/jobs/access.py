"""Who may do what with a job or its runs, and how ids arrive."""

from __future__ import annotations

from local_estate.api.kernel.call import Call
from local_estate.api.services.jobs.settings import invalid


def workspace(call: Call) -> int:
    return call.workspace_id or 0


def integer(call: Call, name: str) -> int:
    """Clients send ids as numbers and as strings. Raises ApiError INVALID_PARAMETER_VALUE."""
    value = call.required(name)
    try:
        return int(value)
    except (TypeError, ValueError):
        raise invalid(f"{name} must be an integer, not {value!r}.") from None


def require(call: Call, job_id: int, level: str) -> None:
    """Raises ApiError PERMISSION_DENIED naming the caller, sufficient levels and the job."""
    call.estate.ask(
        "permissions.require",
        principal_id=call.caller.id,
        workspace_id=workspace(call),
        object_type="jobs",
        object_id=str(job_id),
        level=level,
    )
