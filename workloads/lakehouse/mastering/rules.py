"""The declared rules of mastering, read once from rules.yaml. What is wrong with them is said with file and key."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lakehouse.contracts import contract
from lakehouse.contracts.errors import ContractError

FILE = "mastering/rules.yaml"
CUSTOMERS = "cmdm"
CONTACTS = "sfdc"


class Criterion(StrEnum):
    """What can decide between two values of a field."""

    SOURCE = "source"
    RECENCY = "recency"
    COMPLETENESS = "completeness"
    VALID = "valid"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Strict):
    """A system that knows customers, and the column that names its records."""

    dataset: str
    record_id: str


class IdRule(_Strict):
    """A contact belongs to the one living customer whose column `customer` equals its `contact`, unless it has a value in `unless`."""

    name: str
    contact: str
    customer: str
    unless: str | None = None


class MatchRule(_Strict):
    """Records with the same values in all `columns` are one person, where at most `at_most` hold them and none disagree on `agree_on`."""

    name: str
    columns: tuple[str, ...] = Field(min_length=2)
    agree_on: str | None = None
    at_most: int = Field(ge=2)


class Identity(_Strict):
    ids: tuple[IdRule, ...]
    matches: tuple[MatchRule, ...]


class FieldRule(_Strict):
    """Whose value of a field survives."""

    sources: tuple[str, ...] = Field(min_length=1)
    order: tuple[Criterion, ...] = Field(min_length=1)
    valid: str | None = None

    @model_validator(mode="after")
    def _belongs_together(self) -> FieldRule:
        if len(set(self.order)) != len(self.order):
            raise ValueError("order names a criterion twice")
        if (self.valid is None) is (Criterion.VALID in self.order):
            raise ValueError("order has `valid` exactly where the pattern `valid` is given")
        if self.valid is not None:
            re.compile(self.valid)
        return self


class Rules(_Strict):
    """All of rules.yaml."""

    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    sources: dict[str, Source]
    identity: Identity
    fields: dict[str, FieldRule]

    @model_validator(mode="after")
    def _names_exist(self) -> Rules:
        if set(self.sources) != {CUSTOMERS, CONTACTS}:
            raise ValueError(f"sources must be {CUSTOMERS} and {CONTACTS}, are {', '.join(self.sources)}")
        for id_rule in self.identity.ids:
            self._column(CONTACTS, id_rule.contact)
            self._column(CUSTOMERS, id_rule.customer)
        for match in self.identity.matches:
            for column in (*match.columns, *([match.agree_on] if match.agree_on else [])):
                self._column(CUSTOMERS, column)
                self._column(CONTACTS, column)
        for name, field in self.fields.items():
            for source in field.sources:
                self._column(source, name)
        return self

    def _column(self, source: str, column: str) -> None:
        if source not in self.sources:
            raise ValueError(f"{source!r} is not one of the sources {', '.join(self.sources)}")
        dataset = contract(self.sources[source].dataset)
        if column not in {found.name for found in dataset.columns}:
            raise ValueError(f"{dataset.name} has no column {column!r}")


def read_rules(text: str) -> Rules:
    """Raises ContractError with file, key and what is wrong there."""
    try:
        raw: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ContractError(f"{FILE}: not YAML: {' '.join(str(error).split())}") from error
    try:
        return Rules.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ContractError(f"{FILE}: {where + ': ' if where else ''}{first['msg']}") from error


@cache
def load_rules() -> Rules:
    """The rules of the wheel."""
    return read_rules((resources.files("lakehouse.mastering") / "rules.yaml").read_text(encoding="utf-8"))
