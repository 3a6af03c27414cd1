"""`make cloud-config`: a stack's configuration for a real tenant, in `build/Pulumi.<stack>.cloud.yaml`.

Equal to the committed file but for the tenant's ids and the secrets provider: secrets of a cloud stack are encrypted by Azure Key Vault,
not by the documented passphrase of a laptop.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
STACKS = ("shared", "dev", "test", "prod")
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_KEY = re.compile(r"https://([a-z0-9-]+\.vault\.azure\.net)/keys/([A-Za-z0-9-]+)")


class CloudConfigError(Exception):
    """An id or key URL of the tenant that cannot be one."""


def cloud_config(
    committed: Mapping[str, Any],
    *,
    tenant_id: str,
    subscription_id: str,
    databricks_object_id: str,
    account_id: str,
    deployer_application_id: str,
    key_url: str,
) -> dict[str, Any]:
    """`key_url` is the Key Vault key's, `https://VAULT.vault.azure.net/keys/NAME`. Raises CloudConfigError naming what is wrong."""
    ids = {
        "tenant_id": tenant_id,
        "subscription_id": subscription_id,
        "databricks_object_id": databricks_object_id,
        "account_id": account_id,
        "deployer_application_id": deployer_application_id,
    }
    for name, value in ids.items():
        if not _GUID.fullmatch(value):
            raise CloudConfigError(f"{name} must be a GUID, not {value!r}")
    key = _KEY.fullmatch(key_url)
    if key is None:
        raise CloudConfigError(f"the key must be https://VAULT.vault.azure.net/keys/NAME, not {key_url!r}")
    config = dict(committed["config"])
    for section in ("lakehouse:azure", "lakehouse:databricks"):
        config[section] = {name: ids.get(name, value) for name, value in config[section].items()}
    return {"secretsprovider": f"azurekeyvault://{key[1]}/keys/{key[2]}", "config": config}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", required=True, choices=STACKS)
    for name in ("tenant-id", "subscription-id", "databricks-object-id", "account-id", "deployer-application-id"):
        parser.add_argument(f"--{name}", required=True, metavar="GUID")
    parser.add_argument("--key-url", required=True, metavar="URL", help="https://VAULT.vault.azure.net/keys/NAME")
    given = parser.parse_args()
    committed = yaml.safe_load((REPOSITORY / f"Pulumi.{given.stack}.yaml").read_text())
    try:
        made = cloud_config(
            committed,
            tenant_id=given.tenant_id,
            subscription_id=given.subscription_id,
            databricks_object_id=given.databricks_object_id,
            account_id=given.account_id,
            deployer_application_id=given.deployer_application_id,
            key_url=given.key_url,
        )
    except CloudConfigError as error:
        sys.exit(f"error: {error}")
    target = REPOSITORY / "build" / f"Pulumi.{given.stack}.cloud.yaml"
    target.parent.mkdir(exist_ok=True)
    target.write_text(yaml.safe_dump(made, sort_keys=False))
    print(f"wrote {target.relative_to(REPOSITORY)}; use it with: pulumi up -s {given.stack} --config-file {target.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
