"""A preview tells what `up` then does, step by step: operation, replaced keys, differences. On the real engine, with the whole program.

Each pair of a preview and an `up` of an environment takes half a minute: it is the program itself that is previewed, so nothing cheaper
can show it. This file is also the one in which all four stacks are made from nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.catalog import PermissionsChange, Privilege

from local_estate import bring_up, facts
from local_estate.engine.stacks import Stacks
from local_estate.paths import REPOSITORY, Paths
from local_estate.process import ServiceProcess
from tests.estate.steps import Pulumi, Steps, disagreements, operations

STACKS = ("shared", "dev", "test", "prod")


@dataclass(frozen=True)
class Checkout:
    """A copy of the checkout that a test may edit, on an estate of its own. `first` are preview and `up` of each stack from nothing."""

    paths: Paths
    project: Path
    pulumi: Pulumi
    first: Mapping[str, tuple[Steps, Steps]]

    def compare(self, stack: str, **settings: Any) -> Steps:
        """Previews and deploys the stack with settings changed (`storage__redundancy=…`); what the preview said."""
        file = configuration(self.project, stack, settings)
        said = self.pulumi.preview(stack, "--config-file", str(file))
        assert disagreements(said, self.pulumi.up(stack, "--config-file", str(file))) == []
        return said

    def workspace(self, stack: str) -> WorkspaceClient:
        return facts.workspace_client(self.paths, stack)


def configuration(project: Path, stack: str, settings: Mapping[str, Any]) -> Path:
    """The stack's file with some settings changed, beside the committed one."""
    released = bring_up.released_config(Paths(repository=project, tools=project, home=project), stack)
    config = yaml.safe_load((released or project / f"Pulumi.{stack}.yaml").read_text())
    for path, value in settings.items():
        *sections, name = path.split("__")
        place = config["config"]
        for depth, section in enumerate(sections):
            place = place[f"lakehouse:{section}" if depth == 0 else section]
        place[name if sections else f"lakehouse:{name}"] = value
    target = project / "build" / f"Pulumi.{stack}.changed.yaml"
    target.parent.mkdir(exist_ok=True)
    target.write_text(yaml.safe_dump(config, sort_keys=False))
    return target


def copy_of_the_checkout(target: Path) -> Path:
    """What git knows of it as it is on the disk; the environments are shared."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        if name and (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name)
    (target / ".venv").symlink_to(REPOSITORY / ".venv")
    return target


@pytest.fixture(scope="module")
def checkout() -> Iterator[Checkout]:
    tools = Path(os.environ.get("ESTATE_TOOLS") or REPOSITORY / ".tools").absolute()
    with tempfile.TemporaryDirectory(prefix="estate-") as folder:
        home, project = Path(folder, "estate"), copy_of_the_checkout(Path(folder, "checkout"))
        home.mkdir()
        paths = Paths(repository=REPOSITORY, tools=tools, home=home)
        bring_up.prepare(paths, say=print)
        try:
            pulumi = Pulumi(paths, project, {"PYTHONPATH": str(project / "workloads")})
            first = {}
            for stack in STACKS:
                Stacks(paths, project=project).ensure(stack)
                file = configuration(project, stack, {})
                first[stack] = pulumi.preview(stack, "--config-file", str(file)), pulumi.up(stack, "--config-file", str(file))
                bring_up.write_outputs(paths, stack, pulumi.outputs(stack))
            yield Checkout(paths, project, pulumi, first)
        finally:
            ServiceProcess(paths).stop()


@contextmanager
def edited(files: Iterable[Path], old: str, new: str) -> Iterator[None]:
    """The checkout with one text for another, until the test ends."""
    before = {file: file.read_text() for file in files}
    for file, text in before.items():
        assert old in text, f"{file.name} no longer says {old}"
        file.write_text(text.replace(old, new, 1))
    try:
        yield
    finally:
        for file, text in before.items():
            file.write_text(text)


@pytest.mark.parametrize("stack", STACKS)
def test_a_first_preview_tells_what_the_first_up_makes(checkout: Checkout, stack: str) -> None:
    said, done = checkout.first[stack]
    assert disagreements(said, done) == []
    assert set(operations(said)) == {"create"}


def test_settings_change_what_they_name_and_replace_nothing(checkout: Checkout) -> None:
    said = checkout.compare(
        "dev",
        tags__COST_CENTER="MT-9999",
        network__address_space="10.8.0.0/13",
        storage__redundancy="Standard_GRS",
        storage__soft_delete_days=10,
        compute__max_workers=2,
        vacuum_retention_hours=264,
    )
    assert set(operations(said)) == {"update"}
    kinds = {urn.split("::")[-2].split("$")[-1].rpartition(":")[2] for urn in said}
    assert kinds >= {"VirtualNetwork", "StorageAccount", "BlobServiceProperties", "ClusterPolicy", "Job", "Vault", "AccessConnector"}


def test_a_reader_taken_from_a_contract_is_named_by_the_preview(checkout: Checkout) -> None:
    contracts = list((checkout.project / "workloads/lakehouse/contracts/domains/operations").glob("*.yaml"))
    with edited(contracts, "role: MT-analyst-readers", "role: MT-ml-serving"):
        said = checkout.compare("test")
    (grants,) = [steps for urn, steps in said.items() if urn.endswith("Grants::marts-operations")]
    (path,) = grants[0].differences
    assert re.fullmatch(r"grants\[\d\]\.principal", path)
    # The new wheel lies beside the old one, which leaves the state and stays in the volume: a run may be using it.
    moved = {urn.split("::")[-2].split("$")[-1] for urn, steps in said.items() if steps[0].op in ("create", "delete")}
    assert moved == {"databricks:index/file:File"}


def test_a_group_and_a_tag_of_the_account_are_previewed_as_they_are_made(checkout: Checkout) -> None:
    groups = checkout.project / "platform/infra/databricks/groups.py"
    with edited([groups], "    PII_READERS,\n    OWNERS,", '    PII_READERS,\n    "MT-auditors",\n    OWNERS,'):
        said = checkout.compare("shared", tags__COST_CENTER="MT-9999")
    assert [urn for urn in said if urn.endswith("Group::MT-auditors")]
    assert set(operations(said)) == {"update", "create"}


def test_what_was_changed_outside_is_put_back_as_previewed(checkout: Checkout) -> None:
    grants = checkout.workspace("prod").grants
    taken = [PermissionsChange(principal="MT-analyst-readers", remove=[Privilege.SELECT])]
    grants.update("schema", "ep_marts.customer", changes=taken)
    file = configuration(checkout.project, "prod", {})
    said = checkout.pulumi.preview("prod", "--refresh", "--config-file", str(file))
    assert [urn.rpartition("::")[2] for urn in said] == ["marts-customer"]
    assert disagreements(said, checkout.pulumi.up("prod", "--refresh", "--config-file", str(file))) == []


def test_a_destruction_is_previewed_object_by_object(checkout: Checkout) -> None:
    said = checkout.pulumi.run("destroy", "dev", "--preview-only")
    assert set(operations(said)) == {"delete"}
    assert disagreements(said, checkout.pulumi.run("destroy", "dev", "--yes", "--skip-preview")) == []
