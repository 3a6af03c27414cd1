"""`python -m lakehouse.contracts`: validates every contract and lists what they declare."""

from __future__ import annotations

import sys

from lakehouse.contracts.errors import ContractError
from lakehouse.contracts.registry import load_contracts


def main() -> int:
    try:
        contracts = load_contracts()
    except ContractError as error:
        print(f"broken contract: {error}", file=sys.stderr)
        return 1
    for dataset in contracts:
        pii = sum(column.classification == "pii" for column in dataset.columns)
        rules = sum(len(column.quality) + column.required for column in dataset.declared_columns)
        print(f"{dataset.layer:8} {dataset.name:34} {dataset.version:7} {len(dataset.columns):3} columns {pii:2} pii {rules:3} rules")
    print(f"{len(contracts)} contracts are valid")
    return 0


if __name__ == "__main__":
    sys.exit(main())
