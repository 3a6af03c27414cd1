"""What `estate destroy` says before it asks, and what is not used any more once a stack is gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local_estate import facts, take_down
from local_estate.paths import Paths
from local_estate.take_down import StillReferred


def resource(kind: str, *, name: str = "x", protect: bool = False, custom: bool = True, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "custom": custom, "protect": protect, "urn": f"urn:pulumi:dev::lakehouse::{kind}::{name}", **fields}


STACK = resource("pulumi:pulumi:Stack", custom=False)
DEV = [
    STACK,
    resource("pulumi:pulumi:StackReference", inputs={"name": "organization/lakehouse/shared"}, external=True),
    resource("pulumi:providers:azure-native"),
    resource("pulumi:providers:pulumi", name="default"),
    resource("lakehouse:azure:KeyVault", custom=False),
    resource("azure-native:keyvault:Vault", outputs={"name": "kv-dev"}, protect=True),
    resource("databricks:index/catalog:Catalog", outputs={"name": "dev_ep_raw"}),
    resource("databricks:index/job:Job"),
    resource("databricks:index/job:Job"),
]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(repository=tmp_path, tools=tmp_path / "tools", home=tmp_path / "home")
    _keep(paths, "shared", [STACK])
    _keep(paths, "dev", DEV)
    facts.outputs_file(paths, "dev").write_text('{"workspace_id": "1"}')
    return paths


def _keep(paths: Paths, stack: str, resources: list[dict[str, Any]]) -> None:
    file = paths.pulumi_state / ".pulumi" / "stacks" / "lakehouse" / f"{stack}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))


def test_resources_data_and_what_stays_taken_are_named(paths: Paths) -> None:
    rows = {"dev_ep_raw.cmdm.cmdm_bronze": 1_000, "dev_ep_raw.pega.pega_bronze": 234, "test_ep_raw.cmdm.cmdm_bronze": 5}
    said = list(take_down.doomed(paths, "dev", rows).lines())
    assert said == [
        "stack dev: 7 resources go, among them 2 Job, 1 Vault, 1 Catalog",
        "data: 2 tables with 1,234 rows, and what has landed",
        "Azure keeps kv-dev for 90 days under purge protection: "
        "the next `up` needs lakehouse:recover_vault (docs/runbooks/destroyed-and-up-again.md)",
        "1 of them are protected: nothing goes before `up` has run with lakehouse:protect: false",
    ]


def test_what_an_environment_stands_on_does_not_go_before_it(paths: Paths) -> None:
    with pytest.raises(StillReferred, match=r"dev stand on stack shared\. Fix: destroy them first"):
        take_down.doomed(paths, "shared", {})
    _keep(paths, "dev", [])
    assert not take_down.doomed(paths, "shared", {}).tables


def test_outputs_of_a_stack_that_is_gone_are_not_used(paths: Paths) -> None:
    assert facts.outputs(paths, "dev") == {"workspace_id": "1"}
    _keep(paths, "dev", [])  # as plain `pulumi destroy` leaves it: it knows nothing of the file
    assert facts.outputs_file(paths, "dev").exists()
    with pytest.raises(facts.NotDeployed, match=r"stack dev is not deployed here\. Fix: `make up STACK=dev`"):
        facts.outputs(paths, "dev")
