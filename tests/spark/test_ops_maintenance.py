"""A day of operations: maintenance between deliveries, and every stream that reads a table goes on behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pyspark.sql import SparkSession

from lakehouse.contracts import SYSTEMS, Kind, contract, of_system
from lakehouse.jobs import silver
from lakehouse.jobs.gold import HISTORY, MARTS, start_history, start_marts
from lakehouse.jobs.parameters import Parameters
from lakehouse.jobs.stream_contact_events import INTERACTIONS, join_interactions
from lakehouse.maintenance.readers import streams
from lakehouse.maintenance.upkeep import maintain
from lakehouse.streaming.events import EventTables
from tests.spark.lakehouse_fixtures import LocalCatalogs, catalogs, plain, spark, table
from tests.spark.ops_rows import call, land

__all__ = ["catalogs", "spark"]
LATE = "spark.databricks.delta.retentionDurationCheck.enabled"
Runs = dict[str, Callable[[], object]]


@pytest.fixture
def runs(spark: SparkSession, catalogs: LocalCatalogs, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    """What a scheduled run does, by the dataset that it fills. Tests keep files for no time at all, which the job's parameters never do."""

    def to_silver(system: str) -> Callable[[], None]:
        def run() -> None:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(silver, "session", lambda: spark)
                patch.setattr(silver, "parse", lambda *_, **__: Parameters(catalogs=catalogs, run_id="r", system=system))
                silver.main()

        return run

    events = Parameters(catalogs=catalogs, run_id="r")
    made: Runs = {of_system(system, Kind.SILVER).name: to_silver(system) for system in SYSTEMS}
    made[MARTS] = lambda: start_marts(spark, catalogs, run_id="r").awaitTermination()
    made[HISTORY] = lambda: start_history(spark, catalogs).awaitTermination()
    made[INTERACTIONS] = lambda: join_interactions(
        spark, EventTables.of_contact_events(), events, {"availableNow": True}
    ).awaitTermination()
    spark.conf.set(LATE, "false")
    yield made
    spark.conf.unset(LATE)


def test_a_vacuum_between_two_deliveries_stops_no_stream_that_reads_a_table(
    spark: SparkSession, catalogs: LocalCatalogs, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    read = streams()
    assert {filled for names in read.values() for filled in names} == set(runs), "every stream that reads a table is run here"

    def deliver(day: int) -> None:
        for system in SYSTEMS:
            land(spark, catalogs, system, day=day)
        call(spark, catalogs, day=day)

    def daily_run() -> str:
        for run in runs.values():
            run()
        return capsys.readouterr().out

    def kept() -> dict[str, object]:
        accounted = table(spark, "platform.batch_accounting").selectExpr("sum(rows_in)", "sum(rows_written)").collect()[0]
        return {
            "accounted": tuple(accounted),
            "updated": plain(table(spark, "jarvis.service_silver").selectExpr("day(updated_ts)")),
            "versions": table(spark, "cmdm.customer_history").count(),
            "marts": (table(spark, MARTS).count(), table(spark, HISTORY).count()),
            "interactions": plain(table(spark, INTERACTIONS).select("ended_event_id")),
        }

    deliver(1)
    daily_run()
    first = kept()
    assert first == {"accounted": (5, 5), "updated": [(1,)], "versions": 1, "marts": (1, 1), "interactions": [("ENDED-1",)]}

    for name in read:
        maintain(spark, catalogs, contract(name), retention_hours=0)
        operations = {row["operation"] for row in spark.sql(f"DESCRIBE HISTORY {catalogs.table(contract(name))}").collect()}
        assert "VACUUM END" in operations
    # The night's run finds commits and no rows in them.
    said = daily_run()
    assert said.count("nothing new in bronze") == len(SYSTEMS)
    assert kept() == first

    deliver(2)
    daily_run()
    assert kept() == {
        "accounted": (10, 10),
        "updated": [(2,)],
        "versions": 2,
        "marts": (1, 1),
        "interactions": [("ENDED-1",), ("ENDED-2",)],
    }
