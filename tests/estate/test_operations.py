"""Operations by the job ids that the stack exports, and the commands that start them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from databricks.sdk import WorkspaceClient

from local_estate import ask
from local_estate.day.run import StepResult
from samples.delivery import day_start
from tests.estate.conftest import Deployed

DAY = f"{day_start(1):%Y-%m-%d}"


@pytest.fixture(scope="module")
def engineer(deployed: Deployed, day_one: list[StepResult]) -> WorkspaceClient:
    assert day_one
    return deployed.member("sp-test-engineer", "data_engineering", "pii_readers")


def test_a_day_is_derived_again_compared_and_looked_into_by_exported_jobs(deployed: Deployed, engineer: WorkspaceClient) -> None:
    nothing_said = deployed.run("backfill")
    assert nothing_said.result == "FAILED"
    assert "backfill: argument --from: '' is no day (YYYY-MM-DD)" in nothing_said.error
    before = deployed.rows(engineer, "DESCRIBE HISTORY dev_ep_curated.jarvis.service_silver LIMIT 1")[0][0]
    days = {"system": "jarvis", "from_": DAY, "to": DAY}
    assert deployed.good("backfill", **days, dry_run="true").splitlines()[-1] == "dry run: nothing was changed"
    done = deployed.good("backfill", **days, backfill="by-hand")
    assert re.search(rf"^{DAY}: (\d+) rows delivered, (\d+) keys, 0 rows of silver changed$", done, re.MULTILINE), done
    again = deployed.good("backfill", **days, backfill="by-hand")
    assert "1 days with deliveries" in again
    assert "1 of them done before" in again

    told = json.loads(deployed.good("reconcile", table="jarvis.service_silver", from_version=before, json="true").splitlines()[-1])
    assert (told["differing"], told["rows_before"]) == (0, told["rows_after"])
    assert told["rows_after"] > 0

    identity = "SELECT customer_id FROM dev_ep_marts.customer.customer_identity WHERE customer_id IS NOT NULL ORDER BY 1 LIMIT 1"
    customer = deployed.rows(engineer, identity)[0][0]
    why = deployed.good("explain_customer", customer_id=customer)
    assert why.startswith(f"Customer {customer} by the rules ")
    assert "@" not in why
    unknown = deployed.run("explain_customer", customer_id="nobody")
    assert unknown.result == "FAILED"
    assert "explain_customer: nobody is no record of a living customer" in unknown.error


def test_maintenance_of_every_table_succeeds(deployed: Deployed, day_one: list[StepResult]) -> None:
    assert day_one
    lines = deployed.good("maintenance").splitlines()
    assert any(line.startswith("dev_ep_raw.cmdm.cmdm_bronze ") for line in lines)
    assert all(line.rstrip().endswith(" 168") for line in lines[1:]), lines


def test_a_statement_shows_what_those_who_ask_may_see(deployed: Deployed, day_one: list[StepResult]) -> None:
    assert day_one
    statement = "SELECT count(email) AS known, count_if(email NOT LIKE '***%') AS shown FROM dev_ep_curated.cmdm.customer_silver"
    hidden = ask.query(deployed.paths, "dev", statement, groups=["data_engineering"])
    shown = ask.query(deployed.paths, "dev", statement, groups=["pii_readers", "data_engineering"])
    assert hidden.columns == ("known", "shown")
    assert shown.rows[0][0] == shown.rows[0][1] != "0"
    assert hidden.rows[0] == (shown.rows[0][0], "0")
    with pytest.raises(ask.Refused, match="permissions on SQL warehouse"):
        ask.query(deployed.paths, "dev", statement, groups=[])
    with pytest.raises(ask.Refused, match="the account has no group engineers"):
        ask.query(deployed.paths, "dev", statement, groups=["engineers"])
    with pytest.raises(ask.Refused, match=r"stack dev exports no job gold; there are accept_batch, "):
        deployed.run("gold")


def test_both_are_commands(deployed: Deployed, day_one: list[StepResult]) -> None:
    assert day_one

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        own = {**os.environ, "ESTATE_HOME": str(deployed.paths.home)}
        return subprocess.run([sys.executable, "-m", "local_estate.cli", *arguments], env=own, capture_output=True, text=True, check=False)

    asked = command("sql", "SELECT 1 AS one, NULL AS nothing", "--json")
    columns = [{"name": "one", "type": "INT"}, {"name": "nothing", "type": "VOID"}]
    assert json.loads(asked.stdout) == {"columns": columns, "rows": [{"one": 1, "nothing": None}]}, asked.stderr
    denied = command("sql", "SELECT * FROM dev_ep_curated.cmdm.customer_silver")
    assert denied.returncode == 1
    assert "INSUFFICIENT_PERMISSIONS" in denied.stderr
    assert denied.stderr.endswith("Fix: ask as a member of groups, --as data_engineering,pii_readers\n")
    assert command("sql", "SELECT 1 AS one, NULL AS nothing").stdout.split() == ["one", "┃", "nothing", "━━━━━╇━━━━━━━━━", "1", "│", "NULL"]
    failed = command("run", "explain_customer", "customer_id=nobody", "--json")
    assert failed.returncode == 1
    told = json.loads(failed.stdout)
    assert told["result"] == "FAILED"
    assert "nobody is no record of a living customer" in told["error"]
    unknown = command("run", "gold")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("error: stack dev exports no job gold; there are accept_batch")
