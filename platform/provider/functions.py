"""SQL functions of Unity Catalog as text: what a program may ask for, and what a workspace says it has."""

from __future__ import annotations

import re

from databricks.sdk.service.catalog import FunctionInfo

_PART = r"(?:`[^`]+`|[A-Za-z_][A-Za-z0-9_]*)"
_STATEMENT = re.compile(rf"\s*CREATE\s+OR\s+REPLACE\s+FUNCTION\s+({_PART}\.{_PART}\.{_PART})\s*\(", re.IGNORECASE)
_FULL_NAME = re.compile(r"[a-z0-9_-]+\.[a-z0-9_]+\.[a-z0-9_]+")


def mistake_in_name(full_name: str) -> str:
    """Why it is no name of a function; empty where it is one. Unity Catalog keeps names in lower case."""
    return "" if _FULL_NAME.fullmatch(full_name) else f"{full_name!r} is not catalog.schema.function in lower case"


def mistake_in_statement(statement: str, full_name: str) -> str:
    """Why it does not make that function; empty where it does. Only a statement that may run twice is taken."""
    found = _STATEMENT.match(statement)
    if found is None:
        return "must begin with CREATE OR REPLACE FUNCTION catalog.schema.function("
    made = found[1].replace("`", "").lower()
    return "" if made == full_name else f"makes {made}, not {full_name}"


def described(function: FunctionInfo) -> str:
    """The statement that would make what the workspace has, in the workspace's own spelling."""
    given = (function.input_params.parameters if function.input_params else None) or []
    parameters = ", ".join(f"{each.name} {each.type_text.upper()}" for each in sorted(given, key=lambda each: each.position))
    comment = (function.comment or "").replace("\\", "\\\\").replace("'", "\\'")
    return "\n".join(
        [
            f"CREATE OR REPLACE FUNCTION {function.full_name}({parameters})",
            f"RETURNS {(function.full_data_type or '').upper()}",
            *([f"COMMENT '{comment}'"] if comment else []),
            f"RETURN {(function.routine_definition or '').strip()}",
        ]
    )
