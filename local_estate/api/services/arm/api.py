"""Azure Resource Manager: one handler per verb, any type in `types.py`."""

from __future__ import annotations

from collections.abc import Callable

from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.routing import Face, Handler, Route, Service
from local_estate.api.services.arm import account_workspaces, deleted_vaults, deletion, operations, resources, state, storage_bytes, vault


def _start(estate: Estate) -> Callable[[], None]:
    """The workspaces' ports open again after a restart, and containers whose PUT was cut short get their directories."""
    storage_bytes.provide_all(estate, estate.store.read)
    for workspace in list(state.of_type(estate.store.read, "Microsoft.Databricks/workspaces")):
        properties = workspace["properties"]
        estate.open_workspace(int(properties["workspaceId"]), properties["workspaceUrl"], workspace["id"])
    return lambda: None


def _route(method: str, path: str, handler: Handler) -> Route:
    return Route(method=method, path=path, handler=handler, faces=(Face.ARM,), level="stored", errors="arm")


_DELETED_VAULT = "/subscriptions/{subscription}/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/{name}"

SERVICE = Service(
    name="arm",
    routes=(
        _route("GET", "/subscriptions/{subscription}/providers/{namespace}/operationStatuses/{number}", operations.poll),
        _route("GET", "/subscriptions/{subscription}/providers/Microsoft.KeyVault/deletedVaults", deleted_vaults.listing),
        _route("GET", _DELETED_VAULT, deleted_vaults.read),
        _route("POST", f"{_DELETED_VAULT}/purge", deleted_vaults.purge),
        _route("PUT", "/subscriptions/{rest:path}", resources.put),
        _route("GET", "/subscriptions/{rest:path}", resources.read),
        _route("HEAD", "/subscriptions/{rest:path}", resources.exists),
        _route("DELETE", "/subscriptions/{rest:path}", deletion.delete),
        *account_workspaces.ROUTES,
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
