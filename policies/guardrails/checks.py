"""Predicates: each looks at one property of one resource and yields what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from guardrails.values import Properties, at, is_set, items, known

Configuration = Mapping[str, Any]
E_MAIL = re.compile(r"[^@\s]+@[^@\s]+")
SYSTEM_GROUPS = ("account users", "users")
OWNER_PRIVILEGES = ("ALL_PRIVILEGES", "MANAGE")


@dataclass(frozen=True)
class Finding:
    """What is wrong, and at which property."""

    where: str
    what: str


Check = Callable[[Properties, Configuration], Iterator[Finding]]


def must_be_true(path: str) -> Check:
    def check(properties: Properties, configuration: Configuration) -> Iterator[Finding]:
        value = known(at(properties, path))
        if value is not True:
            yield Finding(path, f"is {_shown(value)}, must be true")

    return check


def must_be_one_of(path: str, *allowed: str) -> Check:
    def check(properties: Properties, configuration: Configuration) -> Iterator[Finding]:
        value = known(at(properties, path))
        if value not in allowed:
            yield Finding(path, f"is {_shown(value)}, must be {' or '.join(allowed)}")

    return check


def must_be_set(path: str) -> Check:
    def check(properties: Properties, configuration: Configuration) -> Iterator[Finding]:
        if not is_set(at(properties, path)):
            yield Finding(path, "is missing")

    return check


def each_must_set(name: str, *lists: str, only_with: str | None = None) -> Check:
    """Every element of `lists` sets `name`; elements without `only_with` (no cluster of their own) are left alone."""

    def check(properties: Properties, configuration: Configuration) -> Iterator[Finding]:
        for path in lists:
            for where, element in items(properties, path):
                known(element)
                if only_with is not None and not is_set(at(element, only_with)):
                    continue
                full = f"{only_with}.{name}" if only_with else name
                if not is_set(at(element, full)):
                    yield Finding(f"{where}.{full}", "is missing")

    return check


def principals_are_allow_listed(properties: Properties, configuration: Configuration) -> Iterator[Finding]:
    allowed = set(configuration["allowedGroups"]) | set(configuration.get("allowedServicePrincipals", ()))
    for where, grant in _grants(properties):
        principal = str(known(at(grant, "principal")) or "")
        if principal in allowed:
            continue
        if E_MAIL.fullmatch(principal):
            problem = f"is the user {principal}; people get access through a group"
        elif principal.lower() in SYSTEM_GROUPS:
            problem = f"is '{principal}', which is everybody"
        else:
            problem = f"is {_shown(principal or None)}, which is not in the allow-list"
        yield Finding(f"{where}principal", problem)


def owner_privileges_stay_with_the_owners(properties: Properties, configuration: Configuration) -> Iterator[Finding]:
    for where, grant in _grants(properties):
        strong = sorted({_privilege(value) for _, value in items(grant, "privileges")} & set(OWNER_PRIVILEGES))
        if strong and (principal := known(at(grant, "principal"))) != configuration["ownerGroup"]:
            yield Finding(f"{where}privileges", f"gives {' and '.join(strong)} to {_shown(principal)}, not the owner group")


def applies_to_everybody(properties: Properties, configuration: Configuration) -> Iterator[Finding]:
    """What hides data is for all of the account but whom it excepts, so that nobody is forgotten."""
    named = [str(known(value)) for _, value in items(properties, "toPrincipals")]
    if [name.lower() for name in named] != ["account users"]:
        yield Finding("toPrincipals", f"is {', '.join(named) or 'missing'}, must be account users alone")


def exceptions_are_allow_listed(option: str) -> Check:
    """For policies that set `option` (columnMask or rowFilter), whose exceptions are another matter each."""

    def check(properties: Properties, configuration: Configuration) -> Iterator[Finding]:
        if not is_set(at(properties, option)):
            return
        for where, value in items(properties, "exceptPrincipals"):
            if (name := known(value)) not in configuration["allowedGroups"]:
                yield Finding(where, f"excepts {_shown(name)}, which is not in the allow-list")

    return check


def _grants(properties: Properties) -> Iterator[tuple[str, Any]]:
    """Of `Grants` (a list) and of `Grant` (the resource itself)."""
    if "grants" in properties:
        for where, grant in items(properties, "grants"):
            yield f"{where}.", known(grant)
    else:
        yield "", properties


def _privilege(value: Any) -> str:
    return re.sub(r"[\s_]+", "_", str(known(value)).strip().upper())


def _shown(value: Any) -> str:
    return "missing" if value is None else f"'{value}'" if isinstance(value, str) else str(value).lower()
