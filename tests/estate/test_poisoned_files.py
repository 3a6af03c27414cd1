"""Files that no source should ever send, through the deployed jobs: experiments 15 and 16 of docs/reliability.md."""

from __future__ import annotations

import json
import re

import psutil
import pytest
from databricks.sdk import WorkspaceClient

from bench.memory import PeakMemory
from local_estate import facts
from local_estate.day import landing
from local_estate.day.run import StepResult
from tests.estate.conftest import Deployed
from tests.estate.image import ROWS

TS = "2025-06-01T10:00:00+10:00"
CASE = {"case_type": "fault", "status": "open", "customer_id": "CU00000001", "created_ts": TS, "updated_ts": TS}
DEPTH = 1_000_000
# Good rows beside the broken ones, as often as the day has them: a small day's share must stay below the objective of 3 %.
REPEATS = 10
NO_JSON = (
    json.dumps({**CASE, "case_id": "P-NAN"}).replace("}", ', "handle_time_minutes": NaN}'),
    "[" * DEPTH,
    json.dumps({**CASE, "case_id": "P-DEEP", "channel": "@"}).replace('"@"', "[" * DEPTH + "]" * DEPTH),
)
# The JVM may take its heap (3 GiB by default) and what the JVM itself needs; the service and the tasks' processes a GiB between them.
JVM_MEMORY = 4 * 2**30
ALL_MEMORY = JVM_MEMORY + 2**30


@pytest.fixture(scope="module")
def engineer(deployed: Deployed, day_one: list[StepResult]) -> WorkspaceClient:
    assert day_one
    return deployed.member("sp-test-poison-engineer", "data_engineering", "pii_readers")


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
    return (good * REPEATS + "\n".join([*lines, *NO_JSON]) + "\n").encode()


def poison_services(good: str) -> bytes:
    header, _, rest = good.partition("\n")
    assert header == "service_id,account_id,service_type,plan_cd,status,start_dt,updated_ts"
    lines = [
        f"P-FUTURE,CU00000001,nbn,P,active,2999-01-01,{TS}".encode(),
        f"P-BYTES,CU00000001,nbn,Caf\u00e9,active,2024-01-31,{TS}".encode("latin-1"),
        f"P-TYPE,CU00000001,nbn,P,active,soon,{TS}".encode(),
    ]
    return (header + "\n" + rest * REPEATS).encode() + b"\n".join(lines) + b"\n"


def quarantined(deployed: Deployed, client: WorkspaceClient, system: str, key: str, file: str) -> list[tuple[str, list[str]]]:
    """Key (the length of a line that is no row) and reasons of every row of the file that was held."""
    length = "CAST(length(get_json_object(payload, '$._corrupt_record')) AS STRING)"
    name = f"coalesce(get_json_object(payload, '$.{key}'), {length})"
    table = f"dev_ep_raw.{system}.{system}_quarantine"
    found = deployed.rows(client, f"SELECT {name}, array_join(errors, '|') FROM {table} WHERE source_file LIKE '%{file}'")
    return [(name, errors.split("|")) for name, errors in found]


def poisoned(held: list[tuple[str, list[str]]]) -> dict[str, list[str]]:
    """Our own faults among those that a day of the generator has."""
    ours = [(name, errors) for name, errors in held if name.startswith("P-") or name in map(str, map(len, NO_JSON))]
    assert len(dict(ours)) == len(ours)
    return dict(ours)


def the_jvm(service: psutil.Process) -> psutil.Process:
    return next(process for process in service.children(recursive=True) if "java" in process.name())


def test_poisoned_files_end_in_quarantine_with_their_reasons_and_the_batch_completes(deployed: Deployed, engineer: WorkspaceClient) -> None:
    folder = landing.generate(deployed.paths, day=1, rows=ROWS)
    paths = deployed.outputs["landing_paths"]
    made = {
        "pega": ("case_20250531.json", poison_cases(next((folder / "pega").glob("*.json")).read_text())),
        "jarvis": ("service_20250531.csv", poison_services(next((folder / "jarvis").glob("*.csv")).read_text())),
    }
    service = psutil.Process(facts.endpoints(deployed.paths)["pid"])
    jvm = the_jvm(service)
    said: dict[str, str] = {}
    with PeakMemory(service.pid) as peak:
        for system, (name, content) in made.items():
            target = deployed.paths.home / f"poison-{name}"
            target.write_bytes(content)
            with target.open("rb") as file:
                deployed.workspace.files.upload(f"{paths[system].rstrip('/')}/{name}", file, overwrite=True)
            for job in ("bronze_autoloader", "silver_standardize"):
                said[system] = deployed.good(job, system=system)
    # Out of memory it would have been another one.
    assert jvm == the_jvm(service)
    assert jvm.memory_info().rss < JVM_MEMORY
    assert 0 < peak.held < ALL_MEMORY

    held = {
        "pega": quarantined(deployed, engineer, "pega", "case_id", "case_20250531.json"),
        "jarvis": quarantined(deployed, engineer, "jarvis", "service_id", "service_20250531.csv"),
    }
    cases = poisoned(held["pega"])
    enumeration = "status: is not one of OPEN, IN_PROGRESS, RESOLVED, CLOSED"
    assert cases.pop("P-ENUM") == cases.pop("P-LONG") == [enumeration]
    assert cases.pop("P-MISSING") == cases.pop("P-RENAMED") == ["status: is required"]
    assert cases.pop("P-TYPE") == ["handle_time_minutes: is not of type INT"]
    assert cases.pop("P-NUL") == ["row: is not valid UTF-8 text"]
    assert cases.keys() == {str(len(line)) for line in NO_JSON}
    assert all("row: cannot be parsed" in errors for errors in cases.values())
    assert poisoned(held["jarvis"]) == {
        "P-FUTURE": ["start_dt: is in the future"],
        "P-BYTES": ["row: is not valid UTF-8 text"],
        "P-TYPE": ["start_dt: is not a date yyyy-MM-dd"],
    }
    # A column that nobody declared is kept beside the row; in = good + quarantined.
    extra = "SELECT count(*) FROM dev_ep_raw.pega.pega_bronze WHERE case_id = 'P-EXTRA' AND _rescued_data LIKE '%\"mood\":\"fine\"%'"
    assert deployed.rows(engineer, extra) == [["1"]]
    for system, rows in held.items():
        numbers = [int(number) for number in re.findall(r"\d+(?= (?:rows in|written|duplicate|superseded|quarantined))", said[system])]
        assert numbers[0] == sum(numbers[1:]) and numbers[-1] == len(rows), said[system]
