"""Between the SDK's flat inputs and outputs and ARM's nested bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_estate.providers.azure_native.arm_types import ArmType
from local_estate.providers.schemas import TypeSchema

# What ARM keeps beside `properties` in nested objects that have an id of their own.
_NESTED_TOP = frozenset({"id", "name", "type", "etag", "location", "tags", "sku", "zones", "extendedLocation", "identity", "kind"})
# Properties that hold such objects.
_NESTED = frozenset(
    {
        "applicationSecurityGroups",
        "defaultSecurityRules",
        "delegations",
        "flowLogs",
        "ipConfigurations",
        "manualPrivateLinkServiceConnections",
        "networkInterfaces",
        "networkSecurityGroup",
        "privateDnsZoneConfigs",
        "privateLinkServiceConnections",
        "routeTable",
        "routes",
        "securityRules",
        "serviceEndpointPolicies",
        "subnet",
        "subnets",
        "virtualNetworkPeerings",
    }
)


def request_body(arm: ArmType, schema: TypeSchema, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The PUT body: path parameters left out, everything that is not ARM's own top level under `properties`."""
    path_names = {part.partition("}")[0] for part in arm.path.split("{")[1:]}
    body: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for name, value in inputs.items():
        if name == "properties" and arm.explicit_properties:
            properties.update(_renamed(value, arm.renamed))
        elif name in arm.top:
            body[name] = value if name != "identity" else _identity(value)
        elif name not in path_names and name in schema.inputs:
            properties[arm.renamed.get(name, name)] = _nest(name, _renamed(value, arm.renamed))
    if properties or not arm.explicit_properties:
        body["properties"] = properties
    return body


def _identity(value: Any) -> Any:
    """The SDK lists user-assigned identities; ARM keeps a map."""
    if isinstance(value, dict) and isinstance(value.get("userAssignedIdentities"), list):
        return {**value, "userAssignedIdentities": {each: {} for each in value["userAssignedIdentities"]}}
    return value


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if not names:
        return value
    if isinstance(value, dict):
        return {names.get(name, name): _renamed(each, names) for name, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    return value


def _nest(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_nest(name, each) for each in value]
    if not isinstance(value, dict):
        return value
    inner = {key: _nest(key, each) for key, each in value.items()}
    if name not in _NESTED:
        return inner
    top = {key: each for key, each in inner.items() if key in _NESTED_TOP}
    properties = {key: each for key, each in inner.items() if key not in _NESTED_TOP}
    return {**top, "properties": properties} if properties else top


def outputs(arm: ArmType, schema: TypeSchema, shown: Mapping[str, Any]) -> dict[str, Any]:
    """What the SDK knows of an ARM answer, flattened as azure-native does."""
    back = {wire: name for name, wire in arm.renamed.items()}
    flat: dict[str, Any] = {name: value for name, value in shown.items() if name not in ("properties", "id")}
    properties = shown.get("properties") or {}
    if arm.explicit_properties:
        flat["properties"] = _flatten("", properties)
    else:
        for wire, value in properties.items():
            name = back.get(wire, wire)
            flat[name] = _flatten(name, _inner_renamed(value, back))
    known = set(schema.outputs)
    found = {name: value for name, value in flat.items() if name in known and value is not None}
    if isinstance(found.get("identity"), dict) and isinstance(found["identity"].get("userAssignedIdentities"), list):
        found["identity"]["userAssignedIdentities"] = {each: {} for each in found["identity"]["userAssignedIdentities"]}
    return found | {"azureApiVersion": arm.api_version}


def _inner_renamed(value: Any, back: Mapping[str, str]) -> Any:
    # `id` and `value` are too common to be renamed outside the rule lists they come from.
    if isinstance(value, dict):
        renamed: dict[str, Any] = {}
        for name, each in value.items():
            if name == "ipRules":
                renamed[name] = [_renamed(rule, {"value": "iPAddressOrRange"}) for rule in each]
            elif name == "virtualNetworkRules":
                renamed[name] = [_renamed(rule, {"id": "virtualNetworkResourceId"}) for rule in each]
            else:
                key = back.get(name, name) if name not in ("id", "value") else name
                renamed[key] = _inner_renamed(each, back)
        return renamed
    if isinstance(value, list):
        return [_inner_renamed(each, back) for each in value]
    return value


def _flatten(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_flatten(name, each) for each in value]
    if not isinstance(value, dict):
        return value
    nested = value.get("properties")
    if name in _NESTED and isinstance(nested, dict):
        value = {**{key: each for key, each in value.items() if key != "properties"}, **nested}
    return {key: _flatten(key, each) for key, each in value.items()}
