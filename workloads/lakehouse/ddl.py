"""DDL of a table, from its contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lakehouse.contracts import Column, DatasetContract, QualityRule
from lakehouse.names import TableName

# The CHECK of a table goes by one of two names: the new condition is added under the free one before the old one goes, so that no write
# ever finds the table without. Delta keeps a CHECK in a table property.
CHECKS = ("contract", "contract_2")
VERSION = "contract.version"
# The types Delta keeps bounds of, among those our contracts use.
_WITH_STATISTICS = ("STRING", "TIMESTAMP", "DATE", "INT", "BIGINT", "DOUBLE", "DECIMAL")


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
    return f"{statement}\nTBLPROPERTIES ({_pairs(properties(dataset))})"


def properties(dataset: DatasetContract) -> dict[str, str]:
    """Table properties that the contract gives: whose it is, which version the table has been brought to, and what the owner asks for."""
    about = {
        VERSION: dataset.version,
        "contract.owner": dataset.owner,
        "contract.key": ",".join(dataset.key),
        "delta.dataSkippingStatsColumns": ",".join(sought_columns(dataset)),
    }
    return {**{name: value for name, value in about.items() if value}, **dataset.table_properties}


def sought_columns(dataset: DatasetContract) -> tuple[str, ...]:
    """Columns that somebody looks rows up by: keys, the sequence, references and the platform's times.

    Delta would keep the least and greatest value of the first 32 columns of every file, which costs a write more than it saves a reader
    of free text. https://learn.microsoft.com/azure/databricks/delta/data-skipping
    """
    return tuple(
        column.name
        for column in dataset.columns
        if column.name not in dataset.partitioned_by
        and column.physical_type.partition("<")[0].partition("(")[0] in _WITH_STATISTICS
        and (
            (column.name in (*dataset.key, dataset.sequence) and column.name != "_row_hash")
            or column.references
            or (column.platform and column.physical_type == "TIMESTAMP")
        )
    )


def set_properties(table: TableName, changed: Mapping[str, str]) -> str:
    return f"ALTER TABLE {table} SET TBLPROPERTIES ({_pairs(changed)})"


def _pairs(properties: Mapping[str, str]) -> str:
    return ", ".join(f"{literal(key)} = {literal(value)}" for key, value in sorted(properties.items()))


def check(dataset: DatasetContract) -> str:
    """The condition every row satisfies: rules of severity error or stop that hold within one row. Empty where there are none.

    Quarantine takes other rows long before; the check stops the job that forgets to ask it. Delta refuses a row whose condition is null.
    """
    conditions = [
        f"coalesce({condition}, true)"
        for column in dataset.columns
        for rule in column.quality
        if rule.severity.refuses and (condition := _condition(column, rule))
    ]
    return " AND ".join(conditions)


def _condition(column: Column, rule: QualityRule) -> str:
    """Empty for a rule that needs more than the row, such as the time of ingestion or a table of postcodes."""
    name = f"`{column.name}`"
    match rule.implementation:
        case "valid_values":
            return f"{name} IN ({', '.join(literal(str(value)) for value in rule.arguments['validValues'])})"
        case "matches":
            return f"{name} RLIKE {literal(str(rule.arguments['pattern']))}"
        case "not_negative":
            return f"{name} >= 0"
        case "not_before":
            return f"{name} >= `{rule.arguments['column']}`"
    return ""


def checks(properties: Mapping[str, str]) -> dict[str, str]:
    """The conditions that a table holds its rows to for its contract, by name, from its properties."""
    found = {name: properties.get(f"delta.constraints.{name}", "") for name in CHECKS}
    return {name: condition for name, condition in found.items() if condition}


def replace_check(table: TableName, present: Mapping[str, str], wanted: str) -> list[str]:
    """Statements that leave the table with the condition `wanted` alone (with none where it is empty), and never without one in between.

    From any state that a run which broke off may have left: begun again they go on.
    """
    right = [name for name, condition in present.items() if wanted and _words(condition) == _words(wanted)][:1]
    free = [name for name in CHECKS if name not in present][:1]
    if not wanted or right:
        return [drop_check(table, name) for name in present if name not in right]
    if free:
        return [add_check(table, wanted, free[0]), *(drop_check(table, name) for name in present)]
    # Two conditions and neither is ours: two releases, the first of which broke off. One of them holds while ours comes.
    first, second = CHECKS
    return [drop_check(table, first), add_check(table, wanted, first), drop_check(table, second)]


def _words(condition: str) -> str:
    """Delta keeps a condition with blanks of its own."""
    return "".join(condition.split())


def add_check(table: TableName, condition: str, name: str = CHECKS[0]) -> str:
    """Delta looks at the rows that are there, too, so one constraint costs one scan."""
    return f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition})"


def drop_check(table: TableName, name: str = CHECKS[0]) -> str:
    return f"ALTER TABLE {table} DROP CONSTRAINT {name}"


def set_comment(table: TableName, column: Column) -> str:
    return f"ALTER TABLE {table} ALTER COLUMN `{column.name}` COMMENT {literal(column.description)}"


def allow_nulls(table: TableName, column: Column) -> str:
    return f"ALTER TABLE {table} ALTER COLUMN `{column.name}` DROP NOT NULL"


def add_columns(table: TableName, columns: Iterable[Column]) -> str:
    """ALTER TABLE for columns a newer contract version adds."""
    return f"ALTER TABLE {table} ADD COLUMNS ({', '.join(column_ddl(column, enforce=False) for column in columns)})"
