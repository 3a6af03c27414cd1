"""Tables of every contract, made once a session and put back as they were made for each test that wants them."""

from __future__ import annotations

import shutil
from pathlib import Path

from pyspark.sql import SparkSession

from lakehouse import ddl
from lakehouse.contracts import load_contracts
from lakehouse.jobs.migrate import migrate
from lakehouse.names import Catalogs

_Files = dict[Path, bytes]
# By table's folder: its files as `migrate` made them. A session keeps its warehouse, whichever module asks first.
_as_made: dict[Path, _Files] = {}


def empty_tables(spark: SparkSession, catalogs: Catalogs) -> None:
    """Empty tables of every contract and no others in their schemas. Making forty takes half a minute, putting files back no time."""
    datasets = {(dataset.schema_name, dataset.table_name): dataset for dataset in load_contracts()}
    warehouse = Path(str(spark.conf.get("spark.sql.warehouse.dir")).removeprefix("file:"))
    missing = dict(datasets)
    for schema in sorted({schema for schema, _ in datasets}):
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for row in spark.sql(f"SHOW TABLES IN {schema}").collect():
            name = (schema, row["tableName"])
            if name not in datasets or not _folder(warehouse, *name).exists():
                spark.sql(f"DROP TABLE {schema}.{name[1]}")
            else:
                del missing[name]
    if not _as_made:
        migrate(spark, catalogs)
        _as_made.update({folder: _files(folder) for folder in (_folder(warehouse, *name) for name in datasets)})
        return
    for dataset in missing.values():
        spark.sql(ddl.create_table(dataset, catalogs.table(dataset)))
    changed = [folder for folder, files in _as_made.items() if _names(folder) != files.keys()]
    for folder in changed:
        _put_back(folder)
    spark.catalog.clearCache()
    # Delta keeps what it has read of a log, and these are other logs now.
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


def _folder(warehouse: Path, schema: str, table: str) -> Path:
    return warehouse / f"{schema}.db" / table


def _names(folder: Path) -> set[Path]:
    return {file for file in folder.rglob("*") if file.is_file()}


def _files(folder: Path) -> _Files:
    return {file: file.read_bytes() for file in _names(folder)}


def _put_back(folder: Path) -> None:
    shutil.rmtree(folder)
    for file, content in _as_made[folder].items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
