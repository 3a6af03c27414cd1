"""`python -m lakehouse.mastering explain --customer_id=CU00000001 --raw_catalog=… …`: the job explain_customer, from a shell."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lakehouse.jobs import explain_customer


def main(arguments: Sequence[str] | None = None) -> None:
    given = list(sys.argv[1:] if arguments is None else arguments)
    explain_customer.main(given[1:] if given[:1] == ["explain"] else given)


if __name__ == "__main__":
    main()
