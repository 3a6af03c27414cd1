"""What `estate status` and the table after `make up` say, gathered over the wire: service, stacks, tables, runs."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_estate.engine.stacks import Stacks
from local_estate.engine.state_backend import StateBackend
from local_estate.kafka.broker import KafkaBroker
from local_estate.paths import Paths
from local_estate.process import ServiceProcess

if TYPE_CHECKING:  # takes a second to import, and most commands never speak to a workspace
    from databricks.sdk import WorkspaceClient


PROJECT = "lakehouse"
# What the environment of a shell says of one stack, and of none that is gone.
OF_A_STACK = ("DATABRICKS_HOST", "LAKEHOUSE_STACK_OUTPUTS")


_UNDER_WAY = ("QUEUED", "PENDING", "RUNNING", "TERMINATING")  # phases, where an ended run has its result


class NotDeployed(Exception):
    """A stack or the service that a command needs is not there."""


def outputs_file(paths: Paths, stack: str) -> Path:
    return paths.home / f"outputs-{stack}.json"


def is_deployed(paths: Paths, stack: str) -> bool:
    """By the state: a stack that was destroyed, here or with plain pulumi, has nothing there, though its outputs file may be left."""
    return outputs_file(paths, stack).exists() and any(each["type"] == "pulumi:pulumi:Stack" for each in resources(paths, stack))


def resources(paths: Paths, stack: str) -> list[dict[str, Any]]:
    """As the stack's state has them; none for a stack that was never deployed, or destroyed."""
    return StateBackend(paths.pulumi_state, PROJECT).resources(stack)


def outputs(paths: Paths, stack: str) -> dict[str, Any]:
    """Raises NotDeployed, also where the file of a destroyed stack is left."""
    try:
        if not is_deployed(paths, stack):
            raise FileNotFoundError
        content: dict[str, Any] = json.loads(outputs_file(paths, stack).read_text())
    except FileNotFoundError:
        raise NotDeployed(f"stack {stack} is not deployed here. Fix: `make up STACK={stack}`") from None
    return content


def endpoints(paths: Paths) -> dict[str, Any]:
    found = ServiceProcess(paths).endpoints()
    if found is None:
        raise NotDeployed("the local estate is not running. Fix: `make up`")
    return found


def console_url(paths: Paths) -> str:
    return str(endpoints(paths)["console"]) + "/"


def workspace_url(paths: Paths, stack: str) -> str:
    """The loopback address of the stack's workspace; its output names the Azure one."""
    host = outputs(paths, stack)["workspace_url"].removeprefix("https://").rstrip("/")
    found = endpoints(paths)["workspaces"].get(host)
    if found is None:
        raise NotDeployed(f"the local estate has no workspace {host}: its state and the stack's differ. Fix: `make up STACK={stack}`")
    return str(found["url"])


def databricks_environment(paths: Paths, stack: str) -> dict[str, str]:
    """What an unmodified databricks-sdk reads. `DATABRICKS_AUTH_TYPE`, because the ARM variables would name a second way."""
    deployer = json.loads(paths.credentials.read_text())["deployer"]
    return {
        "DATABRICKS_HOST": workspace_url(paths, stack),
        "DATABRICKS_CLIENT_ID": deployer["client_id"],
        "DATABRICKS_CLIENT_SECRET": deployer["client_secret"],
        "DATABRICKS_AUTH_TYPE": "oauth-m2m",
    }


def workspace_client(paths: Paths, stack: str) -> WorkspaceClient:
    from databricks.sdk import WorkspaceClient

    settings = databricks_environment(paths, stack)
    # The type is named, because ARM_* variables of the caller's shell would otherwise count as a second way to sign in.
    return WorkspaceClient(
        host=settings["DATABRICKS_HOST"],
        client_id=settings["DATABRICKS_CLIENT_ID"],
        client_secret=settings["DATABRICKS_CLIENT_SECRET"],
        auth_type="oauth-m2m",
    )


def row_counts(paths: Paths) -> dict[str, int]:
    """Rows of every table, by its full name."""
    return {table["name"]: table["rows"] or 0 for table in _service_facts(endpoints(paths))["tables"]}


def runs_under_way(paths: Paths) -> int:
    """How many of the latest runs have not ended."""
    return sum(run["result"] in _UNDER_WAY for run in _service_facts(endpoints(paths))["runs"])


def _service_facts(found: dict[str, Any]) -> dict[str, Any]:
    with urllib.request.urlopen(found["console"] + "/api/estate/1.0/facts", timeout=30) as reply:  # noqa: S310  loopback
        content: dict[str, Any] = json.load(reply)
    return content


def of_stack(collected: dict[str, Any], paths: Paths, stack: str) -> dict[str, Any]:
    """What of `collect` belongs to one environment. Raises NotDeployed."""
    own = outputs(paths, stack)
    catalogs = set(own["catalogs"].values())
    return {
        **collected,
        "stacks": {name: each for name, each in collected["stacks"].items() if name == stack},
        "tables": [each for each in collected["tables"] if each["name"].split(".")[0] in catalogs],
        "quality": [each for each in collected["quality"] if each["layer"] in catalogs],
        "runs": [each for each in collected["runs"] if str(each.get("workspace_id")) == str(own["workspace_id"])],
    }


def collect(paths: Paths) -> dict[str, Any]:
    """What `status --json` prints: endpoints, broker, write counter, stacks with resources and outputs, tables with rows, quality, runs."""
    found = endpoints(paths)
    service = _service_facts(found)
    stacks = Stacks(paths)
    deployed = {name: {"resources": stacks.resource_count(name), "outputs": stacks.outputs(name)} for name in stacks.names()}
    broker = KafkaBroker(paths).running()
    return {
        "endpoints": found,
        "broker": broker.bootstrap_servers if broker else None,
        "writes": service["writes"],
        "stacks": deployed,
        "tables": service["tables"],
        "quality": service["quality"],
        "files": service["files"],
        "runs": service["runs"],
    }
