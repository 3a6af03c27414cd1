"""Files that are hard to read or that no contract allows: other line ends, empty, cut off, not UTF-8, other columns, another format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lakehouse.contracts import Kind, of_system
from samples.delivery import Delivery, as_text, day_start


@dataclass(frozen=True, kw_only=True)
class BrokenFile:
    """A file and what must come of it: `quarantined` of its `rows` (or the file itself) for `reason`, and its receipt's outcome."""

    name: str
    content: bytes
    rows: int
    quarantined: int
    reason: str
    outcome: str = "taken"

    def expected(self) -> dict[str, object]:
        return {"file": self.name, "rows": self.rows, "quarantined": self.quarantined, "reason": self.reason, "outcome": self.outcome}


def broken_files(deliveries: Sequence[Delivery], day: int) -> list[BrokenFile]:
    """One of each kind. The good rows in them repeat rows of the day, so they change no table."""
    by_system = {delivery.system: delivery for delivery in deliveries}
    date = f"{day_start(day):%Y%m%d}"

    def content(system: str, *, broken_in: str = "") -> str:
        """Three good rows; in the first the value of a column ends in a line break, which nobody means."""
        delivery = by_system[system]
        rows = [dict(row.row) for row in delivery.rows if not row.broken][:3]
        if broken_in:
            rows[0][broken_in] = f"{rows[0][broken_in]}\n"
        columns = [column.name for column in of_system(system, Kind.BRONZE).declared_columns]
        return as_text(rows, columns, delivery.format)

    addresses, cases, customers = content("amdm"), content("pega"), content("cmdm")
    cut_row = addresses.rstrip("\n").rsplit("\n", 1)[0] + "\nAD99999999,12 Cut Of"
    cut_object = cases + '{"case_id": "C-99999999", "case_ty'
    latin = (
        "service_id,account_id,service_type,plan_cd,status,start_dt,updated_ts\n"
        "SVX9999999,CU00000001,Nbn,Café,Active,2024-01-31,2025-06-02T10:00:00+10:00\n"
    )
    return [
        BrokenFile(name=f"cmdm/customer_{date}_empty.csv", content=b"", rows=0, quarantined=0, reason="file: is empty", outcome="empty"),
        BrokenFile(
            name=f"sfdc/contact_{date}.xlsx",
            content=b"PK\x03\x04 not ours",
            rows=0,
            quarantined=0,
            reason="file: is no .json file",
            outcome="other format",
        ),
        BrokenFile(name=f"amdm/address_{date}_cut.csv", content=cut_row.encode(), rows=3, quarantined=1, reason="updated_ts: is required"),
        BrokenFile(name=f"pega/case_{date}_cut.json", content=cut_object.encode(), rows=4, quarantined=1, reason="row: cannot be parsed"),
        BrokenFile(
            name=f"jarvis/service_{date}_latin1.csv",
            content=latin.encode("latin-1"),
            rows=1,
            quarantined=1,
            reason="row: is not valid UTF-8 text",
        ),
        BrokenFile(
            name=f"cmdm/customer_{date}_other_columns.csv",
            content=b"cust_no,given,family,mail\n1,Pat,Broken,pat@example.com\n2,Kim,Broken,kim@example.com\n",
            rows=2,
            quarantined=2,
            reason="header: of the file lacks what the contract requires",
            outcome="wrong header",
        ),
        BrokenFile(
            name=f"cmdm/customer_{date}_capitals.csv",
            content=_with_header(customers, str.upper).encode(),
            rows=3,
            quarantined=3,
            reason="header: of the file lacks what the contract requires",
            outcome="wrong header",
        ),
        BrokenFile(
            name=f"jarvis/service_{date}_header.csv",
            content=latin.partition("\n")[0].encode() + b"\n",
            rows=0,
            quarantined=0,
            reason="file: has a header and no row",
            outcome="header only",
        ),
        BrokenFile(
            name=f"amdm/address_{date}_crlf.csv", content=addresses.replace("\n", "\r\n").encode(), rows=3, quarantined=0, reason=""
        ),
        BrokenFile(
            name=f"cmdm/customer_{date}_lines.csv",
            content=content("cmdm", broken_in="first_name").encode(),
            rows=3,
            quarantined=0,
            reason="",
        ),
    ]


def _with_header(text: str, spelled: Callable[[str], str]) -> str:
    header, line_end, rows = text.partition("\n")
    return f"{spelled(header)}{line_end}{rows}"


def write(files: Sequence[BrokenFile], out: Path) -> None:
    for file in files:
        (out / file.name).write_bytes(file.content)
