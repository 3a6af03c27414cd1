"""What `estate destroy` does: says what goes, destroys one stack, and forgets what was known of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local_estate import facts, stack_files
from local_estate.engine.stacks import Stacks
from local_estate.engine.state_backend import StateBackend, is_counted
from local_estate.paths import Paths

_VAULT = "azure-native:keyvault:Vault"
_MENTIONED = 6  # kinds


class StillReferred(RuntimeError):
    """Environments stand on the stack that is to go."""


@dataclass(frozen=True, kw_only=True)
class Doomed:
    """What goes with a stack: resources by kind, tables with their rows, vaults whose names stay taken."""

    stack: str
    resources: int
    kinds: Mapping[str, int]
    protected: int
    tables: Mapping[str, int]
    vaults: Sequence[str]

    def lines(self) -> Iterator[str]:
        most = [f"{count} {kind.rsplit(':', 1)[-1]}" for kind, count in Counter(dict(self.kinds)).most_common(_MENTIONED)]
        yield f"stack {self.stack}: {self.resources} resources go, among them {', '.join(most)}"
        if self.tables:
            yield f"data: {len(self.tables)} tables with {sum(self.tables.values()):,} rows, and what has landed"
        if self.vaults:
            taken = f"Azure keeps {', '.join(self.vaults)} for 90 days under purge protection"
            yield f"{taken}: the next `up` needs lakehouse:recover_vault (docs/runbooks/destroyed-and-up-again.md)"
        if self.protected:
            yield f"{self.protected} of them are protected: nothing goes before `up` has run with lakehouse:protect: false"


def doomed(paths: Paths, stack: str, rows: Mapping[str, int]) -> Doomed:
    """`rows` are those of every table here. Raises StillReferred for a stack that others stand on."""
    backend = StateBackend(paths.pulumi_state, facts.PROJECT)
    resources = facts.resources(paths, stack)
    if others := [other for other in backend.names() if other != stack and _refers_to(backend.resources(other), stack)]:
        raise StillReferred(f"{', '.join(others)} stand on stack {stack}. Fix: destroy them first")
    catalogs = tuple(f"{each['outputs']['name']}." for each in resources if each["type"] == "databricks:index/catalog:Catalog")
    counted = [each for each in resources if each.get("custom") and not each["type"].startswith("pulumi:")]
    return Doomed(
        stack=stack,
        resources=sum(map(is_counted, resources)),
        kinds=Counter(each["type"] for each in counted),
        protected=sum(bool(each.get("protect")) for each in counted),
        tables={name: count for name, count in rows.items() if name.startswith(catalogs)} if catalogs else {},
        vaults=[each["outputs"]["name"] for each in counted if each["type"] == _VAULT],
    )


def _refers_to(resources: Sequence[Mapping[str, Any]], stack: str) -> bool:
    names = [each.get("inputs", {}).get("name", "") for each in resources if each["type"] == "pulumi:pulumi:StackReference"]
    return any(name.rsplit("/", 1)[-1] == stack for name in names)


def destroy(paths: Paths, stack: str) -> None:
    """Asks nobody. What was written down of the stack's ids goes with it, so that nothing speaks to a workspace that is gone."""
    stack_files.require(paths.repository, stack)
    Stacks(paths).destroy(stack)
    facts.outputs_file(paths, stack).unlink(missing_ok=True)
    for done in paths.home.glob(f"day-*-{stack}.done"):
        done.unlink()
