"""Every name of the estate, by Azure's and Unity Catalog's rules. Pure: the same settings give the same names.

Rules: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
"""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass

from infra.errors import BadName


@dataclass(frozen=True)
class Rule:
    """`pattern` is the whole name; `separator` joins the parts where the type allows one."""

    pattern: str
    longest: int
    separator: str = "-"
    unique: bool = False  # the name must be the only one in all of Azure


RULES = {
    "rg": Rule(r"[\w.()-]*[\w()-]", 90),
    "vnet": Rule(r"[A-Za-z0-9][\w.-]*\w", 64),
    "snet": Rule(r"[A-Za-z0-9][\w.-]*\w", 80),
    "nsg": Rule(r"[A-Za-z0-9][\w.-]*\w", 80),
    "ng": Rule(r"[A-Za-z0-9][\w.-]*\w", 80),
    "pip": Rule(r"[A-Za-z0-9][\w.-]*\w", 80),
    "pe": Rule(r"[A-Za-z0-9][\w.-]*\w", 80),
    "link": Rule(r"[A-Za-z0-9][\w.-]*\w", 80),
    "st": Rule(r"[a-z0-9]{3,24}", 24, separator="", unique=True),
    "kv": Rule(r"(?!.*--)[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]", 24, unique=True),
    "dbw": Rule(r"[\w-]{3,64}", 64),
    "dbac": Rule(r"[\w-]{3,64}", 64),
    "log": Rule(r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]", 63),
}

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,254}")


@dataclass(frozen=True, kw_only=True)
class Naming:
    """`organisation` and `workload` start every name, `environment` ends it; `subscription_id` seeds what must be globally unique."""

    organisation: str
    workload: str
    environment: str
    subscription_id: str

    def azure(self, kind: str, role: str = "") -> str:
        """`vnet-mt-lakehouse-dev`, `stmtlakehousedev1a2b`. Raises BadName for a kind without a rule or a name the rule refuses."""
        if kind not in RULES:
            raise BadName(f"there is no naming rule for {kind!r}; add one to RULES in infra/naming.py")
        rule = RULES[kind]
        parts = [part for part in (kind, self.organisation, self.workload, role, self.environment) if part]
        name = rule.separator.join(parts)
        if rule.separator == "":
            name = re.sub(r"[^a-z0-9]", "", name.lower())
        if rule.unique:
            suffix = self._suffix(kind, role)
            name = name[: rule.longest - len(suffix)].rstrip("-") + suffix
        return _checked(name, rule, kind)

    def _suffix(self, kind: str, role: str) -> str:
        seed = "/".join([self.subscription_id, self.organisation, self.workload, self.environment, kind, role])
        return hashlib.sha256(seed.encode()).hexdigest()[:4]

    def guid(self, *parts: str) -> str:
        """A stable GUID, for role assignments: Azure names them so."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join([self.subscription_id, self.environment, *parts])))

    def resource_group_id(self, role: str = "") -> str:
        return f"/subscriptions/{self.subscription_id}/resourceGroups/{self.azure('rg', role)}"

    def id(self, provider_type: str, name: str, role: str = "") -> str:
        """The ARM id of a resource in our group: known before anything is deployed."""
        return f"{self.resource_group_id(role)}/providers/{provider_type}/{name}"


def _checked(name: str, rule: Rule, kind: str) -> str:
    if len(name) > rule.longest or not re.fullmatch(rule.pattern, name):
        raise BadName(f"{name!r} is no valid name for {kind}: at most {rule.longest} characters, {rule.pattern}")
    return name


def identifier(name: str) -> str:
    """A Unity Catalog name that needs no quoting. Raises BadName for anything else."""
    if not _IDENTIFIER.fullmatch(name):
        raise BadName(f"{name!r} must be lower-case letters, digits and underscores, and start with a letter")
    return name
