"""What every ARM request goes through first: its id, its API version, and whether the caller may."""

from __future__ import annotations

from local_estate import tenancy
from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError, not_supported
from local_estate.api.kernel.store import Document
from local_estate.api.services.arm import ids, state
from local_estate.api.services.arm.ids import ResourceId
from local_estate.api.services.arm.types import TYPES, ArmType

_ROLES = {"read": ("Owner", "Contributor", "Reader"), "write": ("Owner", "Contributor"), "delete": ("Owner", "Contributor")}


def require_api_version(call: Call) -> None:
    if not call.query.get("api-version"):
        raise ApiError("MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests.", 400)


def identify(call: Call) -> tuple[ResourceId, ArmType]:
    identifier = ids.parse(call.path)
    if identifier.subscription.lower() != tenancy.SUBSCRIPTION_ID:
        raise ApiError("SubscriptionNotFound", f"The subscription '{identifier.subscription}' could not be found.", 404)
    require_api_version(call)
    known = TYPES.get(identifier.type.lower())
    if known is None:
        raise not_supported(f"the Azure resource type {identifier.type}")
    return identifier, known


def may(call: Call, scope: str, action: str, roles: tuple[str, ...] = ()) -> bool:
    """By a role of the caller at the scope or above it; `roles` besides the usual ones of `read`, `write` and `delete`."""
    wanted = roles or _ROLES[action]
    return any(state.has_role(call.estate, object_id=call.caller.object_id, role_name=role, scope=scope) for role in wanted)


def require_role(call: Call, scope: str, operation: str, action: str, roles: tuple[str, ...] = ()) -> None:
    if not may(call, scope, action, roles):
        raise ApiError(
            "AuthorizationFailed",
            f"The client '{call.caller.name}' with object id '{call.caller.object_id}' does not have authorization to perform action "
            f"'{operation}' over scope '{scope}'.",
            403,
        )


def authorize(call: Call, identifier: ResourceId, action: str) -> None:
    """Readers read; Contributors and Owners write; who gets a role is for Owners and User Access Administrators to say."""
    granting = identifier.type.lower() == "microsoft.authorization/roleassignments" and action != "read"
    scope = identifier.scope or identifier.text
    roles = ("Owner", "User Access Administrator") if granting else ()
    require_role(call, scope, f"{identifier.type}/{action}", action, roles)
    if action != "read":
        _refuse_in_managed_group(call, identifier)


def _refuse_in_managed_group(call: Call, identifier: ResourceId) -> None:
    """Azure Databricks denies everybody, Owners too, the managed group of a workspace."""
    group = state.get(call.store.read, identifier.group) if identifier.resource_group else None
    if group is not None and group.get("managedBy"):
        raise ApiError(
            "DenyAssignmentAuthorizationFailed",
            f"The client '{call.caller.name}' has permission to change '{identifier.text}'; however, the access is denied because of the "
            f"deny assignment of '{group['managedBy']}', which manages the resource group.",
            403,
        )


def authorize_links(call: Call, identifier: ResourceId, known: ArmType, document: Document) -> None:
    """Who joins a resource to another needs the right to write that one too."""
    for target in known.links(document) if known.links else ():
        if target and not may(call, target, "write"):
            raise ApiError(
                "LinkedAuthorizationFailed",
                f"The client '{call.caller.name}' has permission to perform action '{identifier.type}/write' on scope "
                f"'{identifier.text}'; however, it does not have permission to perform action 'join/action' on the linked scope "
                f"'{target}'.",
                403,
            )
