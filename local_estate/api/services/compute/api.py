"""`/api/2.0/policies/clusters/*`, `/api/2.0/instance-pools/*` and the reading part of `/api/2.1/clusters/*`."""

from __future__ import annotations

from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError, not_supported
from local_estate.api.kernel.routing import Handler, Route, Service
from local_estate.api.kernel.store import Document
from local_estate.api.services.compute import models
from local_estate.api.services.compute.models import POLICY, POOL
from local_estate.api.services.compute.node_types import NODE_TYPES, SPARK_VERSIONS

_POLICY_FIELDS = ("name", "definition", "description", "max_clusters_per_user", "libraries")
_POOL_FIELDS = (
    "instance_pool_name",
    "node_type_id",
    "min_idle_instances",
    "max_capacity",
    "idle_instance_autotermination_minutes",
    "enable_elastic_disk",
    "azure_attributes",
    "custom_tags",
    "disk_spec",
    "preloaded_spark_versions",
    "preloaded_docker_images",
)
_FIXED_POOL_FIELDS = ("node_type_id", "azure_attributes", "disk_spec", "preloaded_spark_versions", "preloaded_docker_images")


def _workspace(call: Call) -> int:
    return call.workspace_id or 0


def _admin_only(call: Call, what: str) -> None:
    if not call.estate.ask("identity.is_workspace_admin", principal_id=call.caller.id, workspace_id=_workspace(call)):
        raise ApiError("PERMISSION_DENIED", f"{call.caller.name} is not authorized to {what}; only workspace admins are.")


def _acl(call: Call, question: str, object_type: str, object_id: str, **named: Any) -> Any:
    return call.estate.ask(f"permissions.{question}", workspace_id=_workspace(call), object_type=object_type, object_id=object_id, **named)


def _may_use(call: Call, object_type: str, object_id: str) -> bool:
    return _acl(call, "level", object_type, object_id, principal_id=call.caller.id) is not None


# --- policies


def _refuse_families(call: Call) -> None:
    if call.data.get("policy_family_id") or call.data.get("policy_family_definition_overrides"):
        raise not_supported("cluster policy families; give the definition itself")


def _policy_fields(call: Call) -> Document:
    _refuse_families(call)
    call.required("name")
    if not isinstance(call.required("definition"), str):
        raise ApiError("INVALID_PARAMETER_VALUE", "definition must be a string that holds a JSON document.")
    return {field: call.json[field] for field in _POLICY_FIELDS if call.json.get(field) is not None}


def _create_policy(call: Call) -> Document:
    _admin_only(call, "create cluster policies")
    fields = _policy_fields(call)
    policy_id = models.new_policy_id()
    with call.store.transaction() as transaction:
        _unused_name(transaction, POLICY, _workspace(call), "name", fields["name"], "")
        document = {
            "policy_id": policy_id,
            "creator_user_name": call.caller.name,
            "created_at_timestamp": call.estate.clock.now_ms(),
            "is_default": False,
            **fields,
        }
        transaction.put(POLICY, f"{_workspace(call)}|{policy_id}", document)
        _acl(call, "created", "cluster-policies", policy_id, owner_id=call.caller.id)
    return {"policy_id": policy_id}


def _unused_name(reader: Any, kind: str, workspace_id: int, field: str, name: str, own_id: str) -> None:
    for key, document in reader.find(kind, prefix=f"{workspace_id}|"):
        if document[field] == name and key != f"{workspace_id}|{own_id}":
            what = "Cluster policy" if kind == POLICY else "Instance pool"
            raise ApiError("INVALID_PARAMETER_VALUE", f"{what} with name '{name}' already exists, please choose a different name")


def _edit_policy(call: Call) -> Document:
    _admin_only(call, "edit cluster policies")
    policy_id = str(call.required("policy_id"))
    with call.store.transaction() as transaction:
        before = models.policy(transaction, _workspace(call), policy_id)
        fields = _policy_fields(call)
        _unused_name(transaction, POLICY, _workspace(call), "name", fields["name"], policy_id)
        kept = {field: value for field, value in before.items() if field not in _POLICY_FIELDS}
        transaction.put(POLICY, f"{_workspace(call)}|{policy_id}", {**kept, **fields})
    return {}


def _delete_policy(call: Call) -> Document:
    _admin_only(call, "delete cluster policies")
    policy_id = str(call.required("policy_id"))
    with call.store.transaction() as transaction:
        models.policy(transaction, _workspace(call), policy_id)
        transaction.delete(POLICY, f"{_workspace(call)}|{policy_id}")
        _acl(call, "deleted", "cluster-policies", policy_id)
    return {}


def _get_policy(call: Call) -> Document:
    policy_id = str(call.required("policy_id"))
    found = models.policy(call.store.read, _workspace(call), policy_id)
    _acl(call, "require", "cluster-policies", policy_id, principal_id=call.caller.id, level="CAN_USE")
    return found


def _list_policies(call: Call) -> Document:
    found = [document for _, document in call.store.read.find(POLICY, prefix=f"{_workspace(call)}|")]
    visible = [document for document in found if _may_use(call, "cluster-policies", document["policy_id"])]
    newest_first = sorted(visible, key=lambda document: (-document["created_at_timestamp"], document["name"]))
    return {"policies": newest_first, "total_count": len(visible)} if visible else {}


def _list_families(_: Call) -> Document:
    return {"policy_families": []}


def _get_family(call: Call) -> Document:
    raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Policy family {call.path_parameters['id']} does not exist.")


# --- pools


def _pool_fields(call: Call) -> Document:
    fields = {field: call.json[field] for field in _POOL_FIELDS if call.json.get(field) is not None}
    known = {node.node_type_id for node in NODE_TYPES}
    if fields.get("node_type_id") not in known:
        raise ApiError("INVALID_PARAMETER_VALUE", f"Node type {fields.get('node_type_id')} is not supported.")
    low, high = int(fields.get("min_idle_instances", 0)), fields.get("max_capacity")
    if high is not None and low > int(high):
        raise ApiError("INVALID_PARAMETER_VALUE", f"min_idle_instances ({low}) must not exceed max_capacity ({high}).")
    defaults: Document = {
        "min_idle_instances": 0,
        "idle_instance_autotermination_minutes": 60,
        "enable_elastic_disk": True,
        "azure_attributes": {"availability": "ON_DEMAND_AZURE", "spot_bid_max_price": -1.0},
    }
    return {**defaults, **fields}


def _create_pool(call: Call) -> Document:
    _admin_only(call, "create instance pools")
    call.required("instance_pool_name")
    fields = _pool_fields(call)
    pool_id = models.new_pool_id(call.estate.clock.now())
    with call.store.transaction() as transaction:
        _unused_name(transaction, POOL, _workspace(call), "instance_pool_name", fields["instance_pool_name"], "")
        tags = {"Vendor": "Databricks", "DatabricksInstancePoolId": pool_id, "DatabricksInstancePoolCreatorId": call.caller.id}
        document = {"instance_pool_id": pool_id, "state": "ACTIVE", "default_tags": tags, **fields}
        transaction.put(POOL, f"{_workspace(call)}|{pool_id}", document)
        _acl(call, "created", "instance-pools", pool_id, owner_id=call.caller.id)
    return {"instance_pool_id": pool_id}


def _edit_pool(call: Call) -> Document:
    pool_id = str(call.required("instance_pool_id"))
    _acl(call, "require", "instance-pools", pool_id, principal_id=call.caller.id, level="CAN_MANAGE")
    with call.store.transaction() as transaction:
        before = models.pool(transaction, _workspace(call), pool_id)
        for field in _FIXED_POOL_FIELDS:
            if field in call.json and call.json[field] != before.get(field):
                raise ApiError("INVALID_PARAMETER_VALUE", f"The field {field} of an instance pool cannot be changed.")
        kept = {field: value for field, value in before.items() if field not in _POOL_FIELDS or field in _FIXED_POOL_FIELDS}
        given = {field: call.json[field] for field in _POOL_FIELDS if call.json.get(field) is not None}
        name = str(given.get("instance_pool_name", before["instance_pool_name"]))
        _unused_name(transaction, POOL, _workspace(call), "instance_pool_name", name, pool_id)
        defaults = {"min_idle_instances": 0, "idle_instance_autotermination_minutes": 60, "enable_elastic_disk": True}
        transaction.put(POOL, f"{_workspace(call)}|{pool_id}", {**kept, **defaults, **given, "instance_pool_name": name})
    return {}


def _delete_pool(call: Call) -> Document:
    pool_id = str(call.required("instance_pool_id"))
    _acl(call, "require", "instance-pools", pool_id, principal_id=call.caller.id, level="CAN_MANAGE")
    with call.store.transaction() as transaction:
        models.pool(transaction, _workspace(call), pool_id)
        transaction.delete(POOL, f"{_workspace(call)}|{pool_id}")
        _acl(call, "deleted", "instance-pools", pool_id)
    return {}


def _pool_wire(document: Document) -> Document:
    idle = {"used_count": 0, "idle_count": 0, "pending_used_count": 0, "pending_idle_count": 0}
    return {**document, "stats": idle, "status": {"pending_instance_errors": []}}


def _get_pool(call: Call) -> Document:
    pool_id = str(call.required("instance_pool_id"))
    found = models.pool(call.store.read, _workspace(call), pool_id)
    _acl(call, "require", "instance-pools", pool_id, principal_id=call.caller.id, level="CAN_ATTACH_TO")
    return _pool_wire(found)


def _list_pools(call: Call) -> Document:
    found = [document for _, document in call.store.read.find(POOL, prefix=f"{_workspace(call)}|")]
    visible = [_pool_wire(document) for document in found if _may_use(call, "instance-pools", document["instance_pool_id"])]
    return {"instance_pools": visible} if visible else {}


# --- clusters


def _get_cluster(call: Call) -> Document:
    raise ApiError("INVALID_PARAMETER_VALUE", f"Cluster {call.required('cluster_id')} does not exist")


def _list_clusters(_: Call) -> Document:
    return {"clusters": []}


def _refuse_cluster(call: Call) -> Document:
    raise not_supported(f"all-purpose clusters ({call.path.rpartition('/')[2]}); jobs run on job clusters or environments")


def _list_node_types(_: Call) -> Document:
    return {"node_types": [node.wire() for node in NODE_TYPES]}


def _spark_versions(_: Call) -> Document:
    return {"versions": [{"key": key, "name": name} for key, name in SPARK_VERSIONS]}


def _cluster_routes() -> tuple[Route, ...]:
    rows: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "get", _get_cluster),
        ("GET", "list", _list_clusters),
        ("GET", "list-node-types", _list_node_types),
        ("GET", "spark-versions", _spark_versions),
        ("POST", "create", _refuse_cluster),
        *(
            ("POST", verb, _get_cluster)
            for verb in ("edit", "delete", "permanent-delete", "start", "restart", "resize", "events", "pin", "unpin")
        ),
    )
    return tuple(
        Route(method=method, path=f"/api/{version}/clusters/{verb}", handler=handler)
        for version in ("2.0", "2.1")
        for method, verb, handler in rows
    )


def _route(method: str, path: str, handler: Handler, executed: bool = False) -> Route:
    return Route(method=method, path=f"/api/2.0/{path}", handler=handler, level="executed" if executed else "stored")


SERVICE = Service(
    name="compute",
    routes=(
        _route("POST", "policies/clusters/create", _create_policy, True),
        _route("POST", "policies/clusters/edit", _edit_policy, True),
        _route("POST", "policies/clusters/delete", _delete_policy, True),
        _route("GET", "policies/clusters/get", _get_policy, True),
        _route("GET", "policies/clusters/list", _list_policies, True),
        _route("GET", "policy-families", _list_families),
        _route("GET", "policy-families/{id}", _get_family),
        _route("POST", "instance-pools/create", _create_pool),
        _route("POST", "instance-pools/edit", _edit_pool),
        _route("POST", "instance-pools/delete", _delete_pool),
        _route("GET", "instance-pools/get", _get_pool),
        _route("GET", "instance-pools/list", _list_pools),
        *_cluster_routes(),
    ),
    provides={"compute.evaluate_policy": models.evaluate_policy},
)
