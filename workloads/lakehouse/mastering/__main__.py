"""`python -m lakehouse.mastering explain --customer_id=CU00000001 --raw_catalog=… …`: why a customer has the values it has."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lakehouse.jobs.parameters import parse
from lakehouse.jobs.session import session
from lakehouse.mastering.explain import explain


def main(arguments: Sequence[str] | None = None) -> None:
    """Takes the parameters of every job, and `--customer_id`; `--show_values=true` prints values in clear instead of hiding them."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="explain", allow_abbrev=False, add_help=False)
    parser.add_argument("--customer_id", required=True)
    parser.add_argument("--show_values", default="false", choices=("true", "false"))
    own, others = parser.parse_known_args(given[1:] if given[:1] == ["explain"] else given)
    parameters = parse("explain", others)
    for line in explain(session(), parameters.catalogs, own.customer_id, show_values=own.show_values == "true"):
        print(line)


if __name__ == "__main__":
    main()
