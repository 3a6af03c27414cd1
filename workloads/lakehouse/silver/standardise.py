"""Which standardisation each source system's rows get. A system without an entry keeps its typed columns."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.silver.address import repaired_postcode, standardised_address, standardised_state
from lakehouse.silver.identity import hashed, normalised_email, normalised_phone
from lakehouse.silver.words import code, one_blank, translated

_CASE_TYPES = {
    "BILL": "BILLING",
    "BILLING_ENQUIRY": "BILLING",
    "FAULTS": "FAULT",
    "NETWORK_FAULT": "FAULT",
    "COMPLAINTS": "COMPLAINT",
    "TIO_COMPLAINT": "COMPLAINT",
    "NEW_ORDER": "ORDER",
    "MOVE_HOUSE": "MOVE",
    "GENERAL_ENQUIRY": "GENERAL",
}
_CASE_STATUSES = {
    "NEW": "OPEN",
    "REOPENED": "OPEN",
    "INPROGRESS": "IN_PROGRESS",
    "PENDING_FULFILLMENT": "IN_PROGRESS",
    "RESOLVED_COMPLETED": "RESOLVED",
    "COMPLETED": "CLOSED",
}


def standardised_service(rows: DataFrame) -> DataFrame:
    """Jarvis: status and type as codes."""
    return rows.withColumns({name: code(F.col(name)) for name in ("status", "service_type")})


def standardised_customer(rows: DataFrame) -> DataFrame:
    """CMDM: e-mail and phone in one form with hashes, deletions as a flag.

    A change type that is missing stays so, and the contract refuses the row: the rest of a DELETE that was cut off must not bring a
    customer back. The flag is false then, for one reason is enough.
    """
    change = F.upper("change_type")
    return _person(rows).withColumns({"change_type": change, "is_deleted": F.coalesce(change == "DELETE", F.lit(False))})


def standardised_case(rows: DataFrame) -> DataFrame:
    """Pega: case type and status in the words of the contract."""
    return rows.withColumns(
        {
            "case_type": translated(code(F.col("case_type")), _CASE_TYPES),
            "status": translated(code(F.col("status")), _CASE_STATUSES),
            "channel": code(F.col("channel")),
        }
    )


def standardised_contact(rows: DataFrame) -> DataFrame:
    """SFDC: as CMDM's people, with state and postcode as AMDM's addresses."""
    return _person(rows).withColumns({"state": standardised_state(F.col("state")), "postcode": repaired_postcode(F.col("postcode"))})


def _person(rows: DataFrame) -> DataFrame:
    spelled = rows.withColumns(
        {
            "first_name": one_blank(F.col("first_name")),
            "last_name": one_blank(F.col("last_name")),
            "email": normalised_email(F.col("email")),
            "phone": normalised_phone(F.col("phone")),
        }
    )
    return spelled.withColumns({"email_hash": hashed(F.col("email")), "phone_hash": hashed(F.col("phone"))})


STANDARDISE: dict[str, Callable[[DataFrame], DataFrame]] = {
    "jarvis": standardised_service,
    "amdm": standardised_address,
    "cmdm": standardised_customer,
    "pega": standardised_case,
    "sfdc": standardised_contact,
}
