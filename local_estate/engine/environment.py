"""The environment in which plain `pulumi` works against the local estate."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from local_estate import tenancy
from local_estate.engine import cli as pulumi_cli
from local_estate.engine.cli import PulumiCli
from local_estate.engine.errors import EngineMissing
from local_estate.paths import Paths

# Documented and committed with the stack files' salt: it protects nothing but a laptop's own state. Azure stacks use Key Vault.
LOCAL_PASSPHRASE = "mt-lakehouse-local"  # noqa: S105

# A user's own settings that would lead the engine out of the estate or change what it does.
FOREIGN = (
    "PULUMI_ACCESS_TOKEN",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
    "PULUMI_STACK",
    "PULUMI_DEBUG_PROVIDERS",
    "PULUMI_DEBUG_LANGUAGES",
    "DATABRICKS_CONFIG_PROFILE",
    "DATABRICKS_TOKEN",
    "PYTHONDONTWRITEBYTECODE",  # compiling the SDKs' modules again costs every start seconds
)


def environment(paths: Paths, *, cli: PulumiCli | None = None, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """`base` (default: this process's) with what the engine, its host and the providers need.

    Raises EngineMissing when no CLI is there; `prepare()` gets one. Without credentials.json (the service has never run) the ARM_* ids are
    there and the secret is not.
    """
    found = cli or pulumi_cli.find(paths)
    if found is None:
        raise EngineMissing("there is no Pulumi CLI yet", fix="make up, or python -m local_estate.engine prepare")
    inherited = {name: value for name, value in (base or os.environ).items() if name not in FOREIGN}
    return {**inherited, **engine_variables(paths, found, inherited.get("PATH", os.defpath), base=inherited)}


def engine_variables(paths: Paths, cli: PulumiCli, search: str, *, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Only what we set, for `make shell` to export. `search` is the PATH to put ours in front of."""
    others = [each for each in search.split(os.pathsep) if each and each != str(cli.directory)]
    return {
        "PATH": os.pathsep.join([str(cli.directory), *others]),
        "PULUMI_HOME": str(paths.pulumi_home),
        "PULUMI_BACKEND_URL": f"file://{paths.pulumi_state}",
        "PULUMI_CONFIG_PASSPHRASE": LOCAL_PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_PYTHON_CMD": sys.executable,
        "ESTATE_HOME": str(paths.home),
        "ESTATE_TOOLS": str(paths.tools),
        "ESTATE_PYTHON": sys.executable,
        "ESTATE_REPOSITORY": str(paths.repository),
        **_loopback_without_proxy(os.environ if base is None else base),
        **_azure(paths),
        **_databricks(paths),
    }


def _loopback_without_proxy(base: Mapping[str, str]) -> dict[str, str]:
    """gRPC in Python sends even 127.0.0.1 through a proxy of the environment unless it is told not to."""
    if not any(base.get(name) for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY")):
        return {}
    known = [each for each in (base.get("no_proxy") or base.get("NO_PROXY") or "").split(",") if each]
    complete = ",".join([*known, *(each for each in ("127.0.0.1", "localhost") if each not in known)])
    return {"no_proxy": complete, "NO_PROXY": complete}


def _credentials(paths: Paths) -> dict[str, Any]:
    """Of the deployer and the tenant; empty where the service has never run."""
    try:
        found: dict[str, Any] = json.loads(paths.credentials.read_text())
    except FileNotFoundError:
        return {}
    return found


def _databricks(paths: Paths) -> dict[str, str]:
    """For plugins that speak databricks-sdk: the name of a workspace resolves to nothing here, and there is one way to sign in."""
    found = {"DATABRICKS_WORKSPACE_ADDRESSES": str(paths.endpoints), "DATABRICKS_AUTH_TYPE": "oauth-m2m"}
    if deployer := _credentials(paths).get("deployer"):
        found |= {"DATABRICKS_CLIENT_ID": deployer["client_id"], "DATABRICKS_CLIENT_SECRET": deployer["client_secret"]}
    return found


def _azure(paths: Paths) -> dict[str, str]:
    known = _credentials(paths)
    deployer = known.get("deployer", {})
    result = {
        "ARM_TENANT_ID": known.get("tenant_id", tenancy.TENANT_ID),
        "ARM_SUBSCRIPTION_ID": known.get("subscription_id", tenancy.SUBSCRIPTION_ID),
        "ARM_CLIENT_ID": deployer.get("client_id", tenancy.DEPLOYER_CLIENT_ID),
    }
    if secret := deployer.get("client_secret"):
        result["ARM_CLIENT_SECRET"] = secret
    return result
