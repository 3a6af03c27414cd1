"""Hard files through the jobs of bronze and silver: what bronze reads of them, and the receipt that every one of them gets."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.api.governed_fixtures import ROOT
from tests.spark.conftest import DataPlane

CATALOGS = ["--raw_catalog=c", "--curated_catalog=c", "--marts_catalog=c", "--ai_catalog=c"]
HEADER = "customer_id,first_name,last_name,email,phone,amdm_addr_id,sfdc_contact_id,change_type,updated_ts"
SETUP = """
import sys
from lakehouse.contracts import Kind, contract, of_system
from lakehouse.ddl import create_table
from lakehouse.jobs.session import session
from lakehouse.names import Catalogs
spark, at = session(), Catalogs(raw="c", curated="c", marts="c", ai="c")
wanted = [of_system("cmdm", kind) for kind in (Kind.BRONZE, Kind.QUARANTINE, Kind.SILVER, Kind.HISTORY)]
names = ("file_receipts", "batch_accounting", "rule_results", "stopped_batches", "accepted_batches")
wanted += [contract(f"platform.{name}") for name in names]
for dataset in wanted:
    spark.sql(create_table(dataset, at.table(dataset)))
"""
RUN = """
import sys
from lakehouse.jobs import bronze, silver
arguments = sys.argv[1:]
for number, job in enumerate((bronze, silver)):
    sys.argv = [job.__name__, *arguments, "--system=cmdm", f"--run_id=run-{number}"]
    job.main()
"""


def row(key: str, last_name: str = "Lee", **more: str) -> str:
    return f"{key},Ann,{last_name},ann@example.com,{more.get('phone', '')},,,UPSERT,2025-06-02T10:00:00+10:00"


OPEN, TWO_LINES = '"', "Lee,\nof Perth"
HARD: Mapping[str, bytes] = {
    "customer_plain.csv": f"{HEADER}\n{row('P1')}\n{row('P2')}\n".encode(),
    "customer_crlf.csv": f"{HEADER}\r\n{row('C1')}\r\n{row('C2')}\r\n".encode(),
    "customer_bom.csv": b"\xef\xbb\xbf" + f"{HEADER}\n{row('B1')}\n".encode(),
    "customer 1 50%.csv": f"{HEADER}\n{row('N1')}\n".encode(),
    "customer_newline.csv": f"{HEADER}\n{row('E1', OPEN + TWO_LINES + OPEN)}\n{row('E2')}\n".encode(),
    # The quote of U1 ends at the one of U2: the two lines are one row.
    "customer_unclosed.csv": f"{HEADER}\n{row('U0')}\n{row('U1', OPEN)}\n{row('U2', OPEN + 'Lee' + OPEN)}\n{row('U3')}\n".encode(),
    "customer_open.csv": f"{HEADER}\n{row('O1')}\n{row('O2', OPEN)}\n{row('O3')}\n".encode(),
    "customer_empty.csv": b"",
    "customer_blank.csv": b"\n\n",
    "customer_header.csv": f"{HEADER}\n".encode(),
    "customer_wider.csv": f"{HEADER},loyalty_tier\n{row('W1')},GOLD\n".encode(),
    "customer_capitals.csv": f"{HEADER.upper()}\n{row('X1')}\n{row('X2')}\n".encode(),
    "customer_padded.csv": f"{HEADER.replace(',', ', ')}\n{row('X3')}\n".encode(),
    "customer_semicolons.csv": f"{HEADER}\n{row('X4')}\n".replace(",", ";").encode(),
    "customer_headless.csv": f"{row('X5')}\n{row('X6')}\n".encode(),
    "customer_cut_header.csv": f"{HEADER.rpartition(',')[0]}\n{row('X7').rpartition(',')[0]}\n".encode(),
    "customer.xlsx": b"PK\x03\x04",
    "CUSTOMER.CSV": f"{HEADER}\n{row('X8')}\n".encode(),
}
UNCLOSED = "row: a quote is not closed, so the lines after it became part of a value"
WRONG = "header: of the file lacks what the contract requires, as its receipt says"


class Jobs:
    """The wheel's jobs on the tests' data plane."""

    def __init__(self, plane: DataPlane) -> None:
        self.plane = plane
        for schema in ("cmdm", "platform"):
            plane.governed.uc("admin", "POST", "schemas", {"name": schema, "catalog_name": "c"})
            plane.grant("schema", f"c.{schema}", "engineers", "ALL_PRIVILEGES")
        for schema, name in (("cmdm", "landing"), ("platform", "checkpoints")):
            plane.governed.uc(
                "admin", "POST", "volumes", {"name": name, "catalog_name": "c", "schema_name": schema, "volume_type": "MANAGED"}
            )
        location = plane.governed.uc("admin", "GET", "volumes/c.cmdm.landing")["storage_location"]
        self.landing = plane.home / "adls" / "accone" / "lake" / location.removeprefix(f"{ROOT}/")
        self.landing.mkdir(parents=True, exist_ok=True)
        plane.succeed("alice", SETUP)

    def run(self) -> list[str]:
        return self.plane.succeed("alice", RUN, *CATALOGS).splitlines()

    def land(self, name: str, content: bytes, *, minutes: int) -> None:
        (self.landing / name).write_bytes(content)
        moment = time.time() - 86400 + 60 * minutes
        os.utime(self.landing / name, (moment, moment))

    def receipts(self) -> dict[tuple[str, str], tuple[Any, ...]]:
        """By name and outcome: bytes, rows, accepted, quarantined, reason."""
        found = self.plane.sql(
            "alice",
            "SELECT replace(source_file, 'dbfs:/Volumes/c/cmdm/landing/', ''), outcome,"
            " bytes, rows, rows_accepted, rows_quarantined, reason FROM c.platform.file_receipts",
        )
        assert len({each[:2] for each in found}) == len(found)
        return {(str(name), str(outcome)): tuple(rest) for name, outcome, *rest in found}

    def quarantined(self, key: str = "errors") -> list[tuple[str | None, ...]]:
        return self.plane.sql(
            "alice",
            f"SELECT replace(source_file, 'dbfs:/Volumes/c/cmdm/landing/', ''), kind, to_json({key}), payload FROM c.cmdm.cmdm_quarantine",
        )


@pytest.fixture(scope="module")
def jobs(warm: DataPlane) -> Jobs:
    return Jobs(warm)


def counted(name: str, rows: int, accepted: int, quarantined: int, reason: str | None = None) -> tuple[Any, ...]:
    return (str(len(HARD[name])), str(rows), str(accepted), str(quarantined), reason)


def test_every_hard_file_has_its_receipt_and_each_row_its_outcome_and_nothing_changes_when_run_again(jobs: Jobs) -> None:
    for number, (name, content) in enumerate(HARD.items()):
        jobs.land(name, content, minutes=number)
    said = jobs.run()
    assert any(line.startswith("files 18: 8 taken, 2 empty, 1 header only, 5 wrong header, 2 other format") for line in said), said

    found = jobs.receipts()
    required = "header: lacks customer_id, change_type, updated_ts"
    capitals = found.pop(("customer_capitals.csv", "wrong header"))
    assert capitals[1:4] == ("2", "0", "2") and "'CUSTOMER_ID' for customer_id" in capitals[4]
    padded = found.pop(("customer_padded.csv", "wrong header"))
    assert padded[1:4] == ("1", "0", "1") and padded[4].startswith(
        "header: lacks change_type, updated_ts; spelled otherwise are ' first_name'"
    )
    headless = f"{required}: the first line has no name of the contract, so it is no header, or that of another file"
    size = {name: str(len(content)) for name, content in HARD.items()}
    assert found == {
        ("customer_plain.csv", "taken"): counted("customer_plain.csv", 2, 2, 0),
        ("customer_crlf.csv", "taken"): counted("customer_crlf.csv", 2, 2, 0),
        ("customer_bom.csv", "taken"): counted("customer_bom.csv", 1, 1, 0),
        ("customer 1 50%.csv", "taken"): counted("customer 1 50%.csv", 1, 1, 0),
        ("customer_newline.csv", "taken"): counted("customer_newline.csv", 2, 2, 0),
        ("customer_unclosed.csv", "taken"): counted("customer_unclosed.csv", 3, 2, 1),
        ("customer_open.csv", "taken"): counted("customer_open.csv", 2, 1, 1, "rows that cannot be parsed: 1"),
        ("customer_wider.csv", "taken"): counted("customer_wider.csv", 1, 1, 0, "header: has loyalty_tier, which the contract has not"),
        ("customer_empty.csv", "empty"): ("0", "0", None, None, "file: is empty"),
        ("customer_blank.csv", "empty"): ("2", "0", None, None, "file: has no row"),
        ("customer_header.csv", "header only"): (size["customer_header.csv"], "0", None, None, "file: has a header and no row"),
        ("customer_semicolons.csv", "wrong header"): counted(
            "customer_semicolons.csv", 1, 0, 1, f"{required}: columns are separated by ';', the contract has ','"
        ),
        ("customer_headless.csv", "wrong header"): counted("customer_headless.csv", 1, 0, 1, headless),
        ("customer_cut_header.csv", "wrong header"): counted("customer_cut_header.csv", 1, 0, 1, "header: lacks updated_ts"),
        ("customer.xlsx", "other format"): (
            size["customer.xlsx"],
            "0",
            None,
            None,
            "file: is no .csv file, as the contract of cmdm.cmdm_bronze has it",
        ),
        ("CUSTOMER.CSV", "other format"): (
            size["CUSTOMER.CSV"],
            "0",
            None,
            None,
            "file: is no .csv file, as the contract of cmdm.cmdm_bronze has it",
        ),
    }

    held = {(str(name), str(kind), tuple(json.loads(str(errors)))) for name, kind, errors, _ in jobs.quarantined()}
    rows = {(name, errors) for name, kind, errors in held if kind == "row"}
    assert {(name, errors) for name, errors in rows if name != "customer_open.csv"} == {
        ("customer_unclosed.csv", (UNCLOSED,)),
        *((name, (WRONG,)) for name, outcome in found if outcome == "wrong header"),
        ("customer_capitals.csv", (WRONG,)),
        ("customer_padded.csv", (WRONG,)),
    }
    assert [errors[0] for name, errors in rows if name == "customer_open.csv"] == [UNCLOSED]
    assert {name for name, kind, _ in held if kind == "file"} == {
        "customer_empty.csv",
        "customer_blank.csv",
        "customer.xlsx",
        "CUSTOMER.CSV",
    }
    # What the open quote swallowed is there to be repaired.
    swallowed = [str(payload) for name, kind, _, payload in jobs.quarantined() if kind == "row" and name == "customer_open.csv"]
    assert "O3" in swallowed[0] and "O1" not in swallowed[0]

    silver = jobs.plane.sql("alice", "SELECT customer_id, last_name FROM c.cmdm.customer_silver ORDER BY 1")
    assert [key for key, _ in silver] == ["B1", "C1", "C2", "E1", "E2", "N1", "O1", "P1", "P2", "U0", "U3", "W1"]
    assert ("E1", "Lee, of Perth") in silver

    receipts, quarantine = jobs.receipts(), jobs.quarantined()
    assert any("nothing new" in line for line in jobs.run())
    assert jobs.receipts() == receipts
    assert sorted(map(str, jobs.quarantined())) == sorted(map(str, quarantine))

    # The same name again: Auto Loader reads a name once, so its receipt says that nobody read this delivery.
    jobs.land("customer_plain.csv", f"{HEADER}\n{row('P9')}\n".encode(), minutes=60)
    jobs.land("customer_empty.csv", f"{HEADER}\n{row('P8')}\n".encode(), minutes=60)
    # A run that ended between bronze and the receipts: the next one finds what is missing.
    jobs.plane.sql("alice", "DELETE FROM c.platform.file_receipts WHERE source_file LIKE '%customer_crlf.csv'")
    said = jobs.run()
    assert any(line.startswith("files 3: 1 taken, 2 delivered again") for line in said), said
    again = jobs.receipts()
    assert again["customer_crlf.csv", "taken"] == receipts["customer_crlf.csv", "taken"]
    reason = "file: a name is read once, and this one was there before; nothing of this delivery was taken. Deliver it under another name"
    for name in ("customer_plain.csv", "customer_empty.csv"):
        assert again.pop((name, "delivered again"))[1:] == ("0", None, None, reason)
    assert again == receipts
    assert jobs.plane.sql("alice", "SELECT count(*) FROM c.cmdm.customer_silver") == [("12",)]
