"""An ordinary Spark session with Delta in a JVM of the test process: no service, no governance, only what the transformations need."""

from __future__ import annotations

import functools
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from lakehouse.contracts import DatasetContract
from lakehouse.contracts.platform_columns import CORRUPT, RESCUED
from lakehouse.ingest.bronze import bronze_rows
from lakehouse.names import Catalogs
from local_estate.paths import Paths
from local_estate.spark.launch import Launch
from tests.spark.empty_tables import empty_tables

# The session catalog plays all four: schema names of the layers differ in their tables, so nothing collides.
CATALOG = "spark_catalog"
MINUTES_AGO = 10  # when landing files arrived


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    with local_session() as session:
        yield session


@contextmanager
def local_session(warehouse: Path | None = None) -> Iterator[SparkSession]:
    """`warehouse` keeps the tables' files where another process finds them; else they go with the session."""
    launch = Launch.of(Paths.from_environment())
    with tempfile.TemporaryDirectory(prefix="lakehouse-spark-") as folder:
        # Spark's own launcher asks for a module that the JDK of the wheel lacks; this one asks for what it has.
        launcher = Path(folder) / "bin" / "spark-submit"
        launcher.parent.mkdir()
        # Java, options and class path of the data plane, so that its ahead-of-time cache serves here too.
        command = [*launch.command("1500m", "-XX:TieredStopAtLevel=1"), "org.apache.spark.deploy.SparkSubmit"]
        launcher.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        launcher.chmod(0o700)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SPARK_HOME", folder)
            patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
            session = _builder().config("spark.sql.warehouse.dir", str(warehouse or f"{folder}/warehouse")).getOrCreate()
            session.sparkContext.setLogLevel("ERROR")
            yield session
            session.stop()


def _builder() -> SparkSession.Builder:
    return SparkSession.builder.master("local[2]").config(
        map={
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            "spark.sql.shuffle.partitions": "2",
            "spark.databricks.delta.snapshotPartitions": "2",
            "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
            "spark.sql.session.timeZone": "UTC",
            "spark.ui.enabled": "false",
            # A few rows a query: compiling code for each, or adapting its plan, would take most of the time.
            "spark.sql.adaptive.enabled": "false",
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        }
    )


@dataclass(frozen=True, kw_only=True)
class LocalCatalogs(Catalogs):
    """The catalogs of a test, with volumes in a folder of its own."""

    folder: Path

    def checkpoint(self, dataset: object) -> str:
        return f"{self.folder}/checkpoints/{dataset.name}"


@pytest.fixture
def catalogs(spark: SparkSession, tmp_path: Path) -> LocalCatalogs:
    """Empty tables of every contract."""
    made = LocalCatalogs(raw=CATALOG, curated=CATALOG, marts=CATALOG, ai=CATALOG, folder=tmp_path)
    empty_tables(spark, made)
    return made


def table(spark: SparkSession, name: str) -> DataFrame:
    return spark.read.table(f"{CATALOG}.{name}")


def plain(rows: DataFrame) -> list[tuple[object, ...]]:
    """Rows as tuples, in an order of their own, to compare."""
    return sorted((tuple(row) for row in rows.collect()), key=repr)


def one(rows: DataFrame) -> Row:
    found = rows.collect()
    assert len(found) == 1, found
    return found[0]


def landed(spark: SparkSession, bronze: DatasetContract, *files: Path) -> DataFrame:
    """Files as Auto Loader reads them: columns by the header's names, others rescued, unparsable lines kept. A batch, not a stream."""
    names = [column.name for column in bronze.declared_columns]
    frames = []
    for file in files:
        if bronze.landing and bronze.landing.format == "json":
            schema = StructType([*[StructField(name, StringType()) for name in names], StructField(CORRUPT, StringType())])
            read = spark.read.schema(schema).option("columnNameOfCorruptRecord", CORRUPT).json(str(file))
            rescued = F.lit(None).cast("string")
        else:
            header = file.read_bytes().decode("utf-8", "replace").split("\n", 1)[0].split(",")
            schema = StructType([*[StructField(name, StringType()) for name in header], StructField(CORRUPT, StringType())])
            read = (
                spark.read.schema(schema)
                .option("header", True)
                .option("escape", '"')
                .option("columnNameOfCorruptRecord", CORRUPT)
                .csv(str(file))
            )
            # Spark calls a short line corrupt; Auto Loader fills it up with nulls.
            read = read.withColumn(CORRUPT, F.lit(None).cast("string"))
            others = [name for name in header if name not in names]
            rescued = F.to_json(F.struct(*others)) if others else F.lit(None).cast("string")
            read = read.withColumns({name: F.lit(None).cast("string") for name in names if name not in header})
        frames.append(
            read.withColumns(
                {
                    RESCUED: rescued,
                    "source_file": F.lit(file.name),
                    "landed_ts": F.current_timestamp() - F.expr(f"INTERVAL {MINUTES_AGO} MINUTES"),
                }
            ).select(*names, RESCUED, CORRUPT, "source_file", "landed_ts")
        )
    return bronze_rows(functools.reduce(DataFrame.unionByName, frames), bronze, run_id="test")
