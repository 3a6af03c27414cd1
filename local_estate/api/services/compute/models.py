"""Cluster policies and instance pools as stored, and what a policy says about a cluster spec."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document, Reader
from local_estate.api.services.compute import evaluation

POLICY = "compute.policy"  # documents by `<workspace>|<policy id>`
POOL = "compute.pool"  # documents by `<workspace>|<pool id>`


def new_policy_id() -> str:
    return secrets.token_hex(8).upper()


def new_pool_id(now: float) -> str:
    return time.strftime("%m%d-%H%M%S", time.gmtime(now)) + f"-pool-{secrets.token_hex(4)}"


def policy(reader: Reader, workspace_id: int, policy_id: str) -> Document:
    found = reader.get(POLICY, f"{workspace_id}|{policy_id}")
    if found is None:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Can't find a cluster policy with id: {policy_id}.")
    return found


def pool(reader: Reader, workspace_id: int, pool_id: str) -> Document:
    found = reader.get(POOL, f"{workspace_id}|{pool_id}")
    if found is None:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Can't find an instance pool with id: {pool_id}.")
    return found


def evaluate_policy(
    estate: Estate,
    *,
    workspace_id: int,
    policy_id: str,
    spec: Mapping[str, Any],
    principal_id: str,
    apply_defaults: bool,
    cluster_type: str = "job",
) -> Document:
    """The question `compute.evaluate_policy`: the spec of a job's (or pipeline's, "dlt") cluster as the policy completes it.

    Raises ApiError: PERMISSION_DENIED without CAN_USE on the policy, INVALID_PARAMETER_VALUE for a malformed policy or a violation.
    """
    found = policy(estate.store.read, workspace_id, policy_id)
    estate.ask(
        "permissions.require",
        principal_id=principal_id,
        workspace_id=workspace_id,
        object_type="cluster-policies",
        object_id=policy_id,
        level="CAN_USE",
    )
    resolved = _with_pool(estate, workspace_id, dict(spec))
    try:
        completed = evaluation.evaluate(found["definition"], resolved, apply_defaults=apply_defaults, cluster_type=cluster_type)
    except (evaluation.PolicyMalformed, evaluation.PolicyViolation) as refused:
        raise ApiError("INVALID_PARAMETER_VALUE", f"Cluster validation error: {refused}") from None
    if "node_type_id" not in spec and "instance_pool_id" in spec:
        completed.pop("node_type_id", None)
    return completed


def _with_pool(estate: Estate, workspace_id: int, spec: Document) -> Document:
    """A pool decides the node type of the clusters that draw from it."""
    if pool_id := spec.get("instance_pool_id"):
        return {"node_type_id": pool(estate.store.read, workspace_id, str(pool_id)).get("node_type_id"), **spec}
    return spec
