"""What an environment takes from stack `shared`: hub, metastore, groups and its own service principals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from infra.errors import SharedIncomplete


class Shared:
    """The outputs of stack `stack` by name. One that is missing is named with its fix."""

    def __init__(self, stack: str, environment: str) -> None:
        self._stack = stack
        self._environment = environment
        self._reference = pulumi.StackReference("shared", f"{pulumi.get_organization()}/{pulumi.get_project()}/{stack}")

    @property
    def hub_resource_group(self) -> pulumi.Output[str]:
        return self._output("hub_resource_group")

    @property
    def zone_ids(self) -> pulumi.Output[Mapping[str, str]]:
        """Of the private DNS zones, by groupId."""
        return self._output("dns_zone_ids")

    @property
    def metastore_id(self) -> pulumi.Output[str]:
        return self._output("metastore_id")

    @property
    def group_ids(self) -> pulumi.Output[Mapping[str, str]]:
        return self._output("group_ids")

    @property
    def principals(self) -> pulumi.Output[Mapping[str, str]]:
        """Application ids of this environment's service principals, by role."""
        return self._of_environment("service_principals")

    @property
    def principal_ids(self) -> pulumi.Output[Mapping[str, str]]:
        """The account's ids of the same."""
        return self._of_environment("service_principal_ids")

    def _output(self, name: str) -> pulumi.Output[Any]:
        def present(value: Any) -> Any:
            if value is None:
                raise SharedIncomplete(f"stack {self._stack} has no output {name} yet. Fix: pulumi up -s {self._stack}")
            return value

        return self._reference.get_output(name).apply(present)

    def _of_environment(self, name: str) -> pulumi.Output[Mapping[str, str]]:
        def pick(known: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
            if self._environment not in known:
                raise SharedIncomplete(
                    f"stack {self._stack} has no {name} for {self._environment}. "
                    f"Fix: list it under lakehouse:environments in Pulumi.{self._stack}.yaml, then pulumi up -s {self._stack}"
                )
            return known[self._environment]

        return self._output(name).apply(pick)
