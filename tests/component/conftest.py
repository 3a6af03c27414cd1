"""Records what the program registers, by stack; tests then compare plain values."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.runtime import mocks

from infra.settings import parse
from infra.stack import build

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ("dev", "test", "prod")

SHARED_OUTPUTS = {
    "hub_resource_group": "rg-mt-lakehouse-shared",
    "hub_virtual_network_id": "/hub",
    "dns_zone_ids": {group: f"/zones/{group}" for group in ("databricks_ui_api", "dfs", "blob", "vault")},
    "metastore_id": "metastore-1",
    "group_ids": {
        group: f"id-{group}"
        for group in (
            "data_engineering", "analyst_readers", "MT-dpm-data-eng", "MT-analyst-readers",
            "MT-ml-serving", "MT-ai-governance", "pii_readers", "MT-platform-owners",
        )
    },
    "service_principals": {env: {"etl": f"app-etl-{env}", "airflow": f"app-airflow-{env}"} for env in ENVIRONMENTS},
    "service_principal_ids": {env: {"etl": f"1{env}", "airflow": f"2{env}"} for env in ENVIRONMENTS},
}  # fmt: skip


@dataclass(frozen=True)
class Recorded:
    type: str
    name: str
    inputs: dict[str, Any]
    provider: str


@dataclass
class Recorder(mocks.Mocks):
    """Answers like a provider on a first deployment: ids and outputs made from names."""

    resources: list[Recorded] = field(default_factory=list)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.resources.append(Recorded(args.typ, args.name, dict(args.inputs), args.provider or ""))
        outputs = dict(args.inputs)
        if args.typ == "pulumi:pulumi:StackReference":
            return args.name, {**outputs, "outputs": SHARED_OUTPUTS}
        if args.typ == "azure-native:databricks:AccessConnector":
            outputs["identity"] = {"type": "SystemAssigned", "principalId": "connector-principal", "tenantId": "t"}
        if args.typ == "azure-native:databricks:Workspace":
            outputs |= {"workspaceId": "42", "workspaceUrl": "adb-42.2.azuredatabricks.net"}
        if args.typ == "azure-native:keyvault:Vault":
            outputs["properties"] = {**outputs["properties"], "vaultUri": "https://kv.vault.azure.net/"}
        if args.typ == "databricks:index/servicePrincipal:ServicePrincipal":
            outputs["applicationId"] = f"app-{args.name}"
        if args.typ.startswith("azure-native:"):
            named = {"name": next((v for k, v in args.inputs.items() if k.endswith("Name") and k != "resourceGroupName"), args.name)}
            outputs.setdefault("name", named["name"])
            if args.typ == "azure-native:resources:ResourceGroup":
                outputs["name"] = args.inputs["resourceGroupName"]
        return f"id-{args.name}", outputs

    def call(self, args: mocks.MockCallArgs) -> Any:
        if args.token == "databricks:index/getServicePrincipal:getServicePrincipal":
            return {**args.args, "id": "deployer-id", "displayName": "deployer"}
        raise AssertionError(f"the program may not call {args.token} on a first preview")


@dataclass(frozen=True)
class Plan:
    """`all(type)` by the last part of a Pulumi type, `one(type, name)`; inputs in wire (camelCase) names."""

    stack: str
    resources: tuple[Recorded, ...]

    def all(self, kind: str) -> list[Recorded]:
        return [each for each in self.resources if each.type.rsplit(":", 1)[-1] == kind]

    def one(self, kind: str, name: str) -> Recorded:
        (found,) = [each for each in self.all(kind) if each.name == name]
        return found

    @property
    def digest(self) -> str:
        lines = sorted(json.dumps([each.type, each.name, each.inputs], sort_keys=True, default=str) for each in self.resources)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def configuration(stack: str) -> dict[str, str]:
    """As Pulumi hands the stack's file over: text, JSON for structured values."""
    config = yaml.safe_load((REPOSITORY / f"Pulumi.{stack}.yaml").read_text())["config"]
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items() if key.startswith("lakehouse:")}


def record(stack: str, config: dict[str, str] | None = None) -> Plan:
    recorder = Recorder()
    asyncio.set_event_loop(asyncio.new_event_loop())
    mocks.set_mocks(recorder, project="lakehouse", stack=stack, preview=False)
    values = config or configuration(stack)
    if "lakehouse:artifact" in values:
        values = {**values, "lakehouse:artifact": "{}"}  # what is released is tested on its own

    @pulumi.runtime.test
    def program() -> None:
        build(parse(stack, values))

    program()
    return Plan(stack, tuple(recorder.resources))


@cache
def plan_of(stack: str) -> Plan:
    return record(stack)


@pytest.fixture(params=["shared", *ENVIRONMENTS])
def plan(request: pytest.FixtureRequest) -> Plan:
    return plan_of(request.param)


@pytest.fixture(params=ENVIRONMENTS)
def environment_plan(request: pytest.FixtureRequest) -> Plan:
    return plan_of(request.param)


@pytest.fixture
def dev() -> Plan:
    return plan_of("dev")


@pytest.fixture
def shared() -> Plan:
    return plan_of("shared")
