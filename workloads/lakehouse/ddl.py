"""DDL of a table, from its contract."""

from __future__ import annotations

from collections.abc import Iterable

from lakehouse.contracts import Column, DatasetContract
from lakehouse.names import TableName


def literal(text: str) -> str:
    """A SQL string literal; Spark reads backslash escapes, so both are doubled out."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def column_ddl(column: Column, *, enforce: bool = True) -> str:
    """`name TYPE [NOT NULL] [COMMENT '…']`. Columns added later cannot be NOT NULL: rows without them exist."""
    parts = [f"`{column.name}`", column.physical_type]
    if column.required and enforce:
        parts.append("NOT NULL")
    if column.description:
        parts.append(f"COMMENT {literal(column.description)}")
    return " ".join(parts)


def create_table(dataset: DatasetContract, table: TableName) -> str:
    """CREATE TABLE IF NOT EXISTS with every column, so that no write has to invent the schema."""
    columns = ",\n  ".join(column_ddl(column) for column in dataset.columns)
    statement = f"CREATE TABLE IF NOT EXISTS {table} (\n  {columns}\n) USING DELTA"
    if dataset.partitioned_by:
        statement += f"\nPARTITIONED BY ({', '.join(f'`{name}`' for name in dataset.partitioned_by)})"
    statement += f"\nCOMMENT {literal(dataset.description)}"
    properties = {"contract.version": dataset.version, **dataset.table_properties}
    pairs = ", ".join(f"{literal(key)} = {literal(value)}" for key, value in sorted(properties.items()))
    return f"{statement}\nTBLPROPERTIES ({pairs})"


def add_columns(table: TableName, columns: Iterable[Column]) -> str:
    """ALTER TABLE for columns a newer contract version adds."""
    return f"ALTER TABLE {table} ADD COLUMNS ({', '.join(column_ddl(column, enforce=False) for column in columns)})"
