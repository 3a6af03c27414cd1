"""The stream's job as a process of its own, to be killed: `python -m tests.spark.streaming_process FOLDER`.

FOLDER/client.json is the secret of the connection; tables and checkpoints live below FOLDER, so that the next process goes on with them.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from lakehouse import ddl
from lakehouse.contracts import contract
from lakehouse.jobs import stream_contact_events
from lakehouse.jobs.parameters import Parameters
from lakehouse.jobs.stream_contact_events import INTERACTIONS, follow
from lakehouse.names import TableName
from lakehouse.quality.rule_results import RESULTS
from lakehouse.streaming import events
from lakehouse.streaming.connection import kafka_options
from lakehouse.streaming.events import EventTables
from tests.spark.lakehouse_fixtures import CATALOG, LocalCatalogs, local_session

MESSAGES_A_BATCH = 800
# The writes of a batch, in their order, by the table they write.
WRITES: dict[str, tuple[Any, str]] = {
    "batch_accounting": (events, "append_once"),
    "rule_results": (events, "append_once"),
    "contact_events_dead_letter": (events, "append_once"),
    "contact_event_silver": (events, "append_once"),
    "contact_interaction": (stream_contact_events, "write_interactions"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--continuous", action="store_true")
    parser.add_argument("--die", default="", metavar="WHEN/TABLE", help="before or after one of the writes")
    given = parser.parse_args()
    if given.die:
        when, _, table = given.die.partition("/")
        owner, name = WRITES[table]
        setattr(owner, name, ending(getattr(owner, name), when, table, kill))
    catalogs = LocalCatalogs(raw=CATALOG, curated=CATALOG, marts=CATALOG, ai=CATALOG, folder=given.folder)
    with local_session(given.folder / "warehouse") as spark:
        create_tables(spark, catalogs)
        options = kafka_options((given.folder / "client.json").read_text(), name="test/client")
        parameters = Parameters(catalogs=catalogs, run_id="test", continuous=given.continuous)
        follow(spark, parameters, options, messages_a_batch=MESSAGES_A_BATCH, every="100 milliseconds")


def ending(write: Callable[..., None], when: str, table: str, end: Callable[[str, str], None]) -> Callable[..., None]:
    """`write`, with an end just before or just after what it writes to that table: the moments to lose something, or to repeat it."""

    def fatal(rows: Any, target: TableName, *more: Any, **named: Any) -> None:
        if target.table == table and when == "before":
            end(when, table)
        write(rows, target, *more, **named)
        if target.table == table:
            end(when, table)

    return fatal


def kill(_when: str, _table: str) -> None:
    """`kill -9` of this process and its JVM."""
    os.killpg(0, signal.SIGKILL)


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
    main()
