"""Experiments 12 and 13: a writer killed in the middle of its commit, and a log that somebody cut."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.contracts import contract
from lakehouse.jobs.gold import start_history
from lakehouse.maintenance.upkeep import maintain
from local_estate.paths import REPOSITORY
from tests.spark.customer_days import HISTORY, QUARANTINE, SILVER, Cmdm, change
from tests.spark.found_tables import forget, warehouse_of
from tests.spark.lakehouse_fixtures import CATALOG, LocalCatalogs, catalogs, one, spark, table
from tests.spark.silver_process import land, to_silver

__all__ = ["catalogs", "spark"]
ROWS = 5_000


def start(folder: Path, warehouse: Path) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "workloads")])
    with (folder / "output").open("wb") as output:
        command = [sys.executable, "-m", "tests.spark.silver_process", str(folder), str(warehouse)]
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output, start_new_session=True)


def data_files(table: Path) -> list[Path]:
    return [file for file in table.rglob("*.parquet") if "_delta_log" not in file.parts and "_change_data" not in file.parts]


def commits(table: Path) -> list[Path]:
    return sorted(file for file in (table / "_delta_log").glob("*.json"))


def test_a_writer_killed_in_the_middle_of_its_commit_leaves_nothing_that_anybody_reads(
    spark: SparkSession, catalogs: LocalCatalogs, tmp_path: Path
) -> None:
    warehouse = warehouse_of(spark)
    silver = warehouse / "cmdm.db" / "customer_silver"
    land(spark, catalogs, ROWS)
    process = start(tmp_path, warehouse)
    # Silver is written last: its first data file is there, its commit is not.
    until = time.monotonic() + 240
    while not data_files(silver):
        assert process.poll() is None and time.monotonic() < until, (tmp_path / "output").read_text()[-3000:]
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    orphans = data_files(silver)
    committed = [file.name for file in commits(silver)]
    assert orphans and not any('"add"' in file.read_text() for file in commits(silver))
    # What a kill leaves when it hits while the log is written.
    leftover = silver / "_delta_log" / f".{len(committed):020d}.json.0f5e.tmp"
    leftover.write_text('{"add":{"path":"part-0')
    forget(spark)

    def rows(name: str) -> int:
        return table(spark, name).count()

    whole, broken = ROWS - ROWS // 10, ROWS // 10
    assert (rows(SILVER), rows(HISTORY), rows(QUARANTINE)) == (0, whole, broken)

    # The next process that runs the stream is this one.
    to_silver(spark, catalogs)
    assert (rows(SILVER), rows(HISTORY), rows(QUARANTINE)) == (whole, whole, broken)
    account = table(spark, "platform.batch_accounting")
    sums = one(account.selectExpr("count(*)", "sum(rows_in)", "sum(rows_written)", "sum(rows_quarantined)"))
    assert tuple(sums) == (1, ROWS, whole, broken)
    assert table(spark, SILVER).select("customer_id").distinct().count() == whole

    # The files that nobody refers to go with the first VACUUM past their retention.
    for file in orphans:
        os.utime(file, (time.time() - 8 * 86_400,) * 2)
    maintain(spark, catalogs, contract(SILVER), retention_hours=168)
    assert not [file for file in orphans if file.exists()]
    assert rows(SILVER) == whole


@pytest.fixture
def cmdm(spark: SparkSession, catalogs: LocalCatalogs) -> Cmdm:
    return Cmdm(spark, catalogs)


def cut(file: Path) -> None:
    text = file.read_text()
    file.write_text(text[: text.index('"add"') + 40])
    # Hadoop's own checksum of the file goes with whoever writes it anew.
    (file.parent / f".{file.name}.crc").unlink(missing_ok=True)


def set_aside(log: Path, *, after: int, folder: Path) -> int:
    """Step 2 of the runbook; how many commits it took."""
    folder.mkdir()
    moved = [file for file in log.iterdir() if (found := re.match(r"\.?([0-9]{20})\.", file.name)) and int(found[1]) > after]
    last = log / "_last_checkpoint"
    if last.exists() and json.loads(last.read_text())["version"] > after:
        moved.append(last)
    for file in moved:
        shutil.move(file, folder / file.name)
    return sum(file.suffix == ".json" for file in moved)


def changed(spark: SparkSession, folder: Path) -> set[str]:
    """Whom a stream that follows silver's changes reads in this run."""
    read: set[str] = set()

    def take(batch: DataFrame, _: int) -> None:
        read.update(row["customer_id"] for row in batch.select("customer_id").collect())

    stream = spark.readStream.option("readChangeFeed", "true").table(f"{CATALOG}.{SILVER}").writeStream.foreachBatch(take)
    stream.option("checkpointLocation", str(folder)).trigger(availableNow=True).start().awaitTermination()
    return read


def test_a_cut_commit_stops_every_reader_and_the_runbook_brings_the_table_back(cmdm: Cmdm, tmp_path: Path) -> None:
    spark = cmdm.spark
    cmdm.deliver(change("C1", 1), change("C2", 1), run_id="one")
    cmdm.deliver(change("C1", 2, phone="0412000001"), change("C3", 2), run_id="two")
    start_history(spark, cmdm.catalogs).awaitTermination()
    assert changed(spark, tmp_path / "follower") == {"C1", "C2", "C3"}
    before = cmdm.whole()
    location = spark.sql(f"DESCRIBE DETAIL {CATALOG}.{SILVER}").collect()[0]["location"].removeprefix("file:")
    log = Path(location) / "_delta_log"
    broken = max(log.glob("*.json"))
    n = int(broken.stem) - 1
    cut(broken)
    forget(spark)
    with pytest.raises(Exception, match=r"MALFORMED|DELTA_"):
        spark.read.table(f"{CATALOG}.{SILVER}").collect()

    lost = set_aside(log, after=n, folder=tmp_path / "aside")
    forget(spark)
    assert spark.sql(f"DESCRIBE HISTORY {CATALOG}.{SILVER} LIMIT 1").collect()[0]["version"] == n
    assert cmdm.customers() == {"C1", "C2"}
    for _ in range(lost):
        spark.sql(f"ALTER TABLE {CATALOG}.{SILVER} SET TBLPROPERTIES ('restored.from' = '{n}')")
    cmdm.backfill("restore", first=date(2025, 6, 2))
    assert changed(spark, tmp_path / "follower") == {"C1", "C3"}
    start_history(spark, cmdm.catalogs).awaitTermination()
    assert cmdm.whole() == before
