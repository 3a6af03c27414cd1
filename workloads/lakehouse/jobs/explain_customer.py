"""Prints why a customer has the values it has. The values are hidden: whoever may start the job need not be of pii_readers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lakehouse.jobs.parameters import JobArguments, parse
from lakehouse.jobs.session import session
from lakehouse.mastering.explain import UnknownCustomer, explain


def main(arguments: Sequence[str] | None = None, *, show_values: bool = False) -> None:
    """`show_values` is for a session of one's own, where the table's masks decide what there is to see."""
    parser = JobArguments("explain_customer")
    parser.add_argument("--customer_id", required=True, type=_said, help="id of a customer in CMDM or of a contact in SFDC")
    own, others = parser.parse_known_args(sys.argv[1:] if arguments is None else arguments)
    parameters = parse("explain_customer", others)
    try:
        lines = explain(session(), parameters.catalogs, own.customer_id, show_values=show_values)
    except UnknownCustomer as error:
        raise SystemExit(f"explain_customer: {error}") from None
    print("\n".join(lines))


def _said(value: str) -> str:
    if not value.strip():
        raise argparse.ArgumentTypeError("says nothing")
    return value


if __name__ == "__main__":
    main()
