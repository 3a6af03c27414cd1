"""Two days of generated files through silver and gold: the counts are the ones the generator worked out on its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession

from lakehouse.append import MicroBatch
from lakehouse.contracts import SYSTEMS
from lakehouse.jobs import quality_kpis
from lakehouse.jobs.gold import publish_case_metrics, publish_customers, record_publication, start_history
from lakehouse.silver.batch import SilverTables, write_batch
from samples.generate import generate
from tests.spark.lakehouse_fixtures import CATALOG, MINUTES_AGO, LocalCatalogs, catalogs, landed, spark, table

__all__ = ["catalogs", "spark"]
ROWS = 1500


@dataclass(frozen=True, kw_only=True)
class Estate:
    spark: SparkSession
    catalogs: LocalCatalogs
    folder: Path

    def deliver(self, day: int, *, batch_id: int, broken: bool = False, systems: Sequence[str] = SYSTEMS) -> Mapping[str, Any]:
        """Generates a day's files and brings them to silver."""
        out = self.folder / f"day-{day}"
        manifest = generate(out, day=day, rows=ROWS, broken=broken)
        for system in systems:
            tables = SilverTables.of(system)
            suffix = tables.bronze.landing.format if tables.bronze.landing else ""
            files = [file for file in sorted((out / system).glob(f"*.{suffix}")) if file.stat().st_size]
            rows = landed(self.spark, tables.bronze, *files)
            rows.write.format("delta").mode("append").saveAsTable(self.catalogs.table(tables.bronze).dotted)
            write_batch(rows, MicroBatch(stream_id=system, batch_id=batch_id), tables, self.catalogs, run_id=f"run-{day}")
        return manifest

    def publish(self) -> None:
        started = datetime.now(UTC)
        history = start_history(self.spark, self.catalogs)
        publish_customers(self.spark, self.catalogs)
        publish_case_metrics(self.spark, self.catalogs)
        history.awaitTermination()
        record_publication(self.spark, self.catalogs, started, run_id=f"gold at {started}")

    def rows(self, name: str, condition: str = "true") -> list[Row]:
        return table(self.spark, name).where(condition).collect()


@pytest.fixture
def estate(spark: SparkSession, catalogs: LocalCatalogs, tmp_path: Path) -> Estate:
    return Estate(spark=spark, catalogs=catalogs, folder=tmp_path)


def assert_accounted(estate: Estate, manifest: Mapping[str, Any], batch_id: int) -> None:
    accounts = {(row["dataset"], row["source_file"]): row for row in estate.rows("platform.batch_accounting", f"batch_id = {batch_id}")}
    delivered = {dataset for dataset, _ in accounts}
    for name, expected in manifest["datasets"].items():
        if name not in delivered:
            continue
        file = Path(expected["file"]).name
        account = accounts[name, file]
        assert {outcome: account[f"rows_{outcome}"] for outcome in expected["outcomes"]} == expected["outcomes"], name
        assert account["rows_in"] == expected["rows"] == sum(expected["outcomes"].values())
        assert table(estate.spark, name).count() == expected["table_rows_after"]
        broken = estate.rows(f"{expected['system']}.{expected['system']}_quarantine", f"source_file = '{file}'")
        assert Counter(row["errors"][0] for row in broken) == expected["quarantined_by_reason"]
        assert all(len(row["errors"]) == 1 for row in broken)


def assert_history(estate: Estate, customers: Mapping[str, int]) -> None:
    versions = table(estate.spark, "customer.dim_customer_scd2")
    assert versions.count() == customers["scd2_rows"]
    assert versions.where("is_current").count() == versions.select("customer_id").distinct().count() == customers["scd2_current_rows"]
    assert versions.where("is_current AND is_deleted").count() == customers["scd2_deleted_customers"]
    assert table(estate.spark, "customer.dim_customer").count() == customers["dim_customer_rows"]
    gaps = versions.selectExpr(
        "effective_to", "is_current", "lead(effective_from) OVER (PARTITION BY customer_id ORDER BY effective_from) AS following"
    ).where(
        "NOT (effective_to <=> following) AND NOT (is_current AND following IS NULL AND effective_to = TIMESTAMP '9999-12-31 00:00:00')"
    )
    assert gaps.count() == 0


def assert_broken_files_are_quarantined(estate: Estate, manifest: Mapping[str, Any]) -> None:
    """Empty files and ones of another format give no rows; the bronze job records those."""
    accounts = estate.rows("platform.batch_accounting")
    held = {system: estate.rows(f"{system}.{system}_quarantine") for system in SYSTEMS}
    for file in (file for file in manifest["broken_files"] if file["rows"]):
        system, name = file["file"].split("/")
        kept = [row for row in held[system] if row["source_file"] == name]
        assert len(kept) == file["quarantined"], name
        assert all(any(file["reason"] in error for error in row["errors"]) for row in kept), kept
        assert [row["rows_in"] for row in accounts if row["source_file"] == name] == [file["rows"]]


def assert_figures(estate: Estate, manifest: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures of day 1: rates as the generator worked them out, times as long ago as the files landed."""
    named = [f"--{layer}_catalog={CATALOG}" for layer in ("raw", "curated", "marts", "ai")]
    monkeypatch.setattr("sys.argv", ["quality_kpis", *named, "--run_id=k", "--enforce=true"])
    with pytest.raises(
        SystemExit,
        match=r"quality_kpis: \d+ objectives are missed\..* pass_rate_pct: .* \(below the target 99, above the gate 97\), objective",
    ):
        quality_kpis.main()
    kept = {(row["dataset"], row["kpi"]): row for row in table(estate.spark, "platform.quality_kpis").where("run_id = 'k'").collect()}
    broken: dict[str, Counter[str]] = {}
    for file in manifest["broken_files"]:
        counts = {name: file[name] for name in ("rows", "quarantined")}
        broken.setdefault(file["file"].partition("/")[0], Counter()).update(counts)
    for name, expected in manifest["datasets"].items():
        rows = expected["rows"] + broken[expected["system"]]["rows"]
        held = expected["outcomes"]["quarantined"] + broken[expected["system"]]["quarantined"]
        assert kept[name, "pass_rate_pct"]["value"] == pytest.approx(100 * (1 - held / rows)), name
        assert kept[name, "rows_most"]["value"] == expected["rows"]
    # Each next stage is there later than the one before, and all of them within what they promise.
    stages = ["cmdm.cmdm_bronze", "cmdm.customer_silver", "customer.dim_customer"]
    waited = [kept[name, "freshness_p95_seconds"] for name in stages]
    assert [one["result"] for one in waited] == ["met"] * 3, waited
    assert 60 * MINUTES_AGO - 1 <= waited[0]["value"] <= waited[1]["value"] <= waited[2]["value"]
    stream = kept["sfdc.contact_event_silver", "freshness_p95_seconds"]
    assert (stream["value"], stream["result"], stream["note"]) == (None, "not measured", "never run")


def test_two_days_with_broken_files_give_the_counts_the_generator_worked_out_and_a_redelivery_changes_none(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = estate.deliver(1, batch_id=0, broken=True)
    estate.publish()
    assert_accounted(estate, first, 0)
    assert_broken_files_are_quarantined(estate, first)
    assert_history(estate, first["customers"])
    assert_figures(estate, first, monkeypatch)

    # Marts are made of silver and history: where those stay, so do they.
    counts = [table(estate.spark, name).count() for name in ("cmdm.customer_silver", "cmdm.customer_history")]
    estate.deliver(1, batch_id=1, systems=["cmdm"])
    assert [table(estate.spark, name).count() for name in ("cmdm.customer_silver", "cmdm.customer_history")] == counts

    second = estate.deliver(2, batch_id=2, systems=["cmdm", "pega"])
    estate.publish()
    assert_accounted(estate, second, 2)
    assert_history(estate, second["customers"])
