"""Brings the tables to their contracts and carries out the migrations that have not run.

In this order, so that a contract may ask more of rows than before: tables and columns; tags; migrations, which repair the rows that are
there; the CHECK of each table; its version, which says that all of it is done. Killed anywhere, it goes on when it is run again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql.types import StructField

from lakehouse import ddl
from lakehouse.contracts import DatasetContract, contract, load_contracts
from lakehouse.jobs.parameters import parse
from lakehouse.jobs.session import session
from lakehouse.migration import Applied, Migration, outstanding, packaged, resolved
from lakehouse.names import Catalogs, TableName
from lakehouse.tagging import Tagging, taggings, tags_query, wanted_tags

_AT_ONCE = 4
APPLIED = "platform.applied_migrations"


class ContractChanged(RuntimeError):
    """A table has a column of another type than its contract: no additive change, so a migration has to say how."""


class ContractNotKept(RuntimeError):
    """Rows of a table break the CHECK of their contract, so it cannot be put on: a migration has to repair them."""


@dataclass(frozen=True, kw_only=True)
class Shaped:
    """A table with the columns of its contract: what that took. A `created` one has its CHECK already."""

    dataset: DatasetContract
    created: bool
    done: tuple[str, ...] = ()


def main() -> None:
    parameters = parse("migrate")
    spark = session()
    for line in migrate(spark, parameters.catalogs, run_id=parameters.run_id, tag=lambda: tag_columns(spark, parameters.catalogs)):
        print(line)


def migrate(
    spark: SparkSession,
    catalogs: Catalogs,
    *,
    run_id: str = "",
    migrations: Sequence[Migration] | None = None,
    tag: Callable[[], list[str]] = list,
) -> list[str]:
    """What was done, to each table in the order of the contracts and by each migration. Run again it changes nothing.

    `migrations` are the wheel's unless given. `tag` comes between, so that no row is in a table before what masks it; a metastore that has
    no tags is given none. Raises ContractChanged, ContractNotKept and MigrationError; what was done until then stays done.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        tables = list(pool.map(lambda dataset: _shape(spark, dataset, catalogs), load_contracts()))
        tagged = tag()
        done = list(run_migrations(spark, catalogs, packaged() if migrations is None else migrations, run_id=run_id))
        lines = list(pool.map(lambda table: _conclude(spark, table, catalogs), tables))
    return [*lines, *tagged, *done]


def tag_columns(spark: SparkSession, catalogs: Catalogs) -> list[str]:
    """Gives the columns the tags of their contracts, as owner of the tables: what differs alone, each statement by itself."""
    present: dict[tuple[TableName, str], dict[str, str]] = {}
    for catalog, schema, table, column, key, value in spark.sql(tags_query(catalogs)).collect():
        present.setdefault((TableName(catalog=catalog, schema=schema, table=table), column), {})[key] = value

    def carry_out(tagging: Tagging) -> str:
        spark.sql(tagging.statement)
        said = ", ".join([*(f"{key} = {value}" for key, value in tagging.setting), *(f"no {key}" for key in tagging.removing)])
        return f"tagged    {tagging.table.dotted}.{tagging.column}: {said}"

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(carry_out, taggings(wanted_tags(load_contracts(), catalogs), present, prefix=catalogs.prefix)))


def run_migrations(spark: SparkSession, catalogs: Catalogs, migrations: Sequence[Migration], *, run_id: str) -> Iterator[str]:
    """Carries out the statements that are left, one after the other, and records each once it is done."""
    record = catalogs.table(contract(APPLIED))
    names = ("migration", "position", "statements", "checksum")
    applied = [Applied(**row.asDict()) for row in spark.read.table(record.dotted).select(*names).collect()] if migrations else []
    for step in outstanding(migrations, applied):
        spark.sql(resolved(step, catalogs)).collect()
        spark.sql(_recorded(step.record, record, run_id))
        yield f"migrated  {step.migration.file}: statement {step.position} of {len(step.migration.statements)}"


def _recorded(done: Applied, record: TableName, run_id: str) -> str:
    """Literals, for a parser that Delta extends drops the parameters of a statement."""
    texts = {"migration": done.migration, "checksum": done.checksum, "run_id": run_id}
    values = {name: ddl.literal(text) for name, text in texts.items()}
    values |= {"position": str(done.position), "statements": str(done.statements), "applied_ts": "current_timestamp()"}
    return f"INSERT INTO {record} ({', '.join(values)}) VALUES ({', '.join(values.values())})"  # noqa: S608 names and literals are quoted


def _shape(spark: SparkSession, dataset: DatasetContract, catalogs: Catalogs) -> Shaped:
    table = catalogs.table(dataset)
    fields = _fields(spark, table)
    if fields:
        return Shaped(dataset=dataset, created=False, done=(*_bring_columns(spark, dataset, table, fields),))
    spark.sql(ddl.create_table(dataset, table))
    if condition := ddl.check(dataset):
        spark.sql(ddl.add_check(table, condition))
    return Shaped(dataset=dataset, created=True)


def _conclude(spark: SparkSession, shaped: Shaped, catalogs: Catalogs) -> str:
    """CHECK, then properties and version; the line that says what became of the table. Raises ContractChanged and ContractNotKept."""
    dataset, table = shaped.dataset, catalogs.table(shaped.dataset)
    if shaped.created:
        return f"created   {table.dotted}"
    # Read now, for a migration may be what gives a column its new type.
    _refuse_mistyped(dataset, table, _fields(spark, table))
    done = [*shaped.done, *_bring_properties(spark, dataset, table)]
    return f"altered   {table.dotted}: {', '.join(done)}" if done else f"unchanged {table.dotted}"


def _fields(spark: SparkSession, table: TableName) -> dict[str, StructField]:
    """Columns of the table by name; none where there is no table."""
    try:
        return {field.name: field for field in spark.read.table(table.dotted).schema.fields}
    except AnalysisException as error:
        if error.getCondition() != "TABLE_OR_VIEW_NOT_FOUND":
            raise
        return {}


def _bring_columns(spark: SparkSession, dataset: DatasetContract, table: TableName, fields: dict[str, StructField]) -> Iterator[str]:
    missing = [column for column in dataset.columns if column.name not in fields]
    if missing:
        spark.sql(ddl.add_columns(table, missing))
        yield f"added {', '.join(column.name for column in missing)}"
    for column in dataset.columns:
        field = fields.get(column.name)
        if field and column.description != field.metadata.get("comment", ""):
            spark.sql(ddl.set_comment(table, column))
            yield f"comment of {column.name}"
        if field and not field.nullable and not column.required:
            spark.sql(ddl.allow_nulls(table, column))
            yield f"{column.name} may be null"


def _bring_properties(spark: SparkSession, dataset: DatasetContract, table: TableName) -> Iterator[str]:
    present = {row["key"]: row["value"] for row in spark.sql(f"SHOW TBLPROPERTIES {table}").collect()}
    if statements := ddl.replace_check(table, ddl.checks(present), ddl.check(dataset)):
        for statement in statements:
            _constrain(spark, dataset, table, statement)
        yield "constraint"
    # Last, the version among them: whoever reads it may rely on the rest.
    changed = {name: value for name, value in ddl.properties(dataset).items() if present.get(name) != value}
    if changed:
        spark.sql(ddl.set_properties(table, changed))
        yield ", ".join(f"{name} = {value}" for name, value in sorted(changed.items()))


def _constrain(spark: SparkSession, dataset: DatasetContract, table: TableName, statement: str) -> None:
    try:
        spark.sql(statement)
    except AnalysisException as error:
        if error.getCondition() != "DELTA_NEW_CHECK_CONSTRAINT_VIOLATION":
            raise
        found = re.match(r"\[\w+\] (\d+) rows", str(error))
        raise ContractNotKept(
            f"{table.dotted}: {found[1] if found else 'some'} rows break a rule that contract {dataset.version} has and the table had not; "
            "it keeps its CHECK and its version of before. Fix: a migration that repairs these rows (sql/migrations/README.md); "
            f"they break {ddl.check(dataset)}"
        ) from error


def _mistyped(dataset: DatasetContract, fields: dict[str, StructField]) -> dict[str, str]:
    """Columns that are there with another type, and theirs."""
    present = {name: field.dataType.simpleString() for name, field in fields.items()}
    return {
        column.name: present[column.name]
        for column in dataset.columns
        if column.name in present and present[column.name] != column.physical_type.lower()
    }


def _refuse_mistyped(dataset: DatasetContract, table: TableName, fields: dict[str, StructField]) -> None:
    for name, found in _mistyped(dataset, fields).items():
        raise ContractChanged(
            f"{table.dotted}.{name} is {found}, contract {dataset.version} says {dataset.column(name).physical_type}; "
            "a type is never changed in place: add a new column, or write a migration (sql/migrations/README.md)"
        )


if __name__ == "__main__":
    main()
