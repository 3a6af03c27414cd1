"""Operations by the job ids that the stack exports, and files that no source should ever send: experiments 15 and 16."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import OperationFailed

from local_estate.day import landing
from local_estate.day.run import StepResult
from samples.delivery import day_start
from tests.estate.conftest import ROWS, Deployed

TS = "2025-06-01T10:00:00+10:00"
DAY = f"{day_start(1):%Y-%m-%d}"
CASE = {"case_type": "fault", "status": "open", "customer_id": "CU00000001", "created_ts": TS, "updated_ts": TS}
DEPTH = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Ended:
    succeeded: bool
    logs: str
    error: str


@pytest.fixture(scope="module")
def engineer(deployed: Deployed, day_one: list[StepResult]) -> WorkspaceClient:
    assert day_one
    return deployed.member("sp-test-engineer", "data_engineering", "pii_readers")


def run(deployed: Deployed, job: str, **parameters: str) -> Ended:
    jobs = deployed.workspace.jobs
    waiter = jobs.run_now(
        int(deployed.outputs["job_ids"][job]), job_parameters={name.rstrip("_"): value for name, value in parameters.items()}
    )
    try:
        waiter.result()
        succeeded = True
    except OperationFailed:
        succeeded = False
    output = jobs.get_run_output((jobs.get_run(waiter.run_id).tasks or [])[0].run_id or 0)
    return Ended(succeeded=succeeded, logs=output.logs or "", error=output.error or "")


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
    lines.append(json.dumps({**CASE, "case_id": "P-NAN"}).replace("}", ', "handle_time_minutes": NaN}'))
    lines.append("[" * DEPTH)
    lines.append(json.dumps({**CASE, "case_id": "P-DEEP", "channel": "@"}).replace('"@"', "[" * DEPTH + "]" * DEPTH))
    return (good * 3 + "\n".join(lines) + "\n").encode()


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
    name = f"coalesce(get_json_object(payload, '$.{key}'), substr(get_json_object(payload, '$._corrupt_record'), 1, 40))"
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
    said: dict[str, Ended] = {}
    for system, (name, content) in made.items():
        target = Path(deployed.paths.home / f"poison-{name}")
        target.write_bytes(content)
        with target.open("rb") as file:
            deployed.workspace.files.upload(f"{paths[system].rstrip('/')}/{name}", file, overwrite=True)
        for job in ("bronze_autoloader", "silver_standardize"):
            said[system] = run(deployed, job, system=system)
            assert said[system].succeeded, said[system].error
    cases = reasons(deployed, engineer, "pega", "case_id", "case_20250531.json")
    enumeration = "status: is not one of OPEN, IN_PROGRESS, PENDING_CUSTOMER, RESOLVED, CLOSED, CANCELLED"
    assert cases.pop("P-ENUM") == cases.pop("P-LONG") == [enumeration]
    assert cases.pop("P-MISSING") == cases.pop("P-RENAMED") == ["status: is required"]
    assert cases.pop("P-TYPE") == cases.pop("P-NAN") == ["handle_time_minutes: is not of type INT"]
    assert cases.pop("P-NUL") == ["row: is not valid UTF-8 text"]
    assert "row: cannot be parsed" in cases.pop("[" * 40)
    assert len(cases) == 1 and "row: cannot be parsed" in next(iter(cases.values())), cases
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
        numbers = [int(number) for number in re.findall(r"\d+(?= (?:rows in|written|duplicate|superseded|quarantined))", said[system].logs)]
        assert numbers[0] == sum(numbers[1:]) and numbers[-1] == quarantined, said[system].logs


def test_a_day_is_derived_again_compared_and_looked_into_by_exported_jobs(deployed: Deployed, engineer: WorkspaceClient) -> None:
    nothing_said = run(deployed, "backfill")
    assert not nothing_said.succeeded and "backfill: argument --from: '' is no day (YYYY-MM-DD)" in nothing_said.error
    before = rows(deployed, engineer, "SELECT max(version) FROM (DESCRIBE HISTORY dev_ep_curated.jarvis.service_silver)")[0][0]
    days = {"system": "jarvis", "from_": DAY, "to": DAY}
    listed = run(deployed, "backfill", **days, dry_run="true")
    assert listed.logs.splitlines()[-1] == "dry run: nothing was changed", listed.error
    done = run(deployed, "backfill", **days, backfill="by-hand")
    assert done.succeeded, done.error
    assert re.search(rf"^{DAY}: (\d+) rows delivered, (\d+) keys, 0 rows of silver changed$", done.logs, re.MULTILINE), done.logs
    assert (
        "1 days with deliveries" in (again := run(deployed, "backfill", **days, backfill="by-hand").logs)
        and "1 of them done before" in again
    )

    compared = run(deployed, "reconcile", table="jarvis.service_silver", from_version=before, json="true")
    assert compared.succeeded, compared.error
    told = json.loads(compared.logs.splitlines()[-1])
    assert (told["differing"], told["rows_before"]) == (0, told["rows_after"]) and told["rows_after"] > 0

    identity = "SELECT customer_id FROM dev_ep_marts.customer.customer_identity WHERE customer_id IS NOT NULL ORDER BY 1 LIMIT 1"
    customer = rows(deployed, engineer, identity)[0][0]
    why = run(deployed, "explain_customer", customer_id=customer)
    assert why.succeeded, why.error
    assert why.logs.startswith(f"Customer {customer} by the rules ") and Counter(why.logs)["@"] == 0
    unknown = run(deployed, "explain_customer", customer_id="nobody")
    assert not unknown.succeeded and "explain_customer: nobody is no record of a living customer" in unknown.error


def test_maintenance_of_every_table_succeeds(deployed: Deployed, day_one: list[StepResult]) -> None:
    done = run(deployed, "maintenance")
    assert done.succeeded, done.logs + done.error
    lines = done.logs.splitlines()
    assert [line for line in lines if line.startswith("dev_ep_raw.cmdm.cmdm_bronze ")] and all(
        line.rstrip().endswith(" 168") for line in lines[1:]
    )
