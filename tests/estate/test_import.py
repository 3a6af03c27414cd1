"""`pulumi import` of what stands: it prints code, and with that code nothing is to be changed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from local_estate.engine.environment import environment
from local_estate.engine.stacks import Stacks
from local_estate.engine.state_backend import StateBackend
from tests.estate.conftest import Deployed

KINDS = {
    "group": ("azure-native:resources:ResourceGroup", "group"),
    "vnet": ("azure-native:network:VirtualNetwork", "vnet"),
    "subnet": ("azure-native:network:Subnet", "endpoints"),
    "lake": ("azure-native:storage:StorageAccount", "lake"),
    "vault": ("azure-native:keyvault:Vault", "con"),
    "engineering": ("azure-native:databricks:Workspace", "engineering"),
    "raw": ("databricks:index/catalog:Catalog", "raw"),
    "cmdm": ("databricks:index/schema:Schema", "raw-cmdm"),
    "artifacts": ("databricks:index/volume:Volume", "raw-platform-artifacts"),
    "silver": ("databricks:index/job:Job", "silver_standardize"),
    "policy": ("databricks:index/clusterPolicy:ClusterPolicy", ""),
    "warehouse": ("databricks:index/sqlEndpoint:SqlEndpoint", ""),
}


def test_code_is_printed_for_every_kind_and_leaves_nothing_to_change(deployed: Deployed, tmp_path: Path) -> None:
    virtualenv = os.path.relpath(deployed.paths.repository / ".venv", tmp_path)
    (tmp_path / "Pulumi.yaml").write_text(
        f"name: adopting\nruntime: {{name: python, options: {{toolchain: pip, virtualenv: {virtualenv}}}}}\n"
    )
    stacks = Stacks(deployed.paths, project=tmp_path, variables={"DATABRICKS_AZURE_RESOURCE_ID": deployed.outputs["workspace_resource_id"]})
    stacks.ensure("dev")
    standing = StateBackend(deployed.paths.pulumi_state, "lakehouse").resources("dev")

    def existing(kind: str, logical: str) -> str:
        return next(
            str(each["id"]) for each in standing if each["type"] == kind and each["urn"].endswith(f"::{logical}" if logical else "")
        )

    wanted = [{"type": kind, "name": name, "id": existing(kind, logical)} for name, (kind, logical) in KINDS.items()]
    (tmp_path / "wanted.json").write_text(json.dumps({"resources": wanted}))
    done = subprocess.run(
        ["pulumi", "import", "--file", "wanted.json", "--stack", "dev", "--yes", "--non-interactive", "--skip-preview"],
        cwd=tmp_path,
        env={**environment(deployed.paths), **stacks.variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (tmp_path / "__main__.py").write_text(done.stdout[done.stdout.index("import pulumi\n") :])
    report = stacks.preview_report("dev", expect_no_changes=True)
    assert report.errors == ()
    assert [(step.op, step.name, step.detailed_diff) for step in report.steps] == []
    assert report.unchanged >= len(KINDS)
