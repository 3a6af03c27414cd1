"""Whom the policies hide what from, on the day's own tables: each persona by SQL, DataFrame, stream, time travel and change feed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient

from local_estate.day.run import StepResult
from tests.estate.conftest import Deployed

WHOLE = "dev_ep_marts.customer.customer_360"
DIMENSION = "dev_ep_marts.customer.dim_customer"
SILVER = "dev_ep_curated.cmdm.customer_silver"
WAYS = ("sql", "dataframe", "stream", "time travel")
# Silver alone keeps a change feed: the marts follow it.
EVERY_WAY = {WHOLE: WAYS, DIMENSION: WAYS, SILVER: (*WAYS, "change feed")}
PERSONAS = {
    "pii reader": ("pii_readers", "MT-dpm-data-eng"),
    "analyst": ("MT-analyst-readers", "MT-region-NSW"),
    "engineer": ("data_engineering",),
    "ml serving": ("MT-ml-serving",),
}

PROBE = """
import json, sys, uuid
from pyspark.sql import SparkSession, functions as F
spark = SparkSession.builder.getOrCreate()
told = {}

def streamed(table):
    name = "seen_" + uuid.uuid4().hex
    query = spark.readStream.table(table).writeStream.format("memory").queryName(name).trigger(availableNow=True).start()
    query.awaitTermination()
    return spark.table(name)

def version(table):
    return spark.sql(f"DESCRIBE HISTORY {table}").agg(F.max("version")).first()[0]

WAYS = {
    "sql": lambda table: spark.sql(f"SELECT * FROM {table}"),
    "dataframe": lambda table: spark.table(table).where("true"),
    "stream": streamed,
    "time travel": lambda table: spark.sql(f"SELECT * FROM {table} VERSION AS OF {version(table)}"),
    "change feed": lambda table: spark.read.option("readChangeFeed", True).option("startingVersion", 0).table(table),
}

def values(rows, column):
    return sorted({row[column] for row in rows if row[column] is not None}) if rows and column in rows[0] else []

for table, ways in json.loads(sys.argv[1]).items():
    for way in ways:
        try:
            rows = WAYS[way](table).collect()
            seen = {column: values(rows, column) for column in ("first_name", "phone", "email", "full_address", "state")}
            told[f"{table} {way}"] = {"rows": len(rows), **{column: found[:400] for column, found in seen.items()}}
        except Exception as error:
            told[f"{table} {way}"] = str(error)[:300]
print("TOLD " + json.dumps(told))
"""


@pytest.fixture(scope="module")
def clients(deployed: Deployed, day_one: list[StepResult]) -> dict[str, WorkspaceClient]:
    return {name: deployed.member(f"sp-persona-{name.replace(' ', '-')}", *groups) for name, groups in PERSONAS.items()}


@pytest.fixture(scope="module")
def told(deployed: Deployed, clients: dict[str, WorkspaceClient]) -> dict[str, dict[str, Any]]:
    """What each persona was shown, by `<table> <way>`: all four jobs side by side."""
    started = {name: deployed.submit(client, PROBE, json.dumps(EVERY_WAY)) for name, client in clients.items()}
    return {name: deployed.told(clients[name], run_id) for name, run_id in started.items()}


def _every_way(told: dict[str, Any], table: str) -> dict[str, Any]:
    found = {way: told[f"{table} {way}"] for way in EVERY_WAY[table]}
    refused = {way: answer for way, answer in found.items() if isinstance(answer, str)}
    assert not refused, refused
    return found


@pytest.mark.parametrize("table", [WHOLE, DIMENSION, SILVER])
def test_a_reader_of_personal_data_sees_all_of_it(told: dict[str, dict[str, Any]], table: str) -> None:
    for way, seen in _every_way(told["pii reader"], table).items():
        assert len(seen["first_name"]) > 10, way
        assert not {value for column in ("first_name", "phone", "email", "full_address") for value in seen[column] if "***" in value}, way


@pytest.mark.parametrize("table", [WHOLE, DIMENSION])
@pytest.mark.parametrize("persona", ["analyst", "engineer"])
def test_others_see_people_masked_every_way(told: dict[str, dict[str, Any]], persona: str, table: str) -> None:
    for way, seen in _every_way(told[persona], table).items():
        assert seen["rows"] > 0, way
        assert (seen["first_name"], seen["phone"], seen["full_address"]) == (["***"], ["***"], ["***"]), way
        assert all(email == "***" or email.startswith("***@") for email in seen["email"]), way


def test_an_analyst_sees_the_rows_of_the_states_it_serves_and_an_engineer_all(told: dict[str, dict[str, Any]]) -> None:
    whole = {persona: _every_way(told[persona], WHOLE) for persona in ("pii reader", "analyst", "engineer")}
    for way in WAYS:
        assert whole["analyst"][way]["state"] == ["NSW"], way
        assert 0 < whole["analyst"][way]["rows"] < whole["engineer"][way]["rows"] == whole["pii reader"][way]["rows"], way


def test_an_engineer_sees_silver_masked_and_the_others_are_denied_it_by_name(told: dict[str, dict[str, Any]]) -> None:
    for way, seen in _every_way(told["engineer"], SILVER).items():
        assert (seen["first_name"], seen["phone"]) == (["***"], ["***"]), way
    for persona in ("analyst", "ml serving"):
        for way in EVERY_WAY[SILVER]:
            answer = told[persona][f"{SILVER} {way}"]
            assert "does not have USE CATALOG on Catalog 'dev_ep_curated'" in answer, (persona, way, answer)


def test_model_serving_is_denied_the_marts_by_name(told: dict[str, dict[str, Any]]) -> None:
    for table in (WHOLE, DIMENSION):
        for way in WAYS:
            answer = told["ml serving"][f"{table} {way}"]
            assert "does not have USE CATALOG on Catalog 'dev_ep_marts'" in answer, (way, answer)


def _said(deployed: Deployed, client: WorkspaceClient, statement: str) -> tuple[str, Any]:
    answer = deployed.sql(client, statement)
    assert answer.status and answer.status.state, answer
    if answer.status.error:
        return answer.status.state.value, answer.status.error.message
    return answer.status.state.value, answer.result.data_array if answer.result else None


def test_the_warehouse_hides_the_same_and_a_mask_is_no_oracle(deployed: Deployed, clients: dict[str, WorkspaceClient]) -> None:
    known = _said(deployed, clients["pii reader"], f"SELECT min(email) FROM {WHOLE} WHERE state = 'NSW'")
    assert known[0] == "SUCCEEDED"
    count = f"SELECT count(*) FROM {WHOLE} WHERE email = '{known[1][0][0]}'"
    assert int(_said(deployed, clients["pii reader"], count)[1][0][0]) > 0
    assert _said(deployed, clients["analyst"], count) == ("SUCCEEDED", [["0"]])
    assert _said(deployed, clients["analyst"], f"SELECT DISTINCT state, first_name FROM {WHOLE}") == ("SUCCEEDED", [["NSW", "***"]])


def test_who_does_not_see_all_of_a_table_may_not_change_it(deployed: Deployed, clients: dict[str, WorkspaceClient]) -> None:
    for statement in (f"UPDATE {DIMENSION} SET first_name = 'x'", f"DELETE FROM {DIMENSION}"):
        state, message = _said(deployed, clients["engineer"], statement)
        assert state == "FAILED"
        assert "which hides columns or rows from this principal; run it as one that its policies except" in message
    state, message = _said(deployed, clients["engineer"], f"ALTER TABLE {DIMENSION} ALTER COLUMN email UNSET TAGS ('dev_pii')")
    assert state == "FAILED"
    assert "does not have" in message


def test_a_second_migrate_finds_every_tag_in_its_place(deployed: Deployed, day_one: list[StepResult]) -> None:
    job = int(deployed.outputs["job_ids"]["migrate"])
    run = deployed.workspace.jobs.run_now(job).result()
    logs = deployed.workspace.jobs.get_run_output((run.tasks or [])[0].run_id or 0).logs or ""
    assert "unchanged dev_ep_marts.customer.customer_360" in logs
    assert "tagged" not in logs
