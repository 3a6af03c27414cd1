"""Rows that break their contract, each in one known way."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from lakehouse.contracts import contract
from samples.delivery import Delivered, day_start, iso


def _not_one_of(dataset: str, column: str) -> str:
    rule = next(rule for rule in contract(dataset).column(column).quality if rule.implementation == "valid_values")
    return f"{column}: is not one of {', '.join(str(value) for value in rule.arguments['validValues'])}"


_TIME = "updated_ts: is not an ISO 8601 time with offset"
_EMAIL = "email: is no e-mail address"


def _base(system: str, number: int, moment: str) -> dict[str, object]:
    """A row that would be fine. Its id is of a range of its own, so that it is nobody's version."""
    good: dict[str, dict[str, object]] = {
        "amdm": {
            "amdm_addr_id": f"ADX{number:07d}",
            "addr_line_1_txt": "1 Broken Road",
            "sbrb_nm": "Sydney",
            "state": "NSW",
            "post_cd": "2000",
        },
        "cmdm": {
            "customer_id": f"CUX{number:07d}",
            "first_name": "Pat",
            "last_name": "Broken",
            "email": "pat@example.com",
            "change_type": "UPSERT",
        },
        "jarvis": {
            "service_id": f"SVX{number:07d}",
            "account_id": "CU00000001",
            "service_type": "Nbn",
            "status": "Active",
            "start_dt": "2024-01-31",
        },
        "pega": {
            "case_id": f"C-X{number:07d}",
            "case_type": "Billing",
            "status": "Open",
            "customer_id": "CU00000001",
            "created_ts": moment,
        },
        "sfdc": {"contact_id": f"003MTX{number:09d}", "email": "pat@example.com", "state": "NSW", "postcode": "2000"},
    }
    return {**good[system], "updated_ts": moment}


def flaws(system: str) -> list[tuple[Mapping[str, object], str]]:
    """What to change in a good row, and the reason the platform must give."""
    kinds: dict[str, list[tuple[Mapping[str, object], str]]] = {
        "amdm": [
            ({"post_cd": "20000"}, "postcode: does not match ^[0-9]{4}$"),
            ({"post_cd": "3000"}, "postcode: is no postcode of the state"),
            ({"state": "ZZ"}, _not_one_of("amdm.address_silver", "state")),
            ({"post_cd": ""}, "postcode: is required"),
        ],
        "cmdm": [
            ({"email": "pat.example.com"}, _EMAIL),
            ({"email": "pat@@example"}, _EMAIL),
            ({"customer_id": " "}, "customer_id: is required"),
            ({"change_type": "MERGE"}, _not_one_of("cmdm.customer_silver", "change_type")),
            ({"updated_ts": "02/06/2025 10:00"}, _TIME),
        ],
        "jarvis": [
            ({"status": "Zombie"}, _not_one_of("jarvis.service_silver", "status")),
            ({"start_dt": "2099-01-01"}, "start_dt: is in the future"),
            ({"start_dt": "31/01/2024"}, "start_dt: is not a date yyyy-MM-dd"),
            ({"account_id": ""}, "account_id: is required"),
        ],
        "pega": [
            ({"status": "In the post"}, _not_one_of("pega.case_silver", "status")),
            ({"handle_time_minutes": -5}, "handle_time_minutes: is negative"),
            ({"resolved_ts": "2001-01-01T00:00:00+10:00"}, "resolved_ts: is before created_ts"),
        ],
        "sfdc": [
            ({"email": None}, "email: is required"),
            ({"email": "nobody"}, _EMAIL),
            ({"postcode": "99"}, "postcode: does not match ^[0-9]{4}$"),
        ],
    }
    return kinds[system]


def of(system: str, count: int, *, day: int, pick: Random) -> list[Delivered]:
    """`count` broken rows, every flaw in turn."""
    kinds = flaws(system)
    found = []
    for number in range(count):
        change, reason = kinds[number % len(kinds)]
        moment = day_start(day).replace(hour=pick.randrange(6, 20))
        row = {**_base(system, day * 100000 + number, iso(moment)), **change}
        found.append(Delivered(row=row, key="", sequence=moment, content=(), broken=reason))
    return found
