"""A few valid rows of every system and events of the topic, put where the jobs read them; for tests of what is done to running tables."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import SparkSession

from lakehouse.contracts import DatasetContract, Kind, contract, of_system
from lakehouse.schema import from_values
from tests.spark.lakehouse_fixtures import LocalCatalogs

_ROWS: Mapping[str, Mapping[str, str]] = {
    "amdm": {"amdm_addr_id": "AD1", "addr_line_1_txt": "1 George Street", "sbrb_nm": "Sydney", "state": "NSW", "post_cd": "2000"},
    "cmdm": {
        "customer_id": "CU1",
        "change_type": "UPSERT",
        "first_name": "Pat",
        "last_name": "Lee",
        "email": "pat@example.com",
        "amdm_addr_id": "AD1",
    },
    "jarvis": {"service_id": "SV1", "account_id": "CU1", "service_type": "Nbn", "status": "Active", "start_dt": "2024-01-31"},
    "pega": {
        "case_id": "C-1",
        "case_type": "Billing",
        "status": "Open",
        "customer_id": "CU1",
        "created_ts": "2025-06-01T10:00:00+10:00",
    },
    "sfdc": {"contact_id": "003MT1", "email": "pat@example.com", "state": "NSW", "postcode": "2000", "customer_id": "CU1"},
}


def land(spark: SparkSession, catalogs: LocalCatalogs, system: str, *, day: int) -> None:
    """One commit of the system's bronze: its row, changed on the day."""
    bronze = of_system(system, Kind.BRONZE)
    row = {
        **_ROWS[system],
        "updated_ts": f"2025-06-{day:02d}T12:00:00+10:00",
        "source_file": f"{system}_202506{day:02d}.csv",
        "ingest_ts": f"2025-06-{day:02d}T05:00:00Z",
        "landed_ts": f"2025-06-{day:02d}T04:00:00Z",
        "run_id": "test",
    }
    append(spark, catalogs, bronze, row)


def call(spark: SparkSession, catalogs: LocalCatalogs, *, day: int) -> None:
    """Start and end of a call of the day, as the stream of the topic leaves them."""
    for suffix, minute in (("STARTED", 0), ("ENDED", 10)):
        at = f"2025-06-{day:02d}T10:{minute:02d}:00Z"
        row = {
            "event_id": f"{suffix}-{day}",
            "contact_id": "003MT1",
            "event_type": f"CALL_{suffix}",
            "occurred_ts": at,
            "produced_ts": at,
            "is_late": False,
            "kafka_partition": 0,
            "kafka_offset": day,
            "_processed_ts": at,
        }
        append(spark, catalogs, contract("sfdc.contact_event_silver"), row)


def append(spark: SparkSession, catalogs: LocalCatalogs, dataset: DatasetContract, *rows: Mapping[str, object]) -> None:
    from_values(spark, dataset, rows).write.format("delta").mode("append").saveAsTable(catalogs.table(dataset).dotted)
