"""One micro-batch of a silver stream: judge the rows, write each where it belongs, account for it."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame

from lakehouse import merge
from lakehouse.append import MicroBatch, append_once
from lakehouse.contracts import DatasetContract, Kind, contract, load_contracts, of_system
from lakehouse.names import Catalogs
from lakehouse.quality.accounting import EXAMPLES, FAILED, LANDED, BatchTotals, accounting, recorded, totals
from lakehouse.quality.quarantine import quarantined_rows
from lakehouse.quality.rule_results import RESULTS, rule_results, silver_rules
from lakehouse.quality.stop import found_stops, hold_whole
from lakehouse.silver.outcome import TIED, against_target, prepared, ranked, remembered, version_rows, written_rows


@dataclass(frozen=True, kw_only=True)
class SilverTables:
    """The datasets of one system: where its rows come from and where they may go."""

    bronze: DatasetContract
    silver: DatasetContract
    quarantine: DatasetContract
    history: DatasetContract | None
    accounting: DatasetContract

    @classmethod
    def of(cls, system: str) -> SilverTables:
        history = [dataset for dataset in load_contracts() if dataset.system == system and dataset.kind is Kind.HISTORY]
        return cls(
            bronze=of_system(system, Kind.BRONZE),
            silver=of_system(system, Kind.SILVER),
            quarantine=of_system(system, Kind.QUARANTINE),
            history=history[0] if history else None,
            accounting=contract("platform.batch_accounting"),
        )


def write_batch(batch: DataFrame, at: MicroBatch, tables: SilverTables, catalogs: Catalogs, *, run_id: str) -> BatchTotals | None:
    """Writes account and figures, quarantine, history, then silver. A retry of the batch finds what was written and adds nothing to it.

    None for a batch without a row: what VACUUM and ALTER TABLE commit makes a batch, too, though nobody delivered.
    Raises BatchStopped before it writes any of them.
    """
    silver, spark = tables.silver, batch.sparkSession
    target = spark.read.table(catalogs.table(silver).dotted)
    judged = prepared(batch, tables.bronze, silver, carried=(LANDED,))
    rows = kept = against_target(ranked(judged, silver), target, silver).persist()
    try:
        # Ties are rare and history is long, so it is asked only where there are some.
        if tables.history and not kept.where(TIED).isEmpty():
            rows = remembered(kept, spark.read.table(catalogs.table(tables.history).dotted), silver)
        rules = silver_rules(silver)
        account = accounting(rows, silver, rules, batch_id=at.batch_id, run_id=run_id)
        files = account.collect()
        if not files:
            return None
        sums = totals(files)
        hold_whole(spark, catalogs, found_stops(files, rules, silver), silver, at, run_id=run_id)
        append_once(recorded(files, account.drop(FAILED, EXAMPLES)), catalogs.table(tables.accounting), at)
        figures = rule_results(spark, files, rules, silver, batch_id=at.batch_id, run_id=run_id)
        append_once(figures, catalogs.table(contract(RESULTS)), at)
        if sums.quarantined:
            append_once(quarantined_rows(rows, silver, run_id=run_id), catalogs.table(tables.quarantine), at)
        if tables.history and sums.rows_in > sums.quarantined:
            versions = version_rows(rows, tables.history, run_id=run_id)
            merge.insert_missing(versions, catalogs.table(tables.history), tables.history.key)
        # Last: the outcomes depend on the target, and Spark drops what it has cached of a table that is written.
        if sums.written:
            winners = written_rows(rows, silver, run_id=run_id)
            merge.upsert(winners, catalogs.table(silver), silver.key, when=merge.newer(str(silver.sequence)))
    finally:
        kept.unpersist()
    return sums
