"""Records what the program registers, by stack; tests then compare plain values."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.runtime import get_root_resource, mocks
from pulumi.runtime.stack import Stack

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
    """`kind` is the last part of the type; `after` holds the `kind name` of all it waits for, by its inputs or by `depends_on`."""

    urn: str
    type: str
    name: str
    inputs: dict[str, Any]
    provider: str
    protected: bool
    kept: bool
    after: frozenset[str]

    @property
    def kind(self) -> str:
        return self.type.rsplit(":", 1)[-1]


def _short(urn: str) -> str:
    """`Subnet public` of `urn:…$azure-native:network:Subnet::public`."""
    kind, name = urn.split("::")[-2:]
    return f"{kind.rsplit(':', 1)[-1]} {name}"


# What ARM answers of a workspace and of its access connector, to whoever made them and to whoever looks them up.
WORKSPACE = {"workspaceId": "42", "workspaceUrl": "adb-42.2.azuredatabricks.net"}
IDENTITY = {"type": "SystemAssigned", "principalId": "connector-principal", "tenantId": "t"}


@dataclass
class FirstDeployment(mocks.Mocks):
    """Answers like providers that create: ids and outputs made from names."""

    shared: dict[str, Any]
    preview: bool
    standing: dict[str, Any] = field(default_factory=dict)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        outputs = dict(args.inputs)
        if args.typ == "pulumi:pulumi:StackReference":
            return args.name, {**outputs, "outputs": self.shared}
        if self.preview:
            return None, outputs
        if args.typ == "azure-native:databricks:AccessConnector":
            outputs["identity"] = IDENTITY
        if args.typ == "azure-native:databricks:Workspace":
            outputs |= WORKSPACE
        if args.typ == "azure-native:keyvault:Vault":
            outputs["properties"] = {**outputs["properties"], "vaultUri": "https://kv.vault.azure.net/"}
        if args.typ == "databricks:index/servicePrincipal:ServicePrincipal":
            outputs["applicationId"] = f"app-{args.name}"
        if args.typ == "azure-native:resources:ResourceGroup":
            outputs["name"] = args.inputs["resourceGroupName"]
        elif args.typ.startswith("azure-native:"):
            named = next((v for k, v in args.inputs.items() if k.endswith("Name") and k != "resourceGroupName"), args.name)
            outputs.setdefault("name", named)
        return f"id-{args.name}", outputs

    def call(self, args: mocks.MockCallArgs) -> Any:
        if args.token == "databricks:index/getServicePrincipal:getServicePrincipal":
            return {**args.args, "id": "deployer-id", "displayName": "deployer"}
        if args.token == "azure-native:databricks:getWorkspace":
            return WORKSPACE
        if args.token == "azure-native:databricks:getAccessConnector":
            return {"identity": IDENTITY}
        if args.token == "pulumi:pulumi:readStackResourceOutputs":
            return {"outputs": self.standing}
        raise AssertionError(f"the program may not call {args.token}")


class Recorder(mocks.MockMonitor):
    """Keeps what the engine would be asked for, with the options the mocks alone do not see."""

    def __init__(self, answers: FirstDeployment, recorded: list[Recorded]) -> None:
        super().__init__(answers)
        self.recorded = recorded

    def RegisterResource(self, request: Any) -> Any:
        answer = super().RegisterResource(request)
        if request.type == "pulumi:pulumi:Stack":
            return answer
        self.recorded.append(
            Recorded(
                urn=answer.urn,
                type=request.type,
                name=request.name,
                inputs=pulumi.runtime.rpc.deserialize_properties(request.object),
                provider=request.provider,
                protected=request.protect,
                kept=request.retainOnDelete,
                after=frozenset(_short(urn) for urn in request.dependencies),
            )
        )
        return answer


@dataclass(frozen=True)
class Plan:
    """`all(kind)` and `one(kind, name)`; inputs in wire (camelCase) names."""

    stack: str
    resources: tuple[Recorded, ...]
    outputs: dict[str, Any] = field(default_factory=dict)

    def all(self, kind: str) -> list[Recorded]:
        return [each for each in self.resources if each.kind == kind]

    def one(self, kind: str, name: str) -> Recorded:
        (found,) = [each for each in self.all(kind) if each.name == name]
        return found

    @property
    def digest(self) -> str:
        """Of every URN with its inputs."""
        lines = sorted(json.dumps([each.urn, each.inputs], sort_keys=True, default=str) for each in self.resources)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def configuration(stack: str) -> dict[str, str]:
    """As Pulumi hands the stack's file over: text, JSON for structured values. Without the demand for a released wheel,
    which only a release can meet."""
    config = yaml.safe_load((REPOSITORY / f"Pulumi.{stack}.yaml").read_text())["config"]
    config.pop("lakehouse:artifact", None)
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items() if key.startswith("lakehouse:")}


def record(
    stack: str,
    config: dict[str, str] | None = None,
    *,
    shared: dict[str, Any] | None = None,
    preview: bool = False,
    seen: list[Recorded] | None = None,
    standing: dict[str, Any] | None = None,
) -> Plan:
    """The plan of a first `up`, or of a first `preview`, where no id is known yet. Every record is a Pulumi runtime of its own.

    `seen` gets what was registered even when the program fails; `standing` is what the stack's state holds already.
    """
    answers = FirstDeployment(SHARED_OUTPUTS if shared is None else shared, preview, standing or {})
    recorder = Recorder(answers, [] if seen is None else seen)
    return contextvars.Context().run(_record, recorder, stack, config or configuration(stack), preview)


def _record(recorder: Recorder, stack: str, config: dict[str, str], preview: bool) -> Plan:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # The first error is raised; asyncio would print the outputs that wait for the same one, each with its traceback.
    loop.set_exception_handler(lambda *_: None)
    mocks.set_mocks(recorder.mocks, project="lakehouse", stack=stack, preview=preview, monitor=recorder)
    outputs: dict[str, Any] = {}

    @pulumi.runtime.test
    def program() -> pulumi.Output[None]:
        build(parse(stack, config))
        root = get_root_resource()
        assert isinstance(root, Stack)
        return pulumi.Output.from_input(root.outputs).apply(outputs.update)

    try:
        program()
    finally:
        _abandon(loop)
    return Plan(stack, tuple(recorder.recorded), outputs)


def _abandon(loop: asyncio.AbstractEventLoop) -> None:
    """A program that failed leaves behind what waited for it."""
    waiting = asyncio.all_tasks(loop)
    for each in waiting:
        each.cancel()
    loop.run_until_complete(asyncio.gather(*waiting, return_exceptions=True))
    loop.close()


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
