"""Azure Resource Manager: one handler per verb, any type in `types.py`."""

from __future__ import annotations

from collections.abc import Callable

from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.routing import Face, Handler, Route, Service
from local_estate.api.services.arm import resources, state, vault


def _start(estate: Estate) -> Callable[[], None]:
    """The workspaces' ports open again after a restart."""
    for workspace in list(state.of_type(estate.store.read, "Microsoft.Databricks/workspaces")):
        properties = workspace["properties"]
        estate.open_workspace(int(properties["workspaceId"]), properties["workspaceUrl"], workspace["id"])
    return lambda: None


def _route(method: str, path: str, handler: Handler) -> Route:
    return Route(method=method, path=path, handler=handler, faces=(Face.ARM,), level="stored", errors="arm")


SERVICE = Service(
    name="arm",
    routes=(
        _route("GET", "/subscriptions/{subscription}/providers/{namespace}/operationStatuses/{number}", resources.poll),
        _route("PUT", "/subscriptions/{rest:path}", resources.put),
        _route("GET", "/subscriptions/{rest:path}", resources.read),
        _route("DELETE", "/subscriptions/{rest:path}", resources.delete),
    ),
    provides={
        "arm.resource": state.resource,
        "arm.workspace": state.workspace,
        "arm.workspaces": state.workspaces,
        "arm.resource_counts": state.resource_counts,
        "arm.has_role": state.has_role,
        "arm.can_read_storage": state.can_read_storage,
        "arm.storage_scope": state.storage_scope,
        "arm.storage_container": state.storage_container,
        "arm.vault_secret": vault.secret,
    },
    start=_start,
)
