"""Workspaces as the account lists them. On Azure they come from ARM alone: the account API creates and deletes none."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from local_estate import tenancy
from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError, not_supported
from local_estate.api.kernel.routing import Face, Handler, Route
from local_estate.api.kernel.store import Document
from local_estate.api.services.arm import state


def _require_account_admin(call: Call) -> None:
    account = call.path_parameters["account"]
    if account.lower() != tenancy.ACCOUNT_ID:
        raise ApiError("PERMISSION_DENIED", f"Account {account} does not exist or the caller is no member of it.")
    if not call.estate.ask("identity.is_account_admin", principal_id=call.caller.id):
        raise ApiError("PERMISSION_DENIED", f"Only account admins can do this; {call.caller.name} is none.")


def _shown(document: Document) -> dict[str, Any]:
    properties = document["properties"]
    subscription, group = document["id"].split("/")[2:5:2]
    return {
        "account_id": tenancy.ACCOUNT_ID,
        "workspace_id": int(properties["workspaceId"]),
        "workspace_name": document["name"],
        "deployment_name": properties["workspaceUrl"].removesuffix(".azuredatabricks.net"),
        "workspace_status": "RUNNING",
        "workspace_status_message": "Workspace is running.",
        "location": document["location"],
        "cloud": "azure",
        "compute_mode": properties["computeMode"].upper(),
        "pricing_tier": document["sku"]["name"].upper(),
        "creation_time": int(datetime.fromisoformat(properties["createdDateTime"]).timestamp() * 1000),
        "azure_workspace_info": {"subscription_id": subscription, "resource_group": group},
        "custom_tags": document.get("tags") or {},
    }


def _list(call: Call) -> list[dict[str, Any]]:
    _require_account_admin(call)
    return [_shown(document) for document in state.of_type(call.store.read, "Microsoft.Databricks/workspaces")]


def _get(call: Call) -> dict[str, Any]:
    _require_account_admin(call)
    wanted = call.path_parameters["workspace"]
    for document in state.of_type(call.store.read, "Microsoft.Databricks/workspaces"):
        if document["properties"]["workspaceId"] == wanted:
            return _shown(document)
    raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Workspace {wanted} does not exist in this account.")


def _by_arm(call: Call) -> None:
    _require_account_admin(call)
    raise not_supported(f"{call.method} of a workspace by the account API: on Azure, workspaces are Azure resources (ARM)")


def _route(method: str, path: str, handler: Handler) -> Route:
    return Route(method=method, path=path, handler=handler, faces=(Face.ACCOUNT,), level="executed")


_WORKSPACES = "/api/2.0/accounts/{account}/workspaces"

ROUTES = (
    _route("GET", _WORKSPACES, _list),
    _route("GET", _WORKSPACES + "/{workspace}", _get),
    _route("POST", _WORKSPACES, _by_arm),
    _route("DELETE", _WORKSPACES + "/{workspace}", _by_arm),
)
