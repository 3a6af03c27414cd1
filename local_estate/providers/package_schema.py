"""The package schema the engine asks for, as far as `pulumi import` needs it: each supported type's inputs and outputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from local_estate.providers.kinds import Provider
from local_estate.providers.schemas import Node, TypeSchema


def package_schema(provider: Provider) -> str:
    """JSON. Nested types are named `<package>:index:<args class without Args>` of their resource."""
    resources: dict[str, Any] = {}
    types: dict[str, Any] = {}
    for token in provider.tokens():
        schema = provider.kind(token).schema
        prefix = f"{token}/"
        for name, definition in schema.definitions.items():
            types[prefix + name] = {
                "type": "object",
                # Only a resource itself may not have properties of these names: nested objects do have an `id`.
                "properties": {each: _type(node, prefix) for each, node in definition["properties"].items()},
                "required": list(definition["required"]),
            }
        inputs = _properties(schema.inputs, prefix)
        outputs = {name: inputs.get(name) or {"$ref": "pulumi.json#/Any"} for name in _outputs(schema)}
        resources[token] = {
            "properties": outputs,
            "inputProperties": inputs,
            "requiredInputs": [name for name in schema.required if name in inputs],
        }
    return json.dumps({"name": provider.name, "version": provider.version, "resources": resources, "types": types})


def _outputs(schema: TypeSchema) -> list[str]:
    return [name for name in schema.outputs if name not in ("id", "urn")]


def _properties(nodes: Mapping[str, Node], prefix: str) -> dict[str, Any]:
    return {name: _type(node, prefix) for name, node in nodes.items() if name not in ("id", "urn")}


def _type(node: Node, prefix: str) -> dict[str, Any]:
    kind = node["type"]
    if kind == "array":
        return {"type": "array", "items": _type(node["items"], prefix)}
    if kind == "map":
        return {"type": "object", "additionalProperties": _type(node["values"], prefix)}
    if kind == "object":
        return {"type": "object", "$ref": f"#/types/{prefix}{node['ref']}"}
    if kind == "asset":
        return {"$ref": "pulumi.json#/Asset"}
    if kind == "any":
        return {"$ref": "pulumi.json#/Any"}
    return {"type": kind}
