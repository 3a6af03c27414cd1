"""Creates the tables of every contract and adds columns that newer contracts have."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from lakehouse.contracts import DatasetContract, load_contracts
from lakehouse.ddl import add_columns, create_table
from lakehouse.jobs.parameters import parse
from lakehouse.jobs.session import session
from lakehouse.names import Catalogs

_AT_ONCE = 4


class ContractChanged(RuntimeError):
    """A table has a column of another type than its contract: no additive change, so a migration has to say how."""


def main() -> None:
    parameters = parse("migrate")
    spark = session()
    for line in migrate(spark, parameters.catalogs):
        print(line)


def migrate(spark: SparkSession, catalogs: Catalogs) -> list[str]:
    """What was done to each table, in the order of the contracts. Run again it changes nothing. Raises ContractChanged."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda dataset: _bring_up(spark, dataset, catalogs), load_contracts()))


def _bring_up(spark: SparkSession, dataset: DatasetContract, catalogs: Catalogs) -> str:
    table = catalogs.table(dataset)
    try:
        present = {field.name: field.dataType.simpleString() for field in spark.read.table(table.dotted).schema.fields}
    except AnalysisException as error:
        if error.getCondition() != "TABLE_OR_VIEW_NOT_FOUND":
            raise
        spark.sql(create_table(dataset, table))
        return f"created   {table.dotted}"
    for column in dataset.columns:
        if present.get(column.name, column.physical_type.lower()) != column.physical_type.lower():
            raise ContractChanged(
                f"{table.dotted}.{column.name} is {present[column.name]}, contract {dataset.version} says {column.physical_type}; "
                "a type is never changed in place: add a new column or migrate the table"
            )
    missing = [column for column in dataset.columns if column.name not in present]
    if not missing:
        return f"unchanged {table.dotted}"
    spark.sql(add_columns(table, missing))
    return f"altered   {table.dotted}: added {', '.join(column.name for column in missing)}"


if __name__ == "__main__":
    main()
