"""Operations by the job ids that the stack exports, and files that no source should ever send: experiments 15 and 16."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient

from local_estate import ask
from local_estate.day import landing
from local_estate.day.run import StepResult
from samples.delivery import day_start
from tests.estate.conftest import ROWS, Deployed

TS = "2025-06-01T10:00:00+10:00"
DAY = f"{day_start(1):%Y-%m-%d}"
CASE = {"case_type": "fault", "status": "open", "customer_id": "CU00000001", "created_ts": TS, "updated_ts": TS}
DEPTH = 1_000_000
NO_JSON = (
    json.dumps({**CASE, "case_id": "P-NAN"}).replace("}", ', "handle_time_minutes": NaN}'),
    "[" * DEPTH,
    json.dumps({**CASE, "case_id": "P-DEEP", "channel": "@"}).replace('"@"', "[" * DEPTH + "]" * DEPTH),
)


@pytest.fixture(scope="module")
def engineer(deployed: Deployed, day_one: list[StepResult]) -> WorkspaceClient:
    assert day_one
    return deployed.member("sp-test-engineer", "data_engineering", "pii_readers")


def run(deployed: Deployed, job: str, **parameters: str) -> ask.JobRun:
    return ask.run_job(deployed.paths, "dev", job, {name.rstrip("_"): value for name, value in parameters.items()})


def good(deployed: Deployed, job: str, **parameters: str) -> str:
    """What a run that succeeded printed."""
    done = run(deployed, job, **parameters)
    assert done.result == "SUCCESS", done.error
    return "\n".join(done.said)


def rows(deployed: Deployed, client: WorkspaceClient, statement: str) -> list[list[str]]:
    answer = deployed.sql(client, statement)
    assert answer.status and answer.status.state and answer.status.state.value == "SUCCEEDED", answer.status
    return (answer.result.data_array if answer.result else None) or []


def poison_cases(good: str) -> bytes:
    """One case a fault, by its id, among many good ones, or the breaker would rightly stop the next publish."""
    cases = [
        {**CASE, "case_id": "P-ENUM", "status": "zombie"},
        {**CASE, "case_id": "P-TYPE", "handle_time_minutes": "soon"},
        {**CASE, "case_id": "P-LONG", "status": "x" * 2**20},
        {**CASE, "case_id": "P-NUL", "channel": "a\0b"},
        {key: value for key, value in {**CASE, "case_id": "P-MISSING"}.items() if key != "status"},
        {**{key: value for key, value in CASE.items() if key != "status"}, "case_id": "P-RENAMED", "case_status": "open"},
        {**CASE, "case_id": "P-EXTRA", "mood": "fine"},
    ]
    lines = [json.dumps(case) for case in cases]
    return (good * 3 + "\n".join([*lines, *NO_JSON]) + "\n").encode()


def poison_services(good: str) -> bytes:
    header, _, rest = good.partition("\n")
    assert header == "service_id,account_id,service_type,plan_cd,status,start_dt,updated_ts"
    lines = [
        f"P-FUTURE,CU00000001,nbn,P,active,2999-01-01,{TS}".encode(),
        f"P-BYTES,CU00000001,nbn,Caf\u00e9,active,2024-01-31,{TS}".encode("latin-1"),
        f"P-TYPE,CU00000001,nbn,P,active,soon,{TS}".encode(),
    ]
    return (header + "\n" + rest * 3).encode() + b"\n".join(lines) + b"\n"


def reasons(deployed: Deployed, client: WorkspaceClient, system: str, key: str, file: str) -> dict[str, list[str]]:
    """By key, and lines that are no row by their length."""
    name = f"coalesce(get_json_object(payload, '$.{key}'), length(get_json_object(payload, '$._corrupt_record')))"
    table = f"dev_ep_raw.{system}.{system}_quarantine"
    found = rows(deployed, client, f"SELECT {name}, array_join(errors, '|') FROM {table} WHERE source_file LIKE '%{file}'")
    return {name: errors.split("|") for name, errors in found}


def test_poisoned_files_end_in_quarantine_with_their_reasons_and_the_batch_completes(deployed: Deployed, engineer: WorkspaceClient) -> None:
    folder = landing.generate(deployed.paths, day=1, rows=ROWS)
    paths = deployed.outputs["landing_paths"]
    made = {
        "pega": ("case_20250531.json", poison_cases(next((folder / "pega").glob("*.json")).read_text())),
        "jarvis": ("service_20250531.csv", poison_services(next((folder / "jarvis").glob("*.csv")).read_text())),
    }
    said: dict[str, str] = {}
    for system, (name, content) in made.items():
        target = Path(deployed.paths.home / f"poison-{name}")
        target.write_bytes(content)
        with target.open("rb") as file:
            deployed.workspace.files.upload(f"{paths[system].rstrip('/')}/{name}", file, overwrite=True)
        for job in ("bronze_autoloader", "silver_standardize"):
            said[system] = good(deployed, job, system=system)
    cases = reasons(deployed, engineer, "pega", "case_id", "case_20250531.json")
    enumeration = "status: is not one of OPEN, IN_PROGRESS, RESOLVED, CLOSED"
    assert cases.pop("P-ENUM") == cases.pop("P-LONG") == [enumeration]
    assert cases.pop("P-MISSING") == cases.pop("P-RENAMED") == ["status: is required"]
    assert cases.pop("P-TYPE") == ["handle_time_minutes: is not of type INT"]
    assert cases.pop("P-NUL") == ["row: is not valid UTF-8 text"]
    assert cases.keys() == {str(len(line)) for line in NO_JSON}
    assert all("row: cannot be parsed" in errors for errors in cases.values())
    services = reasons(deployed, engineer, "jarvis", "service_id", "service_20250531.csv")
    assert services == {
        "P-FUTURE": ["start_dt: is in the future"],
        "P-BYTES": ["row: is not valid UTF-8 text"],
        "P-TYPE": ["start_dt: is not a date yyyy-MM-dd"],
    }
    # A column that nobody declared is kept beside the row; in = good + quarantined.
    extra = "SELECT count(*) FROM dev_ep_raw.pega.pega_bronze WHERE case_id = 'P-EXTRA' AND _rescued_data LIKE '%\"mood\":\"fine\"%'"
    assert rows(deployed, engineer, extra) == [["1"]]
    for system, quarantined in (("pega", 9), ("jarvis", 3)):
        numbers = [int(number) for number in re.findall(r"\d+(?= (?:rows in|written|duplicate|superseded|quarantined))", said[system])]
        assert numbers[0] == sum(numbers[1:]) and numbers[-1] == quarantined, said[system]


def test_a_day_is_derived_again_compared_and_looked_into_by_exported_jobs(deployed: Deployed, engineer: WorkspaceClient) -> None:
    nothing_said = run(deployed, "backfill")
    assert nothing_said.result == "FAILED"
    assert "backfill: argument --from: '' is no day (YYYY-MM-DD)" in nothing_said.error
    before = rows(deployed, engineer, "DESCRIBE HISTORY dev_ep_curated.jarvis.service_silver LIMIT 1")[0][0]
    days = {"system": "jarvis", "from_": DAY, "to": DAY}
    assert good(deployed, "backfill", **days, dry_run="true").splitlines()[-1] == "dry run: nothing was changed"
    done = good(deployed, "backfill", **days, backfill="by-hand")
    assert re.search(rf"^{DAY}: (\d+) rows delivered, (\d+) keys, 0 rows of silver changed$", done, re.MULTILINE), done
    again = good(deployed, "backfill", **days, backfill="by-hand")
    assert "1 days with deliveries" in again
    assert "1 of them done before" in again

    told = json.loads(good(deployed, "reconcile", table="jarvis.service_silver", from_version=before, json="true").splitlines()[-1])
    assert (told["differing"], told["rows_before"]) == (0, told["rows_after"])
    assert told["rows_after"] > 0

    identity = "SELECT customer_id FROM dev_ep_marts.customer.customer_identity WHERE customer_id IS NOT NULL ORDER BY 1 LIMIT 1"
    customer = rows(deployed, engineer, identity)[0][0]
    why = good(deployed, "explain_customer", customer_id=customer)
    assert why.startswith(f"Customer {customer} by the rules ")
    assert "@" not in why
    unknown = run(deployed, "explain_customer", customer_id="nobody")
    assert unknown.result == "FAILED"
    assert "explain_customer: nobody is no record of a living customer" in unknown.error


def test_maintenance_of_every_table_succeeds(deployed: Deployed, day_one: list[StepResult]) -> None:
    assert day_one
    lines = good(deployed, "maintenance").splitlines()
    assert any(line.startswith("dev_ep_raw.cmdm.cmdm_bronze ") for line in lines)
    assert all(line.rstrip().endswith(" 168") for line in lines[1:]), lines


def test_a_statement_shows_what_those_who_ask_may_see(deployed: Deployed, day_one: list[StepResult]) -> None:
    assert day_one
    statement = "SELECT count(email) AS known, count_if(email NOT LIKE '***@%') AS shown FROM dev_ep_curated.cmdm.customer_silver"
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
        run(deployed, "gold")


def test_both_are_commands(deployed: Deployed, day_one: list[StepResult]) -> None:
    assert day_one

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        own = {**os.environ, "ESTATE_HOME": str(deployed.paths.home)}
        return subprocess.run([sys.executable, "-m", "local_estate.cli", *arguments], env=own, capture_output=True, text=True, check=False)

    asked = command("sql", "SELECT 1 AS one, NULL AS nothing", "--json")
    assert json.loads(asked.stdout) == [{"one": "1", "nothing": None}], asked.stderr
    assert command("sql", "SELECT 1 AS one, NULL AS nothing").stdout.split() == ["one", "┃", "nothing", "━━━━━╇━━━━━━━━━", "1", "│", "NULL"]
    failed = command("run", "explain_customer", "customer_id=nobody", "--json")
    assert failed.returncode == 1
    told = json.loads(failed.stdout)
    assert told["result"] == "FAILED"
    assert "nobody is no record of a living customer" in told["error"]
    unknown = command("run", "gold")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("error: stack dev exports no job gold; there are accept_batch")
