"""Prints why a customer has the values it has. Values are personal, so they are hidden unless asked for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lakehouse.jobs.parameters import parse
from lakehouse.jobs.session import session
from lakehouse.mastering.explain import UnknownCustomer, explain


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="explain_customer", allow_abbrev=False, add_help=False)
    parser.add_argument("--customer_id", required=True, type=_said, help="id of a customer in CMDM or of a contact in SFDC")
    parser.add_argument("--show_values", default="false", choices=("true", "false"))
    own, others = parser.parse_known_args(sys.argv[1:] if arguments is None else arguments)
    parameters = parse("explain_customer", others)
    try:
        lines = explain(session(), parameters.catalogs, own.customer_id, show_values=own.show_values == "true")
    except UnknownCustomer as error:
        raise SystemExit(f"explain_customer: {error}") from None
    print("\n".join(lines))


def _said(value: str) -> str:
    if not value.strip():
        raise argparse.ArgumentTypeError("says nothing")
    return value


if __name__ == "__main__":
    main()
