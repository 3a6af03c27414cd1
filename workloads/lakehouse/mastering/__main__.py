"""`python -m lakehouse.mastering explain [--show_values=true] --customer_id=CU00000001 --raw_catalog=… …`, in a session of one's own.

The job explain_customer tells the same without the values.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lakehouse.jobs import explain_customer

_SHOW = "--show_values=true"


def main(arguments: Sequence[str] | None = None) -> None:
    given = list(sys.argv[1:] if arguments is None else arguments)
    given = given[1:] if given[:1] == ["explain"] else given
    explain_customer.main([each for each in given if each != _SHOW], show_values=_SHOW in given)


if __name__ == "__main__":
    main()
