"""Users, service principals and groups of the account, and the questions other services ask about them.

Ids are decimal int64 strings from one sequence, so an id names exactly one principal (Databricks' `principal_id` and SCIM id are the same).
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from local_estate import tenancy
from local_estate.api.kernel.call import Call, Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.identity import PRINCIPAL, TOKEN, Principal
from local_estate.api.kernel.routing import Face, Handler
from local_estate.api.kernel.store import Reader, Transaction

GROUP = "identity.group"  # {"id", "display_name", "members": [ids], "workspace_id": None | int, …}
ASSIGNMENT = "identity.assignment"  # "<workspace id>/<principal id>" → {"permissions": ["USER" | "ADMIN"]}
SECRET = "identity.secret"  # noqa: S105  "<principal id>/<secret id>" → hash, status, times
FEDERATION = "identity.federation"  # "<service principal id or account>/<policy id>" → the policy
FIRST_ID = 4_611_686_018_427_000


def new_id(transaction: Transaction) -> str:
    return str(transaction.next("identity.id", start=FIRST_ID))


def digest(secret: str) -> str:
    """Secrets here are random and long, so one round of SHA-256 is enough to store."""
    return hashlib.sha256(secret.encode()).hexdigest()


def seed(estate: Estate) -> None:
    """The deploying service principal: in Entra ID, account admin, there before any stack."""
    with estate.store.transaction() as transaction:
        if transaction.first(PRINCIPAL, {"name": tenancy.DEPLOYER_CLIENT_ID}) is None:
            identifier = new_id(transaction)
            transaction.put(
                PRINCIPAL,
                identifier,
                {
                    "id": identifier,
                    "kind": "service_principal",
                    "name": tenancy.DEPLOYER_CLIENT_ID,
                    "display_name": tenancy.DEPLOYER_NAME,
                    "object_id": tenancy.DEPLOYER_OBJECT_ID,
                    "active": True,
                    "roles": ["account_admin"],
                },
            )


def principal(estate: Estate, *, name: str = "", id: str = "") -> dict[str, Any] | None:
    """By e-mail or application id, or by numeric id."""
    if id:
        return estate.store.read.get(PRINCIPAL, id)
    return estate.store.read.first(PRINCIPAL, {"name": name})


def named(reader: Reader, name: str) -> dict[str, Any] | None:
    """A user or service principal by e-mail or application id, without regard to case."""
    return next((document for _, document in reader.find(PRINCIPAL) if document["name"].lower() == name.lower()), None)


def forget(transaction: Transaction, identifier: str) -> None:
    """A principal or group leaves the account: its groups, its workspaces, its secrets and tokens with it."""
    transaction.delete(PRINCIPAL, identifier)
    transaction.delete(GROUP, identifier)
    for key, containing in transaction.find(GROUP):
        if identifier in containing["members"]:
            transaction.put(GROUP, key, {**containing, "members": [each for each in containing["members"] if each != identifier]})
    for key, _ in transaction.find(ASSIGNMENT):
        if key.endswith(f"/{identifier}"):
            transaction.delete(ASSIGNMENT, key)
    for key, _ in transaction.find(SECRET, prefix=f"{identifier}/"):
        transaction.delete(SECRET, key)
    for key, _ in transaction.find(TOKEN, where={"principal_id": identifier}):
        transaction.delete(TOKEN, key)
    for key, _ in transaction.find(FEDERATION, prefix=f"{identifier}/"):
        transaction.delete(FEDERATION, key)


def group(estate: Estate, *, name: str) -> dict[str, Any] | None:
    """An account group by display name, without regard to case; workspace-local groups are no account groups."""
    for _, document in estate.store.read.find(GROUP):
        if document["workspace_id"] is None and document["display_name"].lower() == name.lower():
            return document
    return None


def parents(reader: Reader, member_id: str) -> list[dict[str, Any]]:
    """Every group that contains the principal or group, directly or through another group."""
    groups = [document for _, document in reader.find(GROUP)]
    found: dict[str, dict[str, Any]] = {}
    wanted = {member_id}
    while wanted:
        direct = [each for each in groups if each["id"] not in found and wanted & set(each["members"])]
        found |= {each["id"]: each for each in direct}
        wanted = {each["id"] for each in direct}
    return list(found.values())


def groups_of(estate: Estate, *, principal_id: str) -> set[str]:
    return {each["display_name"] for each in parents(estate.store.read, principal_id) if each["workspace_id"] is None}


def grantee(estate: Estate, *, name: str) -> str | None:
    """The canonical name of a grant's principal: an account group, an application id or a user. None for anything else."""
    if found := group(estate, name=name):
        return str(found["display_name"])
    if document := named(estate.store.read, name):
        return str(document["name"])
    return "account users" if name == "account users" else None


def is_account_admin(estate: Estate, *, principal_id: str) -> bool:
    document = estate.store.read.get(PRINCIPAL, principal_id) or {}
    return "account_admin" in document.get("roles", ())


def require_account_admin(call: Call) -> None:
    if not is_account_admin(call.estate, principal_id=call.caller.id):
        raise ApiError("PERMISSION_DENIED", f"Only account admins can do this; {call.caller.name} is none.")


def require_workspace_admin(call: Call) -> None:
    """On a workspace's face: account admins need to be its admins too."""
    assert call.workspace_id is not None  # noqa: S101  routes of workspace faces only
    if not is_workspace_admin(call.estate, principal_id=call.caller.id, workspace_id=call.workspace_id):
        raise ApiError("PERMISSION_DENIED", f"Only admins of the workspace can do this; {call.caller.name} is none.")


def permissions(estate: Estate, principal_id: str, workspace_id: int) -> set[str]:
    """USER and ADMIN of a principal in a workspace: its own assignments and those of its groups."""
    reader = estate.store.read
    holders = [principal_id, *(each["id"] for each in parents(reader, principal_id))]
    found = (reader.get(ASSIGNMENT, f"{workspace_id}/{holder}") for holder in holders)
    return {level for assignment in found if assignment for level in assignment["permissions"]}


def is_workspace_admin(estate: Estate, *, principal_id: str, workspace_id: int) -> bool:
    return "ADMIN" in permissions(estate, principal_id, workspace_id) or _contributes(estate, principal_id, workspace_id)


def _contributes(estate: Estate, principal_id: str, workspace_id: int) -> bool:
    """An Owner or Contributor of the Azure resource is admitted as admin, as Azure Databricks does."""
    document = estate.store.read.get(PRINCIPAL, principal_id) or {}
    workspace = estate.ask("arm.workspace", workspace_id=workspace_id)
    if workspace is None or not document.get("object_id"):
        return False
    return any(
        estate.ask("arm.has_role", object_id=document["object_id"], role_name=role, scope=workspace["id"])
        for role in ("Owner", "Contributor")
    )


def admit(estate: Estate, *, principal: Principal, face: Face, workspace_id: int | None) -> None:
    """Raises ApiError 403 when the caller is no member of the workspace, or its principal is inactive.

    ARM admits by role assignments alone.
    """
    if face is Face.ARM:
        return
    document = estate.store.read.get(PRINCIPAL, principal.id) or {}
    if not document.get("active", True):
        raise ApiError("PERMISSION_DENIED", f"{principal.display_name or principal.name} is inactive.")
    if face is not Face.WORKSPACE or workspace_id is None:
        return
    if not permissions(estate, principal.id, workspace_id) and not _contributes(estate, principal.id, workspace_id):
        raise ApiError("PERMISSION_DENIED", f"{principal.name} is not a member of workspace {workspace_id}.")


def of_this_account(handler: Handler) -> Handler:
    """A route with `{account}` in its path answers for the estate's one account."""

    def checked(call: Call) -> Any:
        account = call.path_parameters["account"]
        if account.lower() != tenancy.ACCOUNT_ID:
            raise ApiError("PERMISSION_DENIED", f"Account {account} does not exist or the caller is no member of it.")
        return handler(call)

    return checked


def create_secret(estate: Estate, principal_id: str, seconds: int) -> dict[str, Any]:
    """A new OAuth secret of a service principal; the clear value is in this answer and nowhere else. At most five per principal."""
    now = estate.clock.now()
    value = "dose" + secrets.token_hex(16)
    with estate.store.transaction() as transaction:
        if sum(1 for _ in transaction.find(SECRET, prefix=f"{principal_id}/")) >= 5:
            raise ApiError("RESOURCE_EXHAUSTED", f"Service principal {principal_id} already has 5 secrets, the most it can have.", 400)
        identifier = secrets.token_hex(16)
        stored = {"id": identifier, "secret_hash": digest(value), "status": "ACTIVE", "create_time": now, "expire_time": now + seconds}
        transaction.put(SECRET, f"{principal_id}/{identifier}", stored)
    return {**stored, "secret": value}


def holds_secret(estate: Estate, document: dict[str, Any], value: str) -> bool:
    if document["name"] == tenancy.DEPLOYER_CLIENT_ID and secrets.compare_digest(value.encode(), estate.deployer_secret.encode()):
        return True
    stored = (each for _, each in estate.store.read.find(SECRET, prefix=f"{document['id']}/"))
    hashed = digest(value)
    return any(secrets.compare_digest(each["secret_hash"], hashed) and each["expire_time"] > estate.clock.now() for each in stored)
