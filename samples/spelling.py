"""Rows as each system spells them: cases, blanks, formats, a zero that a spreadsheet ate. What they mean stays in `content`."""

from __future__ import annotations

from random import Random

from samples.delivery import iso
from samples.world import Address, Case, Customer, Place, Service

_STATE_NAMES = {"NSW": "New South Wales", "VIC": "Victoria", "QLD": "Queensland", "NT": "Northern Territory"}
_STATUSES = {
    "OPEN": ("Open", "New", "OPEN"),
    "IN_PROGRESS": ("In Progress", "in-progress", "Pending-Fulfillment"),
    "RESOLVED": ("Resolved", "Resolved-Completed"),
    "CLOSED": ("Closed", "CLOSED"),
}
_CASE_TYPES = {
    "BILLING": ("Billing", "Billing Enquiry"),
    "FAULT": ("Fault", "Network Fault"),
    "COMPLAINT": ("Complaint", "TIO Complaint"),
    "ORDER": ("Order", "New Order"),
    "MOVE": ("Move", "Move House"),
    "GENERAL": ("General", "General Enquiry"),
}


def address_row(address: Address, sequence: str, pick: Random) -> dict[str, object]:
    return {
        "amdm_addr_id": address.address_id,
        "addr_line_1_txt": address.line_1,
        "addr_line_2_txt": address.line_2,
        "sbrb_nm": pick.choice((address.place.suburb, address.place.suburb.upper(), f" {address.place.suburb} ")),
        "state": _state(address.place.state, pick),
        "post_cd": _postcode(address.place, pick),
        "gcc_cd": address.place.gcc_cd,
        "mesh_block_id": address.mesh_block,
        "updated_ts": sequence,
    }


def customer_row(customer: Customer, sequence: str, pick: Random, *, change: str = "UPSERT") -> dict[str, object]:
    return {
        "customer_id": customer.customer_id,
        "first_name": pick.choice((customer.given, customer.given, f"{customer.given} ")),
        "last_name": customer.family,
        "email": pick.choice((customer.email, customer.email, customer.email.upper())),
        "phone": _phone(customer.phone, pick),
        "amdm_addr_id": customer.address_id,
        "sfdc_contact_id": customer.contact_id,
        "change_type": change,
        "updated_ts": sequence,
    }


def contact_row(customer: Customer, place: Place, sequence: str, pick: Random) -> dict[str, object]:
    return {
        "contact_id": customer.contact_id,
        "customer_id": customer.customer_id,
        "first_name": customer.given,
        "last_name": customer.family,
        "email": pick.choice((customer.email, customer.email.title())),
        "phone": _phone(customer.phone, pick),
        "state": _state(place.state, pick),
        "postcode": _postcode(place, pick),
        "updated_ts": sequence,
    }


def service_row(service: Service, sequence: str, pick: Random) -> dict[str, object]:
    return {
        "service_id": service.service_id,
        "account_id": service.account_id,
        "service_type": service.service_type.replace("_", " ").title(),
        "plan_cd": service.plan,
        "status": pick.choice((service.status, service.status.title(), service.status.lower())),
        "start_dt": service.start.isoformat(),
        "updated_ts": sequence,
    }


def case_row(case: Case, sequence: str, pick: Random) -> dict[str, object]:
    row: dict[str, object] = {
        "case_id": case.case_id,
        "case_type": pick.choice(_CASE_TYPES[case.case_type]),
        "status": pick.choice(_STATUSES[case.status]),
        "customer_id": case.customer_id,
        "channel": case.channel.title(),
        "created_ts": iso(case.created),
        "sla_due_ts": iso(case.sla_due),
        "reopen_count": case.reopened,
        "updated_ts": sequence,
    }
    # Pega leaves out what is not there.
    if case.service_id:
        row["service_id"] = case.service_id
    if case.resolved:
        row["resolved_ts"] = iso(case.resolved)
        row["handle_time_minutes"] = case.minutes
    return row


def _state(state: str, pick: Random) -> str:
    return pick.choice((state, state, state.lower(), _STATE_NAMES.get(state, state)))


def _postcode(place: Place, pick: Random) -> str:
    lost = place.postcode.startswith("0") and pick.random() < 0.7
    return place.postcode.lstrip("0") if lost else place.postcode


def _phone(national: str, pick: Random) -> str:
    if national.startswith("4"):
        spaced = f"0{national[:3]} {national[3:6]} {national[6:]}"
    else:
        spaced = f"(0{national[0]}) {national[1:5]} {national[5:]}"
    return pick.choice((spaced, f"0{national}", f"+61{national}", f"+61 {national[:3]} {national[3:6]} {national[6:]}"))
