"""Between the SDK's camelCase and the API's snake_case, by schema: the keys of maps are the user's and stay as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local_estate.providers.schemas import Node, TypeSchema

# The bridge gives lists plural names; these differ from the API's, which the others do not.
_SINGULAR = {
    "dependsOns": "depends_on",
    "onFailures": "on_failure",
    "onStarts": "on_start",
    "onSuccesses": "on_success",
    "onDurationWarningThresholdExceededs": "on_duration_warning_threshold_exceeded",
    "onStreamingBacklogExceededs": "on_streaming_backlog_exceeded",
    "onMaintenanceStarts": "on_maintenance_start",
    "onMaintenanceCompletes": "on_maintenance_complete",
    "accessControls": "access_control_list",
    "fullRefreshSelections": "full_refresh_selection",
    "refreshSelections": "refresh_selection",
    "refreshFlowSelections": "refresh_flow_selection",
    "resetCheckpointSelections": "reset_checkpoint_selection",
    "usings": "using",
}
_PLURAL = {api: name for name, api in _SINGULAR.items()}


def snake(name: str) -> str:
    return _SINGULAR.get(name) or re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), name)


def camel(name: str) -> str:
    return _PLURAL.get(name) or re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


def to_api(schema: TypeSchema, values: Mapping[str, Any], only: frozenset[str] | None = None) -> dict[str, Any]:
    """The request body of these inputs (or of `only` some); provider_config addresses the provider and is no part of it."""
    return {
        snake(name): _to_api(schema, value, schema.inputs[name])
        for name, value in values.items()
        if name in schema.inputs and name != "providerConfig" and (only is None or name in only)
    }


def _to_api(schema: TypeSchema, value: Any, node: Node) -> Any:
    if node["type"] == "object" and isinstance(value, dict):
        properties = schema.properties_of(node)
        return {snake(name): _to_api(schema, each, properties[name]) for name, each in value.items() if name in properties}
    if node["type"] == "array" and isinstance(value, list):
        return [_to_api(schema, each, node["items"]) for each in value]
    return value


def from_api(schema: TypeSchema, shown: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs the SDK has of what the API shows; int64 ids become the strings the SDK declares."""
    found: dict[str, Any] = {}
    for api_name, value in shown.items():
        name = camel(api_name)
        if value is None:
            continue
        if name in schema.inputs:
            found[name] = _from_api(schema, value, schema.inputs[name])
        elif name in schema.outputs:
            found[name] = _camel_all(value)
    return found


def _from_api(schema: TypeSchema, value: Any, node: Node) -> Any:
    kind = node["type"]
    if kind == "object" and isinstance(value, dict):
        properties = schema.properties_of(node)
        named = {camel(name): each for name, each in value.items() if each is not None}
        return {name: _from_api(schema, each, properties[name]) for name, each in named.items() if name in properties}
    if kind == "array" and isinstance(value, list):
        return [_from_api(schema, each, node["items"]) for each in value]
    if kind == "string" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if kind == "integer" and isinstance(value, str) and value.lstrip("-").isdigit():
        return int(value)
    return value


def _camel_all(value: Any) -> Any:
    if isinstance(value, dict):
        return {camel(name): _camel_all(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_camel_all(each) for each in value]
    return value
