"""The cloud's configuration of a stack: the committed one with the tenant's ids and Key Vault for secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from release.cloud_config import STACKS, CloudConfigError, cloud_config

REPOSITORY = Path(__file__).resolve().parents[2]
TENANT = {
    "tenant_id": "11111111-1111-4111-8111-111111111111",
    "subscription_id": "22222222-2222-4222-8222-222222222222",
    "databricks_object_id": "55555555-5555-4555-8555-555555555555",
    "account_id": "33333333-3333-4333-8333-333333333333",
    "deployer_application_id": "44444444-4444-4444-8444-444444444444",
}
KEY = "https://kv-pulumi.vault.azure.net/keys/stacks"


def _committed(stack: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((REPOSITORY / f"Pulumi.{stack}.yaml").read_text())
    return content


@pytest.mark.parametrize("stack", STACKS)
def test_only_the_ids_and_the_secrets_provider_differ(stack: str) -> None:
    committed = _committed(stack)
    made = cloud_config(committed, key_url=KEY, **TENANT)
    assert made["secretsprovider"] == "azurekeyvault://kv-pulumi.vault.azure.net/keys/stacks"
    assert "encryptionsalt" not in made
    for key, value in committed["config"].items():
        changed = {name for name in value if value[name] != made["config"][key][name]} if isinstance(value, dict) else set()
        assert changed <= set(TENANT), key
        if not isinstance(value, dict):
            assert made["config"][key] == value


@pytest.mark.parametrize("stack", STACKS)
def test_no_id_of_the_local_tenant_is_left(stack: str) -> None:
    committed = _committed(stack)
    local = {
        committed["config"][section][name]
        for section in ("lakehouse:azure", "lakehouse:databricks")
        for name in committed["config"][section]
    }
    made = yaml.safe_dump(cloud_config(committed, key_url=KEY, **TENANT))
    assert [each for each in local if "-" in each and each in made] == []


@pytest.mark.parametrize("name", sorted(TENANT))
def test_a_wrong_id_is_named(name: str) -> None:
    with pytest.raises(CloudConfigError, match=f"{name} must be a GUID, not 'x'"):
        cloud_config(_committed("dev"), key_url=KEY, **{**TENANT, name: "x"})


def test_a_key_that_is_no_key_is_refused() -> None:
    with pytest.raises(CloudConfigError, match="the key must be https://VAULT"):
        cloud_config(_committed("dev"), key_url="https://example.org/k", **TENANT)
