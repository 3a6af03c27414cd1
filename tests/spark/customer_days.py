"""Changes of customers through bronze and silver of a plain Spark session, a day a run, for tests of what is done to tables afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.append import MicroBatch
from lakehouse.contracts import contract
from lakehouse.ingest.bronze import bronze_rows
from lakehouse.operations.backfill import Backfill, plan, run
from lakehouse.schema import declared_names
from lakehouse.silver.batch import SilverTables, write_batch
from tests.spark.lakehouse_fixtures import LocalCatalogs, plain, table

SILVER, HISTORY, SCD2 = "cmdm.customer_silver", "cmdm.customer_history", "customer.dim_customer_scd2"
QUARANTINE, PROGRESS = "cmdm.cmdm_quarantine", "platform.backfill_progress"
FIRST, LAST = date(2025, 6, 1), date(2025, 6, 3)


def change(customer: str, day: int, **more: str) -> dict[str, str]:
    """A change of the customer on the day, in that day's file."""
    return {
        "customer_id": customer,
        "first_name": "Ann",
        "email": f"{customer.lower()}@example.com",
        "change_type": "UPSERT",
        "updated_ts": f"2025-06-{day:02d}T10:00:00+10:00",
        **more,
        "source_file": f"dbfs:/Volumes/raw/cmdm/landing/customer_202506{day:02d}.csv",
    }


@dataclass
class Cmdm:
    """Changes of customers through bronze and silver, a day a run."""

    spark: SparkSession
    catalogs: LocalCatalogs
    batches: int = 0
    said: list[str] = field(default_factory=list)

    @property
    def tables(self) -> SilverTables:
        return SilverTables.of("cmdm")

    def deliver(self, *rows: Mapping[str, str], run_id: str, silver: bool = True) -> None:
        names = [*declared_names(self.tables.bronze), "_rescued_data", "_corrupt_record", "source_file"]
        shape = f"array<struct<{', '.join(f'`{name}`: string' for name in names)}>>"
        landed = self.spark.range(1).select(F.inline(F.from_json(F.lit(json.dumps(rows)), shape)))
        bronze = self.catalogs.table(self.tables.bronze).dotted
        landed = landed.withColumn("landed_ts", F.current_timestamp())
        bronze_rows(landed, self.tables.bronze, run_id=run_id).write.format("delta").mode("append").saveAsTable(bronze)
        if silver:
            self.to_silver(run_id, f"run_id = '{run_id}'")

    def to_silver(self, run_id: str, condition: str = "true") -> None:
        at = MicroBatch(stream_id=run_id, batch_id=self.batches)
        rows = table(self.spark, "cmdm.cmdm_bronze").where(condition)
        write_batch(rows, at, self.tables, self.catalogs, run_id=run_id)
        self.batches += 1

    def backfill(self, name: str, *, run_id: str = "", first: date = FIRST, last: date = LAST) -> None:
        asked = Backfill(name=name, system="cmdm", first=first, last=last)
        self.said.clear()
        days = plan(self.spark, self.catalogs, asked)
        run(self.spark, self.catalogs, asked, days, run_id=run_id or name, parallel=2, say=self.said.append)

    def rows_of(self, name: str) -> list[tuple[object, ...]]:
        """The owner's columns: which run wrote a row is no part of what it says."""
        return plain(table(self.spark, name).select(*declared_names(contract(name))))

    def whole(self, *names: str) -> dict[str, list[tuple[object, ...]]]:
        return {name: self.rows_of(name) for name in names or (SILVER, HISTORY, SCD2)}

    def customers(self, name: str = SILVER) -> set[str]:
        return {row["customer_id"] for row in table(self.spark, name).select("customer_id").distinct().collect()}

    def held(self) -> dict[str, str]:
        rows = table(self.spark, QUARANTINE).where("released_ts IS NULL")
        return {str(json.loads(row["payload"]).get("customer_id", "")): row["errors"][0] for row in rows.collect()}

    def progress(self, name: str) -> dict[int, tuple[int, int, int, int]]:
        rows = table(self.spark, PROGRESS).where(f"backfill = '{name}'").collect()
        return {row["day"].day: (row["rows_delivered"], row["keys"], row["rows_judged"], row["rows_changed"]) for row in rows}
