"""Publishes the marts: for what changed in silver since the last run, and nothing where nothing did."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from lakehouse import merge
from lakehouse.contracts import contract
from lakehouse.gold.address import dim_address
from lakehouse.gold.cases import case_metrics
from lakehouse.gold.changes import AMDM, CMDM, FEEDS, JARVIS, PEGA, SFDC, Silver, changes, everything, keys_of, silver, touched_customers
from lakehouse.gold.customer import dim_customer
from lakehouse.gold.match_rates import hold_to_objectives, match_rates, matched_joins
from lakehouse.gold.people import publish_people
from lakehouse.gold.publish import publish, replace
from lakehouse.gold.scd2 import refresh_versions
from lakehouse.gold.surrogate import surrogate_key
from lakehouse.jobs.parameters import parse
from lakehouse.jobs.session import session
from lakehouse.jobs.streams import begin, finish
from lakehouse.names import Catalogs
from lakehouse.quality.accounting import recorded
from lakehouse.quality.breaker import hold_back
from lakehouse.quality.measures import PUBLICATIONS
from lakehouse.schema import from_values

# The marts of what changed share one stream, so they share a checkpoint, which is that of the one they began with.
MARTS = "customer.dim_customer"
HISTORY = "customer.dim_customer_scd2"


def main() -> None:
    parameters = parse("gold")
    for line in publish_marts(session(), parameters.catalogs, run_id=parameters.run_id):
        print(line)


def publish_marts(spark: SparkSession, catalogs: Catalogs, *, run_id: str) -> list[str]:
    """Brings every mart to what silver and history say by now. Raises BatchBelowObjective and MatchRateBelowObjective."""
    hold_back(spark, catalogs, {system: contract(feed.dataset) for system, feed in FEEDS.items()})
    started = datetime.now(UTC)
    history = start_history(spark, catalogs)
    marts = start_marts(spark, catalogs, run_id=run_id)
    # Both to their end, whichever fails.
    try:
        changed = finish(spark, marts, catalogs.checkpoint(contract(MARTS)), what=f"marts of {catalogs.marts}")
    finally:
        grown = finish(spark, history, catalogs.checkpoint(contract(HISTORY)), what=catalogs.table(contract(HISTORY)).dotted)
    if changed or grown:
        record_publication(spark, catalogs, started, run_id=run_id)
    return [
        f"marts of {catalogs.marts}: brought to {changed} changes of silver" if changed else f"marts of {catalogs.marts}: nothing new",
        f"{catalogs.table(contract(HISTORY)).dotted}: {f'brought to {grown} new versions' if grown else 'no new versions'}",
    ]


def record_publication(spark: SparkSession, catalogs: Catalogs, started: datetime, *, run_id: str) -> None:
    """What silver had when the run began is in the marts now: the end of the way by which freshness is measured."""
    dataset = contract(PUBLICATIONS)
    row = {"run_id": run_id, "started_ts": started.isoformat(), "published_ts": datetime.now(UTC).isoformat()}
    merge.insert_missing(from_values(spark, dataset, [row]), catalogs.table(dataset), dataset.key)


def start_marts(spark: SparkSession, catalogs: Catalogs, *, run_id: str) -> StreamingQuery:
    """Starts the stream that publishes what changed. Changes are taken up once every mart has them; until then the next run retries."""

    def write(batch: DataFrame, _: int) -> None:
        publish_changed(batch.sparkSession, catalogs, batch.distinct().localCheckpoint(), run_id=run_id)

    stream = changes(spark, catalogs).writeStream.foreachBatch(write)
    stream = stream.option("checkpointLocation", catalogs.checkpoint(contract(MARTS))).trigger(availableNow=True)
    return begin(spark, stream.start, what=f"marts of {catalogs.marts}")


def publish_changed(spark: SparkSession, catalogs: Catalogs, changed: DataFrame, *, run_id: str) -> None:
    """Measures the joins, then publishes the marts that hang on a changed system. Raises MatchRateBelowObjective before it touches one."""
    systems = {row["system"] for row in changed.select("system").distinct().collect()}
    if not systems:
        return  # maintenance commits, too; joins that nothing changed are not measured again
    # Every mart reads several of them, so each is read once.
    tables = {system: rows.persist() for system, rows in silver(spark, catalogs).items()}
    try:
        measure_joins(catalogs, tables, run_id=run_id)
        work: list[tuple[set[str], Callable[[], None]]] = [
            ({CMDM, SFDC, JARVIS, PEGA, AMDM}, lambda: publish_people(spark, catalogs, tables, changed)),
            ({CMDM, SFDC, JARVIS, PEGA, AMDM}, lambda: publish_customers(spark, catalogs, tables, changed)),
            ({AMDM}, lambda: publish_addresses(catalogs, tables, changed)),
            ({PEGA}, lambda: publish_case_metrics(spark, catalogs, tables)),
        ]
        with ThreadPoolExecutor(len(work)) as pool:
            for started in [pool.submit(make) for sources, make in work if sources & systems]:
                started.result()
    finally:
        for rows in tables.values():
            rows.unpersist()


def measure_joins(catalogs: Catalogs, tables: Silver, *, run_id: str) -> None:
    """Writes the match rates, then holds them to their objectives: a failed run leaves its figures behind."""
    rates = match_rates(lambda dataset: tables[dataset.system], matched_joins(), run_id=run_id)
    measured = rates.collect()
    dataset = contract("operations.match_rates")
    replace(recorded(measured, rates), dataset, catalogs)
    hold_to_objectives(measured)


def publish_customers(spark: SparkSession, catalogs: Catalogs, tables: Silver | None = None, changed: DataFrame | None = None) -> None:
    """dim_customer for the customers that `changed` speaks of, or for all."""
    tables = tables or silver(spark, catalogs)
    customers, addresses, services, cases, contacts = (tables[system] for system in (CMDM, AMDM, JARVIS, PEGA, SFDC))
    touched = touched_customers(everything(tables) if changed is None else changed, customers).localCheckpoint()
    theirs, raised, linked = (rows.join(touched, "customer_id", "left_semi") for rows in (customers, cases, contacts))
    held = services.join(touched.withColumnRenamed("customer_id", "account_id"), "account_id", "left_semi")
    rows = dim_customer(theirs, addresses, held, raised, linked)
    publish(rows, touched.select(surrogate_key("customer_id").alias("customer_sk")), contract("customer.dim_customer"), catalogs)


def publish_addresses(catalogs: Catalogs, tables: Silver, changed: DataFrame) -> None:
    touched = keys_of(changed, AMDM, "amdm_addr_id")
    rows = dim_address(tables[AMDM].join(touched, "amdm_addr_id", "left_semi"))
    publish(rows, touched.select(surrogate_key("amdm_addr_id").alias("address_sk")), contract("customer.dim_address"), catalogs)


def publish_case_metrics(spark: SparkSession, catalogs: Catalogs, tables: Silver | None = None) -> None:
    """All of it: every figure hangs on the latest change among all cases, and there are a few dozen rows."""
    replace(case_metrics((tables or silver(spark, catalogs))[PEGA]), contract("operations.case_metrics"), catalogs)


def start_history(spark: SparkSession, catalogs: Catalogs) -> StreamingQuery:
    """Starts the stream that recomputes the versions of the customers whose history grew since the last run.

    What a backfill takes out of history it has taken out of the versions itself, and a stream of rows cannot say what is gone.
    """
    source = catalogs.table(contract("cmdm.customer_history"))
    dataset = contract(HISTORY)

    def write(batch: DataFrame, _: int) -> None:
        refresh_versions(batch, source, catalogs.table(dataset))

    stream = spark.readStream.option("skipChangeCommits", "true").table(source.dotted).writeStream.foreachBatch(write)
    stream = stream.option("checkpointLocation", catalogs.checkpoint(dataset)).trigger(availableNow=True)
    return begin(spark, stream.start, what=catalogs.table(dataset).dotted)


if __name__ == "__main__":
    main()
