"""JSON Schema (draft 2020-12) of what a producer delivers: the rows of a landing file, or the messages of a topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.contracts.dataset import Column, DatasetContract, Kind

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES = {"BOOLEAN": "boolean", "INT": "integer", "BIGINT": "integer", "DOUBLE": "number"}
_FORMATS = {"DATE": "date", "TIMESTAMP": "date-time"}


def producer_schema(dataset: DatasetContract, typed: DatasetContract | None = None) -> dict[str, Any]:
    """`dataset` is a bronze table or a topic, `typed` the silver table that types a bronze one.

    Columns nobody declared are allowed: a source may add one, and bronze keeps it as rescued data. Landing rows are only held to what
    standardisation cannot mend: silver turns `In progress` into IN_PROGRESS, so its words are examples here and no enum.
    """
    columns = {column.source: column for column in typed.declared_columns if column.source} if typed else {}
    properties = {
        column.name: _message_value(column) if dataset.kind is Kind.TOPIC else _landing_value(column, columns.get(column.name), dataset)
        for column in dataset.declared_columns
    }
    required = [
        column.name for column in dataset.declared_columns if column.required or (column.name in columns and columns[column.name].required)
    ]
    return {
        "$schema": DIALECT,
        "$id": f"urn:mt:lakehouse:{dataset.name}:{dataset.version}",
        "title": dataset.name,
        "description": dataset.description,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": True,
    }


def producer_schemas(contracts: Mapping[str, DatasetContract]) -> dict[str, dict[str, Any]]:
    """By dataset name: every landing dataset and topic among `contracts`."""
    silver = {dataset.source: dataset for dataset in contracts.values() if dataset.kind is Kind.SILVER}
    return {
        name: producer_schema(dataset, silver.get(name)) for name, dataset in contracts.items() if dataset.kind in (Kind.BRONZE, Kind.TOPIC)
    }


def _described(column: Column, value: dict[str, Any]) -> dict[str, Any]:
    return {"description": column.description, **value, "x-classification": str(column.classification)}


def _landing_value(column: Column, typed: Column | None, dataset: DatasetContract) -> dict[str, Any]:
    """CSV knows text alone; a JSON source may write a number as one."""
    value: dict[str, Any] = {"type": ["string", "null"]}
    if typed and dataset.landing and dataset.landing.format == "json" and (number := _TYPES.get(typed.physical_type)):
        value = {"type": [number, "string", "null"]}
    if typed and typed.physical_type in _FORMATS:
        value["format"] = _FORMATS[typed.physical_type]
    if typed and typed.valid_values:
        value["examples"] = list(typed.valid_values)
    return _described(column, value)


def _message_value(column: Column) -> dict[str, Any]:
    kind = "array" if column.physical_type.startswith("ARRAY") else _TYPES.get(column.physical_type, "string")
    value: dict[str, Any] = {"type": kind if column.required else [kind, "null"]}
    if kind == "array":
        value["items"] = {"type": "string"}
    if column.physical_type.startswith("DECIMAL"):
        value["type"] = "number" if column.required else ["number", "null"]
    if column.physical_type in _FORMATS:
        value["format"] = _FORMATS[column.physical_type]
    if column.valid_values:
        value["enum"] = [*column.valid_values, *([] if column.required else [None])]
    for rule in column.quality:
        if not rule.severity.refuses:
            continue
        if rule.implementation == "matches":
            value["pattern"] = str(rule.arguments["pattern"])
        if rule.implementation == "not_negative":
            value["minimum"] = 0
    return _described(column, value)
