"""Maintenance on real tables and streams: it compacts, it deletes, and never what somebody has yet to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession

from lakehouse.contracts import contract
from lakehouse.jobs import maintenance
from lakehouse.jobs.parameters import Parameters
from lakehouse.maintenance.readers import ReaderBehind
from lakehouse.maintenance.upkeep import maintain
from tests.spark.lakehouse_fixtures import CATALOG, LocalCatalogs, catalogs, spark

__all__ = ["catalogs", "spark"]
pytestmark = pytest.mark.usefixtures("any_retention")
BRONZE, SILVER, ACCOUNT = (contract(name) for name in ("cmdm.cmdm_bronze", "cmdm.customer_silver", "platform.batch_accounting"))
LATE = "spark.databricks.delta.retentionDurationCheck.enabled"


@pytest.fixture
def any_retention(spark: SparkSession) -> Iterator[None]:
    """Tests keep files for no time at all, which Delta allows when told to; the job's parameters never do."""
    spark.conf.set(LATE, "false")
    yield
    spark.conf.unset(LATE)


def deliver(spark: SparkSession, *customers: str) -> None:
    """A commit, and a file, a customer."""
    for customer in customers:
        spark.sql(f"INSERT INTO {CATALOG}.cmdm.cmdm_bronze (customer_id) VALUES ('{customer}')")


def files(spark: SparkSession, name: str = "cmdm.cmdm_bronze") -> list[Path]:
    location = spark.sql(f"DESCRIBE DETAIL {CATALOG}.{name}").collect()[0]["location"].removeprefix("file:")
    return [file for file in Path(location).rglob("*.parquet") if "_delta_log" not in file.parts]


def follow(spark: SparkSession, catalogs: LocalCatalogs, write: Callable[[DataFrame], None] | None = None) -> list[str]:
    """The stream that fills silver, as far as maintenance can see: who was read in this run."""
    read: list[str] = []

    def take(batch: DataFrame, _: int) -> None:
        if write:
            write(batch)
        read.extend(row["customer_id"] for row in batch.select("customer_id").collect())

    stream = spark.readStream.table(catalogs.table(BRONZE).dotted).writeStream.foreachBatch(take)
    query = stream.option("checkpointLocation", catalogs.checkpoint(SILVER)).trigger(availableNow=True).start()
    query.awaitTermination()
    return sorted(read)


def test_small_files_become_one_and_what_nobody_needs_is_deleted_but_nothing_unread(
    spark: SparkSession, catalogs: LocalCatalogs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(spark, "C1", "C2", "C3")
    done = maintain(spark, catalogs, BRONZE, retention_hours=168)
    assert (done.table, done.files_removed, done.files_added, done.retention_hours) == (f"{CATALOG}.cmdm.cmdm_bronze", 3, 1, 168)
    assert len(files(spark)) == 4, "within the retention every file stays"
    assert maintain(spark, catalogs, BRONZE, retention_hours=168).files_removed == 0

    assert follow(spark, catalogs) == ["C1", "C2", "C3"]
    assert maintain(spark, catalogs, BRONZE, retention_hours=0).files_removed == 0
    assert len(files(spark)) == 1

    # Compacted before anybody has read them: the stream needs the small files that VACUUM would take.
    deliver(spark, "C4", "C5")
    said = (
        rf"{CATALOG}\.cmdm\.cmdm_bronze: the stream that fills cmdm\.customer_silver has yet to read version \d+ of \d{{4}}-.*, and "
        r"VACUUM with 0 hours would delete what it needs\. Run that stream's job first, or keep files for longer"
    )
    with pytest.raises(ReaderBehind, match=said):
        maintain(spark, catalogs, BRONZE, retention_hours=0)
    monkeypatch.setattr(maintenance, "session", lambda: spark)
    monkeypatch.setattr(maintenance, "parse", lambda *_, **__: Parameters(catalogs=catalogs, run_id="r", retention_hours=0))
    monkeypatch.setattr(maintenance, "load_contracts", lambda: (BRONZE, SILVER))
    with pytest.raises(SystemExit, match=rf"(?s)maintenance: nothing was deleted from these tables.{said}"):
        maintenance.main()
    assert f"{CATALOG}.cmdm.customer_silver" in capsys.readouterr().out, "the other tables are done"
    assert follow(spark, catalogs) == ["C4", "C5"]
    maintain(spark, catalogs, BRONZE, retention_hours=0)
    assert len(files(spark)) == 1
    # Nothing came since; the maintenance of the days before is no reason to wait.
    maintain(spark, catalogs, BRONZE, retention_hours=0)
    assert follow(spark, catalogs) == []


def test_a_stream_whose_first_batch_failed_finds_the_snapshot_it_had_begun_to_read(spark: SparkSession, catalogs: LocalCatalogs) -> None:
    deliver(spark, "C1", "C2")

    def fail(_: DataFrame) -> None:
        raise OSError("the target cannot be reached")

    with pytest.raises(StreamingQueryException, match="the target cannot be reached"):
        follow(spark, catalogs, fail)
    with pytest.raises(ReaderBehind, match=r"has yet to read version 2 of"):
        maintain(spark, catalogs, BRONZE, retention_hours=0)
    assert follow(spark, catalogs) == ["C1", "C2"]


def test_each_partition_is_compacted_for_itself(spark: SparkSession, catalogs: LocalCatalogs) -> None:
    columns = [column.name for column in ACCOUNT.columns if column.required]
    for batch in range(2):
        for system in ("cmdm", "pega"):
            values = {"system": f"'{system}'", "dataset": "'d'", "source_file": "'f'", "batch_id": str(batch)}
            row = ", ".join(values.get(name, "0") for name in columns)
            spark.sql(f"INSERT INTO {CATALOG}.platform.batch_accounting ({', '.join(columns)}) VALUES ({row})")
    done = maintain(spark, catalogs, ACCOUNT, retention_hours=0)
    assert (done.files_removed, done.files_added) == (4, 2)
    assert sorted(file.parent.name for file in files(spark, "platform.batch_accounting")) == ["system=cmdm", "system=pega"]
    assert maintain(spark, catalogs, ACCOUNT, retention_hours=0).files_removed == 0


def test_a_contract_that_keeps_files_for_longer_than_the_stack_is_obeyed(spark: SparkSession, catalogs: LocalCatalogs) -> None:
    longer = replace(BRONZE, table_properties={"delta.deletedFileRetentionDuration": "interval 30 days"})
    deliver(spark, "C1", "C2")
    assert maintain(spark, catalogs, longer, retention_hours=0).retention_hours == 720
    assert len(files(spark)) == 3
