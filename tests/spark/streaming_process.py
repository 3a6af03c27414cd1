"""The stream's job as a process of its own, to be killed: `python -m tests.spark.streaming_process FOLDER WAREHOUSE --die WHEN/TABLE/N`.

FOLDER/client.json is the secret of the connection. Tables are in WAREHOUSE and checkpoints below FOLDER, so that another process can go on
with them.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lakehouse.contracts import contract
from lakehouse.jobs import stream_contact_events
from lakehouse.jobs.parameters import Parameters
from lakehouse.jobs.stream_contact_events import INTERACTIONS, follow
from lakehouse.names import TableName
from lakehouse.quality.rule_results import RESULTS
from lakehouse.streaming import events
from lakehouse.streaming.connection import kafka_options
from lakehouse.streaming.events import EventTables
from tests.spark.found_tables import find_tables
from tests.spark.lakehouse_fixtures import CATALOG, LocalCatalogs, local_session

MESSAGES_A_BATCH = 150
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
    parser.add_argument("warehouse", type=Path)
    parser.add_argument("--die", required=True, metavar="WHEN/TABLE/N", help="before or after the N-th time of one of the writes")
    given = parser.parse_args()
    when, table, count = given.die.split("/")
    owner, name = WRITES[table]
    setattr(owner, name, ending(getattr(owner, name), when, table, kill, after=int(count) - 1))
    catalogs = LocalCatalogs(raw=CATALOG, curated=CATALOG, marts=CATALOG, ai=CATALOG, folder=given.folder)
    tables = EventTables.of_contact_events()
    written = (tables.events, tables.dead_letters, tables.contacts, tables.accounting, contract(RESULTS), contract(INTERACTIONS))
    with local_session(given.warehouse) as spark:
        find_tables(spark, catalogs, written)
        options = kafka_options((given.folder / "client.json").read_text(), name="test/client")
        parameters = Parameters(catalogs=catalogs, run_id="test", continuous=True)
        follow(spark, parameters, options, messages_a_batch=MESSAGES_A_BATCH, every="100 milliseconds")


def ending(write: Callable[..., None], when: str, table: str, end: Callable[[str, str], None], *, after: int = 0) -> Callable[..., None]:
    """`write`, with an end just before or just after what it writes to that table: the moments to lose something, or to repeat it.

    The first `after` writes to the table go well.
    """
    left = after

    def fatal(rows: Any, target: TableName, *more: Any, **named: Any) -> None:
        nonlocal left
        now = target.table == table and left == 0
        left -= target.table == table
        if now and when == "before":
            end(when, table)
        write(rows, target, *more, **named)
        if now:
            end(when, table)

    return fatal


def kill(_when: str, _table: str) -> None:
    """`kill -9` of this process and its JVM."""
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
