"""What an environment takes from stack `shared`: hub, metastore, groups and its own service principals."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import pulumi

from infra.azure.hub import ZONES
from infra.databricks.groups import GROUPS
from infra.errors import SharedIncomplete

ROLES = ("etl", "airflow")


class Shared:
    """The outputs of stack `stack` by name.

    What the stack does not have is refused, named with its fix. What its program makes and its state does not have yet (a group that the
    same pull request adds) is unknown at a preview, which says so, and refused by `up`.
    """

    def __init__(self, stack: str, environment: str) -> None:
        self._stack = stack
        self._environment = environment
        self._reference = pulumi.StackReference("shared", f"{pulumi.get_organization()}/{pulumi.get_project()}/{stack}")
        self._said: set[str] = set()
        self.hub_resource_group: pulumi.Output[str] = self._output("hub_resource_group")
        self.metastore_id: pulumi.Output[str] = self._output("metastore_id")
        # Of the private DNS zones, by groupId.
        self.zone_ids = self._each("dns_zone_ids", ZONES)
        self.group_ids = self._each("group_ids", GROUPS)
        # Of this environment's service principals, by role: application ids, and the account's ids of the same.
        self.principals = self._each("service_principals", ROLES, environment)
        self.principal_ids = self._each("service_principal_ids", ROLES, environment)

    def _output(self, name: str) -> pulumi.Output[Any]:
        def present(value: Any) -> Any:
            if value is None:
                raise SharedIncomplete(f"stack {self._stack} has no output {name} yet. Fix: pulumi up -s {self._stack}")
            return value

        return self._reference.get_output(name).apply(present)

    def _each(self, output: str, keys: Iterable[str], environment: str = "") -> Mapping[str, pulumi.Output[str]]:
        """One output for each key, so that one that is missing leaves the others known."""
        known = self._of_environment(output) if environment else self._output(output)
        return {key: known.apply(lambda found, key=key: self._pick(output, found, key)) for key in keys}  # type: ignore[misc]

    def _pick(self, output: str, found: Mapping[str, str], key: str) -> str | pulumi.Output[str]:
        if found.get(key) is not None:
            return found[key]
        missing = f"stack {self._stack} has no {key} in its output {output} yet"
        if not pulumi.runtime.is_dry_run():
            raise SharedIncomplete(f"{missing}. Fix: pulumi up -s {self._stack}")
        if missing not in self._said:
            self._said.add(missing)
            pulumi.log.warn(f"{missing}; what needs it is unknown until then. Before the up of this stack: pulumi up -s {self._stack}")
        return _unknown()

    def _of_environment(self, name: str) -> pulumi.Output[Mapping[str, str]]:
        def pick(known: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
            if self._environment not in known:
                raise SharedIncomplete(
                    f"stack {self._stack} has no {name} for {self._environment}. "
                    f"Fix: list it under lakehouse:environments in Pulumi.{self._stack}.yaml, then pulumi up -s {self._stack}"
                )
            return known[self._environment]

        return self._output(name).apply(pick)


def _unknown() -> pulumi.Output[str]:
    value: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    value.set_result("")
    known: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    known.set_result(False)
    return pulumi.Output(set(), value, known)
