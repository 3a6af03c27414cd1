"""`shared` and `dev` by the real engine on the local estate: idempotent, drift-free, secret-free."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from local_estate import facts
from local_estate.day.run import StepResult
from local_estate.engine.environment import environment
from local_estate.engine.stacks import PolicyPack, Stacks
from tests.estate.conftest import Deployed


def test_a_second_up_changes_nothing_and_the_write_counter_stands_still(deployed: Deployed) -> None:
    before = facts.collect(deployed.paths)["writes"]
    for stack in ("shared", "dev"):
        Stacks(deployed.paths).up(stack, [PolicyPack.of(deployed.paths, stack)], expect_no_changes=True)
    assert facts.collect(deployed.paths)["writes"] == before


def test_preview_and_refresh_find_nothing_to_do(deployed: Deployed) -> None:
    for stack in ("shared", "dev"):
        Stacks(deployed.paths).preview(stack, expect_no_changes=True)
        Stacks(deployed.paths).refresh(stack, expect_no_changes=True)


def test_the_exported_state_holds_no_secret_in_clear(deployed: Deployed) -> None:
    credentials = json.loads(deployed.paths.credentials.read_text())
    for stack in ("shared", "dev"):
        exported = subprocess.run(
            ["pulumi", "stack", "export", "--stack", stack],
            cwd=deployed.paths.repository,
            env=environment(deployed.paths),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert json.loads(exported)["deployment"]["resources"]
        assert credentials["deployer"]["client_secret"] not in exported
        assert credentials["signing_key"] not in exported


def test_a_local_up_leaves_git_clean(deployed: Deployed) -> None:
    changed = subprocess.run(
        ["git", "status", "--porcelain", "--", "Pulumi.shared.yaml", "Pulumi.dev.yaml"],
        cwd=deployed.paths.repository,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert changed == ""


def test_the_exported_ids_are_the_jobs_of_these_names(deployed: Deployed) -> None:
    for name, job_id in deployed.outputs["job_ids"].items():
        settings = deployed.workspace.jobs.get(int(job_id)).settings
        assert settings is not None
        assert settings.name == name


def test_status_says_what_exists(deployed: Deployed, day_one: list[StepResult]) -> None:
    assert day_one
    status = facts.collect(deployed.paths)
    assert set(status) == {"endpoints", "broker", "writes", "stacks", "tables", "quality", "runs"}
    assert {layer["layer"] for layer in status["quality"]} >= {"dev_ep_raw", "dev_ep_curated", "dev_ep_marts"}
    assert status["stacks"]["dev"]["resources"] > 50
    assert "job_ids" in status["stacks"]["dev"]["outputs"]
    assert Path(deployed.paths.endpoints).stat().st_mode & 0o777 == 0o600
