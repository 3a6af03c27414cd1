"""What can be wrong with a contract, or with asking for one."""

from __future__ import annotations


class ContractError(ValueError):
    """A contract file breaks the standard or our rules on top of it; the message names file and key."""


class UnknownDataset(KeyError):
    """Nobody declares the dataset; the message names the nearest one that is declared."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:  # KeyError would print the repr
        return self.message
