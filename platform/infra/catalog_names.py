"""A catalog keeps the name it was made with: another prefix is refused before anything is registered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pulumi

from infra.errors import SettingsError

CATALOG = "databricks:index/catalog:Catalog"


def refuse_renamed(wanted: Mapping[str, str], standing: Mapping[str, str], stack: str) -> None:
    """`wanted` and `standing` are names by layer. Catalogs that are new may have any name.

    The published provider previews another name as an update and never sends it, while everything inside (schemas, volumes, grants) is
    replaced: into catalogs that do not exist, half-way through an `up`.
    """
    renamed = {layer: (name, wanted[layer]) for layer, name in sorted(standing.items()) if layer in wanted and wanted[layer] != name}
    if renamed:
        said = ", ".join(f"{old} to {new}" for old, new in renamed.values())
        raise SettingsError(
            f"Pulumi.{stack}.yaml: lakehouse:catalog_prefix would rename catalogs that exist ({said}), and a catalog cannot be renamed. "
            "Fix: put the prefix back; or give the new prefix to a new stack and move the data; "
            f"or, without data to keep, pulumi destroy -s {stack} first."
        )


def standing_catalogs() -> dict[str, str]:
    """Names of this stack's catalogs by their logical names, as the state has them; none before its first `up`."""
    own = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    # Asked of the engine itself, and answered at once: an output would arrive when resources have been registered already.
    answer = pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", {"stackName": own}).value
    return dict(_names((answer or {}).get("outputs") or {}))


def _names(resources: Mapping[str, Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    for urn, resource in resources.items():
        name = (resource.get("outputs") or {}).get("name")
        if resource.get("type") == CATALOG and isinstance(name, str):
            yield urn.rsplit("::", 1)[-1], name
