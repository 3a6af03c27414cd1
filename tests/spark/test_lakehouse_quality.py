"""The gate: what is too poor stops before the marts; what is repaired leaves quarantine once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.append import MicroBatch
from lakehouse.contracts import Kind, Severity, contract, of_system
from lakehouse.ingest.bronze import bronze_rows
from lakehouse.jobs import accept_batch
from lakehouse.jobs import replay_quarantine as replay_job
from lakehouse.jobs.gold import publish_case_metrics
from lakehouse.names import Catalogs
from lakehouse.quality.breaker import BatchBelowObjective, hold_back, poor_runs
from lakehouse.quality.replay import Replayed, UnknownColumn, bronze_again, replay
from lakehouse.quality.rule_results import silver_rules
from lakehouse.quality.stop import BatchStopped
from lakehouse.schema import declared_names
from lakehouse.silver.batch import SilverTables, write_batch
from lakehouse.streaming.events import EventTables
from lakehouse.streaming.events import write_batch as write_events
from tests.spark.lakehouse_fixtures import CATALOG, LocalCatalogs, catalogs, one, plain, spark, table

__all__ = ["catalogs", "spark"]
PEGA = {"pega": of_system("pega", Kind.SILVER)}
SILVER, QUARANTINE = "pega.case_silver", "pega.pega_quarantine"


def case(number: int, status: str = "open", minute: int = 0) -> dict[str, str]:
    return {
        "case_id": f"K{number}",
        "case_type": "Network Fault",
        "status": status,
        "customer_id": "C1",
        "created_ts": "2025-06-02T09:00:00+10:00",
        "updated_ts": f"2025-06-02T10:{minute:02d}:00+10:00",
    }


def bronze_of(spark: SparkSession, tables: SilverTables, rows: Sequence[Mapping[str, str]]) -> DataFrame:
    names = [*declared_names(tables.bronze), "_rescued_data", "_corrupt_record", "source_file"]
    text = json.dumps([{**row, "source_file": "case_1.json"} for row in rows])
    shape = f"array<struct<{', '.join(f'`{name}`: string' for name in names)}>>"
    landed = spark.range(1).select(F.inline(F.from_json(F.lit(text), shape)))
    arrived = landed.withColumn("landed_ts", F.current_timestamp() - F.expr("INTERVAL 10 MINUTES"))
    return bronze_rows(arrived, tables.bronze, run_id="bronze")


@dataclass
class Pega:
    """Cases as bronze has them, through silver, a run at a time."""

    spark: SparkSession
    catalogs: Catalogs
    batches: int = 0

    @property
    def tables(self) -> SilverTables:
        return SilverTables.of("pega")

    def deliver(self, *rows: Mapping[str, str], run_id: str) -> None:
        write_batch(self.bronze(rows), MicroBatch(stream_id="s", batch_id=self.batches), self.tables, self.catalogs, run_id=run_id)
        self.batches += 1

    def bronze(self, rows: Sequence[Mapping[str, str]]) -> DataFrame:
        return bronze_of(self.spark, self.tables, rows)

    def replay(self, **options: object) -> Replayed:
        return replay(self.spark, self.catalogs, self.tables, **{"run_id": "replay", **options})  # type: ignore[arg-type]

    def hold_back(self) -> None:
        hold_back(self.spark, self.catalogs, PEGA)

    def states(self) -> dict[str, str]:
        return {row["case_id"]: row["status"] for row in table(self.spark, SILVER).collect()}

    def quarantined(self) -> int:
        account = table(self.spark, "platform.batch_accounting")
        return int(one(account.select(F.sum("rows_quarantined").alias("n")))["n"])


@pytest.fixture
def pega(spark: SparkSession, catalogs: LocalCatalogs) -> Pega:
    return Pega(spark, catalogs)


def test_a_repaired_row_leaves_quarantine_once_and_the_sums_hold(pega: Pega) -> None:
    # K3 was corrected at the source meanwhile, K4 has a second fault.
    pega.deliver(*[case(n) for n in range(10, 110)], case(1, "opne"), case(2, "opne"), case(3, "opne"), run_id="one")
    pega.deliver(case(3, "resolved", minute=30), {**case(4, "opne"), "created_ts": "yesterday"}, run_id="two")
    before = plain(table(pega.spark, SILVER))
    assert pega.replay() == Replayed(held=4)

    repair = {"status": {"opne": "open"}}
    foreseen = Replayed(written=2, superseded=1, held=1)
    assert pega.replay(corrections=repair, dry_run=True) == foreseen
    assert plain(table(pega.spark, SILVER)) == before

    assert pega.replay(corrections=repair) == foreseen
    states = pega.states()
    assert (states["K1"], states["K2"], states["K3"]) == ("OPEN", "OPEN", "RESOLVED")
    assert "K4" not in states
    after = plain(table(pega.spark, SILVER))
    assert pega.replay(corrections=repair) == Replayed(held=1)
    assert plain(table(pega.spark, SILVER)) == after

    rows = table(pega.spark, QUARANTINE)
    released = {
        row["released_as"]: row["count"] for row in rows.where("released_run_id = 'replay'").groupBy("released_as").count().collect()
    }
    assert released == {"written": 2, "superseded": 1}
    assert pega.quarantined() == rows.count() == 4


def test_only_rows_with_the_reason_are_judged_again(pega: Pega) -> None:
    pega.deliver(case(1, "opne"), {**case(2), "created_ts": "yesterday"}, run_id="one")
    assert pega.replay(reason="created_ts: ", corrections={"created_ts": {"yesterday": "2025-06-01T09:00:00+10:00"}}) == Replayed(written=1)
    assert set(pega.states()) == {"K2"}


def test_a_replay_that_broke_off_before_quarantine_knew_is_made_whole_by_the_next(pega: Pega) -> None:
    pega.deliver(case(1, "opne"), run_id="one")
    quarantine = f"{CATALOG}.{QUARANTINE}"
    pega.spark.sql(f"ALTER TABLE {quarantine} ADD CONSTRAINT closed CHECK (released_ts IS NULL)")
    repair = {"status": {"opne": "open"}}
    with pytest.raises(Exception, match="CHECK constraint closed"):
        pega.replay(corrections=repair)
    assert pega.states() == {"K1": "OPEN"}
    pega.spark.sql(f"ALTER TABLE {quarantine} DROP CONSTRAINT closed")
    once = plain(table(pega.spark, SILVER))
    assert pega.replay(corrections=repair) == Replayed(duplicate=1)
    assert plain(table(pega.spark, SILVER)) == once
    assert pega.replay(corrections=repair) == Replayed()


def test_a_correction_of_a_column_the_source_lacks_is_refused(pega: Pega) -> None:
    with pytest.raises(UnknownColumn, match=r"pega\.pega_bronze has no column colour; corrections are by its columns: case_id,"):
        bronze_again(table(pega.spark, QUARANTINE), pega.tables.bronze, {"colour": {"red": "blue"}})


def test_a_poisoned_batch_stops_the_publish_until_it_is_replayed_and_yesterdays_mart_stays_readable(pega: Pega) -> None:
    pega.deliver(*[case(n) for n in range(100)], run_id="monday")
    pega.hold_back()
    publish_case_metrics(pega.spark, pega.catalogs, {"pega": table(pega.spark, SILVER)})
    yesterday = plain(table(pega.spark, "operations.case_metrics"))

    pega.deliver(*[case(n, "opne" if n % 3 else "open", minute=10) for n in range(30)], run_id="tuesday")
    with pytest.raises(BatchBelowObjective) as refused:
        pega.hold_back()
    said = str(refused.value)
    assert "pega.case_silver, run tuesday: 20 of 30 rows (66.67 %) are in quarantine, the objective is 3 %. No mart was changed" in said
    assert f"e.g. {CATALOG}.pega.pega_quarantine; repair the rows (job replay_quarantine)" in said
    assert plain(table(pega.spark, "operations.case_metrics")) == yesterday

    assert pega.replay(corrections={"status": {"opne": "open"}}).written == 20
    pega.hold_back()


def test_a_batch_that_was_tried_again_under_another_run_is_good_once_it_is_replayed(pega: Pega) -> None:
    quarantine = f"{CATALOG}.{QUARANTINE}"
    pega.spark.sql(f"ALTER TABLE {quarantine} ADD CONSTRAINT closed CHECK (kind IS NULL)")
    with pytest.raises(Exception, match="CHECK constraint closed"):
        pega.deliver(case(1, "opne"), run_id="first")
    pega.spark.sql(f"ALTER TABLE {quarantine} DROP CONSTRAINT closed")
    pega.deliver(case(1, "opne"), run_id="second")
    assert [run.run_id for run in poor_runs(pega.spark, pega.catalogs, PEGA)] == ["first"]
    figures = table(pega.spark, "platform.rule_results")
    assert figures.count() == figures.select("rule").distinct().count() == len(silver_rules(PEGA["pega"]))
    broken = one(figures.where("rows_failed > 0"))
    assert (broken["rule"], broken["severity"], broken["rows_checked"], broken["run_id"]) == ("status.valid_values", "error", 1, "first")
    assert pega.replay(corrections={"status": {"opne": "open"}}).written == 1
    pega.hold_back()


def test_a_value_that_was_rescued_is_found_once_the_contract_has_its_column(pega: Pega) -> None:
    unknown = {**case(1), "status": "", "_rescued_data": '{"case_status": "open"}'}
    pega.deliver(unknown, run_id="one")
    held = table(pega.spark, QUARANTINE).withColumn("payload", F.replace("payload", F.lit("case_status"), F.lit("status")))
    nameless = held.withColumn("payload", F.replace("payload", F.lit('"status":"",'), F.lit("")))
    assert one(bronze_again(nameless, pega.tables.bronze, {}))["status"] == "open"


def test_a_poor_batch_that_somebody_accepts_no_longer_stops_the_publish(pega: Pega, monkeypatch: pytest.MonkeyPatch) -> None:
    pega.deliver(case(1), case(2, "opne"), run_id="monday")
    with pytest.raises(SystemExit, match=r"no run sunday of pega is held back\. Held back: pega\.case_silver, run monday: 1 of 2"):
        accept(monkeypatch, "pega", "sunday")
    accept(monkeypatch, "pega", "monday")
    assert poor_runs(pega.spark, pega.catalogs, PEGA) == []
    kept = one(table(pega.spark, "platform.accepted_batches"))
    assert (kept["dataset"], kept["run_id"], kept["reason"], kept["accepted_run_id"]) == (SILVER, "monday", "one row, known", "9")


ADDRESS = {
    "addr_line_1_txt": "1 George St",
    "sbrb_nm": "Sydney",
    "state": "NSW",
    "post_cd": "2000",
    "updated_ts": "2025-06-02T10:00:00+10:00",
}
ADDRESSES = ("amdm.address_silver", "amdm.amdm_quarantine", "platform.batch_accounting", "platform.rule_results")


@pytest.fixture
def addresses(spark: SparkSession, catalogs: LocalCatalogs) -> Addresses:
    return Addresses(spark, catalogs)


@dataclass
class Addresses:
    """One delivery of three addresses, one of them with a code of another edition of the statistical areas."""

    spark: SparkSession
    catalogs: Catalogs

    def deliver(self, *, run_id: str, tables: SilverTables | None = None) -> None:
        tables = tables or SilverTables.of("amdm")
        rows = bronze_of(
            self.spark, tables, [{**ADDRESS, "amdm_addr_id": f"A{n}", "gcc_cd": "1SYDN" if n == 2 else "1GSYD"} for n in range(3)]
        )
        write_batch(rows, MicroBatch(stream_id="s", batch_id=0), tables, self.catalogs, run_id=run_id)

    def rows(self) -> list[int]:
        return [table(self.spark, name).count() for name in ADDRESSES]


def accept(monkeypatch: pytest.MonkeyPatch, system: str, run: str) -> None:
    named = [f"--{layer}_catalog={CATALOG}" for layer in ("raw", "curated", "marts", "ai")]
    arguments = ["accept_batch", *named, "--run_id=9", f"--system={system}", f"--batch_run_id={run}", "--reason=one row, known"]
    monkeypatch.setattr("sys.argv", arguments)
    accept_batch.main()


def test_one_row_that_breaks_a_stop_rule_holds_the_batch_back_whole_until_somebody_accepts_it(
    addresses: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in ("monday", "tuesday"):
        with pytest.raises(BatchStopped) as stopped:
            addresses.deliver(run_id=run)
        assert addresses.rows() == [0, 0, 0, 0]
    said = str(stopped.value)
    assert said.startswith("amdm.address_silver: gcc_cd.valid_values (gcc_cd: is not one of 1GSYD, 1RNSW, ")
    assert 'is broken in case_1.json, rows: 1, e.g. {"amdm_addr_id":"A2"}. Severity stop: nothing of this batch was written' in said
    assert "job accept_batch with system=amdm, batch_run_id=tuesday" in said

    with pytest.raises(
        SystemExit, match=r"no run sunday of amdm is held back\. Held back: amdm\.address_silver: gcc_cd\.valid_values is broken in"
    ):
        accept(monkeypatch, "amdm", "sunday")
    accept(monkeypatch, "amdm", "monday")
    addresses.deliver(run_id="wednesday")
    assert {row["amdm_addr_id"] for row in table(addresses.spark, "amdm.address_silver").collect()} == {"A0", "A1"}
    assert one(table(addresses.spark, "amdm.amdm_quarantine"))["errors"][0].startswith("gcc_cd: is not one of")
    broken = one(table(addresses.spark, "platform.rule_results").where("rows_failed > 0"))
    assert (broken["rule"], broken["severity"], broken["rows_failed"], broken["rows_checked"]) == ("gcc_cd.valid_values", "stop", 1, 3)


def test_a_stopped_batch_goes_through_once_a_release_allows_its_rows(addresses: Addresses) -> None:
    with pytest.raises(BatchStopped):
        addresses.deliver(run_id="monday")
    tables = SilverTables.of("amdm")
    allowed = replace(tables.silver.column("gcc_cd"), quality=())
    columns = tuple(allowed if column.name == "gcc_cd" else column for column in tables.silver.columns)
    addresses.spark.sql(f"ALTER TABLE {CATALOG}.amdm.address_silver DROP CONSTRAINT contract")
    addresses.deliver(run_id="tuesday", tables=replace(tables, silver=replace(tables.silver, columns=columns)))
    assert addresses.rows()[:3] == [3, 0, 1]


def messages(spark: SparkSession, *types: str) -> DataFrame:
    values = [
        json.dumps({"event_id": f"E{n}", "contact_id": "N1", "event_type": word, "occurred_ts": ADDRESS["updated_ts"]})
        for n, word in enumerate(types)
    ]
    made = spark.range(1).select(F.posexplode(F.array(*map(F.lit, values))).alias("offset", "text"))
    return made.select(
        F.lit("sfdc.contact-events.v1").alias("topic"),
        F.lit(0).alias("partition"),
        F.col("offset").cast("bigint"),
        F.current_timestamp().alias("timestamp"),
        F.lit("N1").cast("binary").alias("key"),
        F.col("text").cast("binary").alias("value"),
    )


def test_a_stop_rule_of_a_topic_holds_the_micro_batch_back_until_somebody_accepts_it(
    spark: SparkSession, catalogs: LocalCatalogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = EventTables.of_contact_events()
    strict = replace(tables.topic.column("event_type").quality[0], severity=Severity.STOP)
    columns = tuple(replace(c, quality=(strict,)) if c.name == "event_type" else c for c in tables.topic.columns)
    tables = replace(tables, topic=replace(tables.topic, columns=columns))
    batch, at = messages(spark, "STORE_VISIT", "FAX"), MicroBatch(stream_id="s", batch_id=7)
    written = ("sfdc.contact_event_silver", "sfdc.contact_events_dead_letter", "platform.batch_accounting", "platform.rule_results")
    with pytest.raises(BatchStopped, match=r'is broken in sfdc\.contact-events\.v1/0, rows: 1, e\.g\. {"event_id":"E1"}'):
        write_events(batch, at, tables, catalogs, run_id="one")
    assert [table(spark, name).count() for name in written] == [0, 0, 0, 0]
    accept(monkeypatch, "sfdc", "one")
    with pytest.raises(BatchStopped):
        write_events(batch, replace(at, batch_id=8), tables, catalogs, run_id="two")
    write_events(batch, at, tables, catalogs, run_id="three")
    assert [table(spark, name).count() for name in written[:3]] == [1, 1, 1]
    broken = one(table(spark, "platform.rule_results").where("rows_failed > 0"))
    assert (broken["source_file"], broken["rule"], broken["rows_checked"]) == ("sfdc.contact-events.v1", "event_type.valid_values", 2)


def test_a_dataset_without_an_objective_holds_nothing_back(pega: Pega) -> None:
    pega.deliver(case(1, "opne"), run_id="monday")
    free = replace(PEGA["pega"], objectives=replace(PEGA["pega"].objectives, error_rate_pct=None))
    other = contract("sfdc.contact_silver")
    assert poor_runs(pega.spark, pega.catalogs, {"pega": free, "sfdc": other}) == []
    assert len(poor_runs(pega.spark, pega.catalogs, PEGA)) == 1


def test_the_replay_job_says_what_became_of_the_rows(
    pega: Pega, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pega.deliver(case(1, "opne"), run_id="monday")
    named = [f"--{layer}_catalog={CATALOG}" for layer in ("raw", "curated", "marts", "ai")]
    monkeypatch.setattr("sys.argv", ["replay_quarantine", *named, "--system=pega", '--corrections={"status": {"opne": "open"}}'])
    replay_job.main()
    said = "1 quarantined rows judged again = 1 written + 0 duplicate + 0 superseded + 0 still held"
    assert f"{CATALOG}.pega.case_silver: {said}" in capsys.readouterr().out
