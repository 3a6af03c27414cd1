"""What the stacks of one account must not say twice, and what they must agree on, read from the stack files beside this one's."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.errors import SettingsError
from infra.settings import PREFIX, AccountSettings, EnvironmentSettings

# A workspace takes the metastore that stack shared makes, which is of one region and one account.
_AGREED = (("azure", "location"), ("databricks", "account_id"))


def check(stack: str, settings: AccountSettings | EnvironmentSettings, root: Path) -> None:
    """`root` holds the `Pulumi.<stack>.yaml` files. Raises SettingsError with everything that clashes."""
    if isinstance(settings, EnvironmentSettings) and (found := list(_clashes(stack, settings, _others(stack, root)))):
        raise SettingsError("\n".join(found))


def _others(stack: str, root: Path) -> dict[str, Mapping[str, Any]]:
    found = {}
    for file in sorted(root.glob("Pulumi.*.yaml")):
        other = file.name.removeprefix("Pulumi.").removesuffix(".yaml")
        if other == stack:
            continue
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError):
            # Not repeated: the text around the place may hold a secret.
            raise SettingsError(f"{file.name}: no valid YAML, so {stack} cannot be compared with it. Fix: correct that file.") from None
        found[other] = (content or {}).get("config") or {}
    return found


def _clashes(stack: str, settings: EnvironmentSettings, others: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    file = f"Pulumi.{stack}.yaml"
    for other, config in others.items():
        if other == settings.shared_stack:
            yield from _disagreements(file, settings, other, config)
        if config.get(f"{PREFIX}scope") != "environment":
            continue
        for key in ("environment", "catalog_prefix"):
            mine = getattr(settings, key)
            if config.get(f"{PREFIX}{key}") == mine:
                claimed = "the names of its resources" if key == "environment" else "its catalogs in the region's one metastore"
                said = f"{mine!r}, which Pulumi.{other}.yaml has, too: both would claim {claimed}"
                yield f"{file}: {PREFIX}{key} is {said}. Fix: give it another."
        taken = _range((config.get(f"{PREFIX}network") or {}).get("address_space"))
        if taken and taken.overlaps(ipaddress.IPv4Network(settings.network.address_space)):
            said = f"{settings.network.address_space} overlaps {taken} of Pulumi.{other}.yaml"
            yield f"{file}: {PREFIX}network.address_space: {said}. Fix: give it a range of its own."


def _disagreements(file: str, settings: EnvironmentSettings, shared: str, config: Mapping[str, Any]) -> Iterator[str]:
    for section, key in _AGREED:
        mine, theirs = getattr(getattr(settings, section), key), (config.get(f"{PREFIX}{section}") or {}).get(key)
        if theirs is not None and theirs != mine:
            said = f"{mine!r}, but Pulumi.{shared}.yaml has {theirs!r}, whose metastore this environment takes"
            yield f"{file}: {PREFIX}{section}.{key} is {said}. Fix: write the same in both."


def _range(text: Any) -> ipaddress.IPv4Network | None:
    """None for what its own stack will refuse."""
    try:
        return ipaddress.IPv4Network(str(text))
    except ValueError:
        return None
