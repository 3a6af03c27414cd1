"""Who reads what of the days' data, and the history the second day brings. Through the SQL API, a job, and by path."""

from __future__ import annotations

import json

import pytest
from databricks.sdk import WorkspaceClient

from local_estate.day import landing
from local_estate.day.run import StepResult
from tests.estate.conftest import Deployed
from tests.estate.image import ROWS

HISTORY = "dev_ep_marts.customer.dim_customer_scd2"


@pytest.fixture(scope="module")
def engineer(deployed: Deployed, day_one: list[StepResult]) -> WorkspaceClient:
    return deployed.member("sp-test-engineer", "data_engineering", "pii_readers")


@pytest.fixture(scope="module")
def analyst(deployed: Deployed, day_one: list[StepResult]) -> WorkspaceClient:
    return deployed.member("sp-test-analyst", "MT-analyst-readers")


def _rows(deployed: Deployed, client: WorkspaceClient, statement: str) -> list[list[str]]:
    answer = deployed.sql(client, statement)
    assert answer.status and answer.status.state and answer.status.state.value == "SUCCEEDED", answer.status
    return (answer.result.data_array if answer.result else None) or []


def _refusal(deployed: Deployed, client: WorkspaceClient, statement: str) -> str:
    answer = deployed.sql(client, statement)
    assert answer.status and answer.status.state and answer.status.state.value == "FAILED", answer.status
    return (answer.status.error.message if answer.status.error else "") or ""


def test_day_two_brings_correct_history(deployed: Deployed, engineer: WorkspaceClient) -> None:
    results = deployed.run_day(2)
    assert [result.result for result in results] == ["SUCCESS"] * len(results)
    expected = json.loads((landing.generate(deployed.paths, day=2, rows=ROWS) / "manifest.json").read_text())["customers"]
    current = f"SELECT count(*), count_if(is_current), count(DISTINCT customer_id) FROM {HISTORY}"
    (counts,) = _rows(deployed, engineer, current)
    assert [int(count) for count in counts[:2]] == [expected["scd2_rows"], expected["scd2_current_rows"]]
    assert counts[1] == counts[2]
    gaps = f"""
        SELECT count(*) FROM (
          SELECT effective_to, lead(effective_from) OVER (PARTITION BY customer_id ORDER BY effective_from) AS following FROM {HISTORY}
        ) WHERE following IS NOT NULL AND following <> effective_to
    """
    assert _rows(deployed, engineer, gaps) == [["0"]]


def test_an_analyst_reads_the_metrics_and_is_denied_the_rest_by_name(deployed: Deployed, analyst: WorkspaceClient) -> None:
    assert int(_rows(deployed, analyst, "SELECT count(*) FROM dev_ep_marts.operations.case_metrics")[0][0]) > 0
    for table, missing in (
        ("dev_ep_raw.cmdm.cmdm_bronze", "dev_ep_raw"),
        ("dev_ep_curated.cmdm.customer_silver", "dev_ep_curated"),
        ("dev_ep_ai.knowledge.document_chunks", "dev_ep_ai"),
    ):
        message = _refusal(deployed, analyst, f"SELECT * FROM {table}")
        assert "does not have USE" in message, message
        assert missing in message


PROBE = """
import json, sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
told = {}
for name, read in {
    "table": lambda: spark.table("dev_ep_raw.cmdm.cmdm_bronze").collect(),
    "location": lambda: spark.read.format("delta").load(sys.argv[1]).collect(),
    "landing": lambda: spark.read.text("/Volumes/dev_ep_raw/cmdm/landing").collect(),
    "write": lambda: spark.range(1).write.mode("append").saveAsTable("dev_ep_marts.operations.case_metrics"),
    "allowed": lambda: spark.table("dev_ep_marts.operations.case_metrics").count(),
}.items():
    try:
        told[name] = "read " + str(bool(read()))
    except Exception as error:
        told[name] = str(error)[:400]
print("TOLD " + json.dumps(told))
"""


def test_a_job_of_the_analyst_is_denied_by_name_by_path_and_in_writing(deployed: Deployed, analyst: WorkspaceClient) -> None:
    location = deployed.workspace.tables.get("dev_ep_raw.cmdm.cmdm_bronze").storage_location
    told = deployed.told(analyst, deployed.submit(analyst, PROBE, str(location)))
    assert told.pop("allowed") == "read True"
    assert all("does not have" in message for message in told.values()), told
    assert set(told) == {"table", "location", "landing", "write"}
