"""Brings the tables to their contracts, then carries out the migrations that have not run."""

from __future__ import annotations

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


@dataclass(frozen=True, kw_only=True)
class Brought:
    """What was done to one table, and whether a column is still of another type than the contract says."""

    dataset: DatasetContract
    line: str
    mistyped: bool = False


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
    no tags is given none. Raises ContractChanged and MigrationError; what was done until then stays done.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        tables = list(pool.map(lambda dataset: _bring_up(spark, dataset, catalogs), load_contracts()))
    tagged = tag()
    done = list(run_migrations(spark, catalogs, packaged() if migrations is None else migrations, run_id=run_id))
    # Now, for a migration may be what gives a column its new type.
    for table in tables:
        if table.mistyped:
            _refuse_mistyped(table.dataset, catalogs.table(table.dataset), _fields(spark, catalogs.table(table.dataset)))
    return [*(table.line for table in tables), *tagged, *done]


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


def _bring_up(spark: SparkSession, dataset: DatasetContract, catalogs: Catalogs) -> Brought:
    table = catalogs.table(dataset)
    fields = _fields(spark, table)
    if not fields:
        spark.sql(ddl.create_table(dataset, table))
        if condition := ddl.check(dataset):
            spark.sql(ddl.add_check(table, condition))
        return Brought(dataset=dataset, line=f"created   {table.dotted}")
    done = [*_bring_columns(spark, dataset, table, fields), *_bring_properties(spark, dataset, table)]
    line = f"altered   {table.dotted}: {', '.join(done)}" if done else f"unchanged {table.dotted}"
    return Brought(dataset=dataset, line=line, mistyped=bool(_mistyped(dataset, fields)))


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
    changed = {name: value for name, value in ddl.properties(dataset).items() if present.get(name) != value}
    if changed:
        spark.sql(ddl.set_properties(table, changed))
        yield ", ".join(f"{name} = {value}" for name, value in sorted(changed.items()))
    check, wanted = present.get(ddl.CHECK_PROPERTY, ""), ddl.check(dataset)
    if _words(check) == _words(wanted):
        return
    if check:
        spark.sql(ddl.drop_check(table))
    if wanted:
        spark.sql(ddl.add_check(table, wanted))
    yield "constraint"


def _words(condition: str) -> str:
    """Delta keeps a condition with blanks of its own."""
    return "".join(condition.split())


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
