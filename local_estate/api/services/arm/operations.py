"""Long-running operations: what a PUT still has to do after its answer, polled to its end, and who has to wait for it."""

from __future__ import annotations

from typing import Any

from local_estate.api.kernel.call import Call, Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Reader, Transaction
from local_estate.api.services.arm.ids import ResourceId

OPERATION = "arm.operation"  # by path: {"resource", "occupies", "polls", "started"}
# An operation nobody follows ends by itself, so that a client that died does not block the next one.
_LONGEST_SECONDS = 2.0
_KEPT_SECONDS = 3600.0
_POLLS = 2  # InProgress, then Succeeded: every poller is exercised


def begin(estate: Estate, transaction: Transaction, identifier: ResourceId, occupies: str) -> str:
    """The path to poll. `occupies`: the lower-case id of a resource that takes no second such operation meanwhile, or ""."""
    now = estate.clock.now()
    for path, operation in list(transaction.find(OPERATION)):
        if operation["started"] < now - _KEPT_SECONDS:
            transaction.delete(OPERATION, path)
    number = transaction.next("arm.operation")
    path = f"/subscriptions/{identifier.subscription}/providers/{identifier.type.split('/')[0]}/operationStatuses/{number}"
    transaction.put(OPERATION, path.lower(), {"resource": identifier.key, "occupies": occupies, "polls": 0, "started": now})
    return path


def _running(operation: dict[str, Any], now: float) -> bool:
    return bool(operation["polls"] < _POLLS and now < operation["started"] + _LONGEST_SECONDS)


def refuse_while_running(estate: Estate, reader: Reader, identifier: ResourceId, occupies: str) -> None:
    """Raises ApiError when an operation of another resource occupies the same target, or the target itself is still being made."""
    now = estate.clock.now()
    for _, operation in reader.find(OPERATION):
        if operation["resource"] == identifier.key or not _running(operation, now):
            continue
        if operation["resource"] == occupies and "/privateendpoints/" in identifier.key:
            raise ApiError("ReferencedResourceNotProvisioned", f"Resource {occupies} is still being created.", 409)
        if operation["occupies"] and operation["occupies"] == occupies:
            code, status = _concurrent(occupies)
            raise ApiError(
                code, f"Another operation on {occupies} is in progress ({operation['resource']}); retry when it is done.", status
            )


def _concurrent(target: str) -> tuple[str, int]:
    if "/microsoft.network/" in target:
        return "AnotherOperationInProgress", 429
    return ("StorageAccountOperationInProgress" if "/microsoft.storage/" in target else "ConcurrentUpdateError"), 409


def seen(transaction: Transaction, identifier: ResourceId) -> None:
    """Reading a resource, or sending it again, is as good as following its operation."""
    for path, operation in list(transaction.find(OPERATION, where={"resource": identifier.key})):
        if operation["polls"] < _POLLS:
            transaction.put(OPERATION, path, {**operation, "polls": _POLLS})


def pending(reader: Reader, identifier: ResourceId) -> bool:
    return any(operation["polls"] < _POLLS for _, operation in reader.find(OPERATION, where={"resource": identifier.key}))


def poll(call: Call) -> dict[str, Any]:
    with call.store.transaction() as transaction:
        found = transaction.get(OPERATION, call.path.lower())
        if found is None:
            raise ApiError("OperationNotFound", f"The operation {call.path} was not found.", 404)
        transaction.put(OPERATION, call.path.lower(), {**found, "polls": min(found["polls"] + 1, _POLLS)})
    return {"id": call.path, "status": "Succeeded" if found["polls"] else "InProgress"}
