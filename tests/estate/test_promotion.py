"""`test` and `prod` beside `dev` on one estate; the first deployment of `test` meets a refused token and a killed engine."""

from __future__ import annotations

import io
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from databricks.sdk import WorkspaceClient
from rich.console import Console

from local_estate import bring_up, facts, tenancy
from local_estate.engine.errors import StackBusy, StackFailed
from local_estate.engine.events import UpSummary
from local_estate.engine.reporting import Reporter
from local_estate.engine.stacks import PolicyPack, Stacks
from local_estate.engine.state_backend import StateBackend
from tests.estate.conftest import Deployed

JSON_WEB_TOKEN = re.compile(r"eyJ[\w-]{10,}\.eyJ")
# What has one name in the whole tenant or metastore, whichever environment it belongs to.
SHARED_NAMES = ("azure-native:", "databricks:index/catalog:", "databricks:index/externalLocation:", "databricks:index/storageCredential:")


@dataclass(frozen=True)
class Stages:
    """The estate with `dev`, and what its stacks said so far."""

    deployed: Deployed
    said: io.StringIO

    @property
    def stacks(self) -> Stacks:
        return Stacks(self.deployed.paths, reporter=Reporter(Console(file=self.said, width=1000)))

    @property
    def backend(self) -> StateBackend:
        return StateBackend(self.deployed.paths.pulumi_state, "lakehouse")

    def up(self, stack: str, *, expect_no_changes: bool = False) -> UpSummary:
        paths = self.deployed.paths
        return self.stacks.up(
            stack,
            [PolicyPack.of(paths, stack)],
            expect_no_changes=expect_no_changes,
            config_file=bring_up.released_config(paths, stack),
        )

    @property
    def _faults(self) -> str:
        return str(facts.endpoints(self.deployed.paths)["arm"]) + "/api/estate/1.0/faults"

    def fault(self, **fault: Any) -> None:
        httpx.post(self._faults, json=fault).raise_for_status()

    def faults_left(self) -> int:
        return sum(each["times"] for each in httpx.get(self._faults).json()["faults"])

    def clear_faults(self) -> None:
        httpx.delete(self._faults).raise_for_status()

    def recorded(self, stack: str, *types: str) -> list[dict[str, Any]]:
        """Resources of the state that a provider made."""
        return [each for each in self.backend.resources(stack) if each.get("custom") and each["type"].startswith(types or ("",))]

    def job_names(self, stack: str) -> Counter[str]:
        """Of the jobs in the stack's workspace."""
        entries = facts.endpoints(self.deployed.paths)["workspaces"].values()
        (url,) = [each["url"] for each in entries if each["resource_id"].endswith(f"-{stack}")]
        client = self.deployed.workspace.config
        jobs = WorkspaceClient(host=url, client_id=client.client_id, client_secret=client.client_secret, auth_type="oauth-m2m").jobs.list()
        return Counter(str(each.settings.name) for each in jobs if each.settings)


@pytest.fixture(scope="module")
def stages(deployed: Deployed) -> Stages:
    return Stages(deployed, io.StringIO())


@pytest.fixture(scope="module")
def refused(stages: Stages) -> str:
    """What the first up of `test` says when its token is refused, and a fresh one too, in the midst of it."""
    stages.fault(method="PUT", path="/Microsoft.Storage/storageAccounts/[^/]*$", effect="status", status=401, times=2)
    with pytest.raises(StackFailed) as failed:
        stages.up("test")
    return str(failed.value)


@pytest.fixture(scope="module")
def after_refusal(stages: Stages, refused: str) -> int:
    return len(stages.recorded("test"))


@pytest.fixture(scope="module")
def killed(stages: Stages, after_refusal: int) -> int:
    """How many jobs the second up of `test` had asked for when it was killed. A third one, meanwhile, was told who is at it."""
    delays = 100
    stages.fault(method="POST", path="/jobs/create", effect="delay", seconds=15, times=delays)
    with ThreadPoolExecutor(1) as beside:
        under_way = beside.submit(stages.up, "test")
        _until(lambda: stages.faults_left() < delays or under_way.done())
        (lock,) = stages.backend.locks("test")
        with pytest.raises(StackBusy, match=f"held by process {lock.pid}"):
            stages.up("test")
        os.kill(lock.pid, signal.SIGKILL)
        assert isinstance(under_way.exception(timeout=60), StackFailed)
    # The service makes what it was asked for; nobody is left to write that down.
    _until(lambda: stages.job_names("test").total() == delays - stages.faults_left())
    made = delays - stages.faults_left()
    stages.clear_faults()
    return made


@pytest.fixture(scope="module")
def healed(stages: Stages, killed: int) -> UpSummary:
    return stages.up("test")


@pytest.fixture(scope="module")
def promoted(stages: Stages, healed: UpSummary) -> Stages:
    paths = stages.deployed.paths
    bring_up.write_outputs(paths, "test", stages.stacks.outputs("test"))
    bring_up.deploy(paths, "prod", say=print)
    return stages


def _until(reached: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"not reached within {seconds} s"
        time.sleep(0.05)  # the state of another process's engine can only be polled


def test_a_refused_token_ends_the_up_by_name_and_keeps_what_was_made(stages: Stages, refused: str, after_refusal: int) -> None:
    assert "UNAUTHENTICATED: injected fault" in refused
    assert "/storageAccounts/" in refused
    assert after_refusal > 5
    paths = stages.deployed.paths
    for text in (refused, stages.backend.checkpoint("test").read_text(), (paths.logs / "service.log").read_text()):
        assert not JSON_WEB_TOKEN.search(text)


def test_an_up_killed_while_it_creates_is_finished_by_the_next_one_with_one_of_each(stages: Stages, killed: int, healed: UpSummary) -> None:
    said = stages.said.getvalue()
    assert "test: freed the lock of process" in said
    interrupted = re.search(r"^test: (\d+) interrupted creations \(.+\); cleared, the next up finds or creates them\.$", said, re.MULTILINE)
    assert interrupted and int(interrupted[1]) >= killed > 0
    assert healed.deleted == 0
    names = stages.job_names("test")
    assert set(names.values()) == {1}
    assert len(names) == len(stages.recorded("test", "databricks:index/job:Job"))
    assert stages.backend.pending("test") == []


def test_the_later_environments_are_up_to_date_and_dev_is_untouched(promoted: Stages) -> None:
    before = facts.collect(promoted.deployed.paths)["writes"]
    for stack in ("test", "prod"):
        promoted.up(stack, expect_no_changes=True)
    assert facts.collect(promoted.deployed.paths)["writes"] == before
    promoted.stacks.refresh("dev", expect_no_changes=True)


def test_no_environment_takes_a_name_of_another(promoted: Stages) -> None:
    owners: dict[tuple[str, str], str] = {}
    for stack in ("shared", "dev", "test", "prod"):
        for each in promoted.recorded(stack, *SHARED_NAMES):
            key = (each["type"], each["id"].lower())
            assert owners.setdefault(key, stack) == stack, key
    catalogs = [set(facts.outputs(promoted.deployed.paths, stack)["catalogs"].values()) for stack in ("dev", "test", "prod")]
    assert len(set().union(*catalogs)) == sum(map(len, catalogs)) == 12
    assert catalogs[2] == {"ep_raw", "ep_curated", "ep_marts", "ep_ai"}


def test_prod_deploys_the_wheel_that_test_has(promoted: Stages) -> None:
    paths = promoted.deployed.paths
    assert bring_up.released_config(paths, "prod") == paths.repository / "build" / "Pulumi.prod.yaml"
    wheels = {stack: promoted.recorded(stack, "databricks:index/file:File") for stack in ("test", "prod")}
    digests = {stack: {each["inputs"]["path"].rpartition("/")[0].rpartition("/")[2] for each in files} for stack, files in wheels.items()}
    assert digests["test"] == digests["prod"]


def test_every_resource_of_azure_is_in_some_state(promoted: Stages) -> None:
    """created = in state: nothing of the refused and the killed up is left over."""
    known = {each["id"].lower() for stack in ("shared", "dev", "test", "prod") for each in promoted.recorded(stack, "azure-native:")}
    groups = {identifier for identifier in known if identifier.count("/") == 4}
    assert len(groups) >= 4
    assert _arm_ids(promoted.deployed) - known == set()


def _arm_ids(deployed: Deployed) -> set[str]:
    """Storage accounts, vaults, networks and workspaces of the subscription, but what Databricks manages for itself."""
    endpoints = facts.endpoints(deployed.paths)
    client = deployed.workspace.config
    form = {
        "grant_type": "client_credentials",
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "scope": "https://management.azure.com/.default",
    }
    token = httpx.post(f"{endpoints['arm']}/{tenancy.TENANT_ID}/oauth2/v2.0/token", data=form).json()["access_token"]
    found: set[str] = set()
    for kind in ("Storage/storageAccounts", "KeyVault/vaults", "Network/virtualNetworks", "Databricks/workspaces"):
        url = f"{endpoints['arm']}/subscriptions/{tenancy.SUBSCRIPTION_ID}/providers/Microsoft.{kind}?api-version=2024-01-01"
        listed = httpx.get(url, headers={"authorization": f"Bearer {token}"}).json()["value"]
        assert listed, kind
        found |= {each["id"].lower() for each in listed}
    return found
