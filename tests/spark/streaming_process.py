"""The stream's job as a process of its own, to be killed: `python -m tests.spark.streaming_process FOLDER`.

FOLDER/client.json is the secret of the connection; tables and checkpoints live below FOLDER, so that the next process goes on with them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyspark.sql import SparkSession

from lakehouse import ddl
from lakehouse.contracts import contract
from lakehouse.jobs.parameters import Parameters
from lakehouse.jobs.stream_contact_events import INTERACTIONS, follow
from lakehouse.quality.rule_results import RESULTS
from lakehouse.streaming.connection import kafka_options
from lakehouse.streaming.events import EventTables
from tests.spark.lakehouse_fixtures import CATALOG, LocalCatalogs, local_session

MESSAGES_A_BATCH = 800


def main(folder: Path) -> None:
    catalogs = LocalCatalogs(raw=CATALOG, curated=CATALOG, marts=CATALOG, ai=CATALOG, folder=folder)
    with local_session(folder / "warehouse") as spark:
        create_tables(spark, catalogs)
        options = kafka_options((folder / "client.json").read_text(), name="test/client")
        follow(spark, Parameters(catalogs=catalogs, run_id="test"), options, messages_a_batch=MESSAGES_A_BATCH)


def create_tables(spark: SparkSession, catalogs: LocalCatalogs) -> None:
    """Names end with the session, files stay: a table whose files are there is found again."""
    tables = EventTables.of_contact_events()
    for dataset in (tables.events, tables.dead_letters, tables.contacts, tables.accounting, contract(RESULTS), contract(INTERACTIONS)):
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {dataset.schema_name}")
        place = f"USING DELTA LOCATION '{catalogs.folder}/warehouse/{dataset.schema_name}.db/{dataset.table_name}'"
        there = (catalogs.folder / "warehouse" / f"{dataset.schema_name}.db" / dataset.table_name / "_delta_log").exists()
        made = ddl.create_table(dataset, catalogs.table(dataset)).replace("USING DELTA", place, 1)
        spark.sql(f"CREATE TABLE {catalogs.table(dataset)} {place}" if there else made)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
