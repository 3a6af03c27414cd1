"""Stacks with the real engine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from local_estate.engine.errors import StackBusy, StackFailed
from tests.estate.engine_fixtures import Project, project  # noqa: F401  a fixture

ONE_GROUP = """
    import pulumi
    from pulumi_azure_native import resources

    group = resources.ResourceGroup("group", resource_group_name="rg-tiny", location="australiaeast")
    pulumi.export("group", group.id)
    pulumi.export("key", pulumi.Output.secret("a-secret-value"))
"""


def test_a_second_up_changes_nothing(project: Project) -> None:  # noqa: F811
    project.program(ONE_GROUP)
    first = project.stacks.up("dev")
    committed = (project.directory / "Pulumi.dev.yaml").read_bytes()
    second = project.stacks.up("dev", expect_no_changes=True)
    assert (first.created, first.same) == (2, 0)
    assert (second.changed, second.same) == (0, 2)
    assert (project.directory / "Pulumi.dev.yaml").read_bytes() == committed
    assert project.stacks.resource_count("dev") == first.created
    assert project.stacks.outputs("dev")["key"] == "[secret]"
    assert project.stacks.outputs("dev", show_secrets=True)["key"] == "a-secret-value"
    assert "a-secret-value" not in project.said.getvalue()
    assert project.stacks.destroy("dev").deleted == 2


def test_a_committed_stack_file_makes_the_stack_elsewhere_and_stays_as_it_is(project: Project, tmp_path: Path) -> None:  # noqa: F811
    project.program(ONE_GROUP)
    project.stacks.ensure("dev")
    file = project.directory / "Pulumi.dev.yaml"
    file.write_text("# a comment that must stay\n" + file.read_text())
    committed = file.read_bytes()
    project.paths.pulumi_state.rename(tmp_path / "elsewhere")
    assert project.stacks.ensure("dev") is True
    assert project.stacks.ensure("dev") is False
    project.stacks.up("dev")
    assert file.read_bytes() == committed


def test_an_unexpected_change_is_named(project: Project) -> None:  # noqa: F811
    project.program(ONE_GROUP)
    project.stacks.up("dev")
    project.program(ONE_GROUP.replace("rg-tiny", "rg-other"))
    with pytest.raises(StackFailed, match=r"update azure-native:resources:ResourceGroup group"):
        project.stacks.up("dev", expect_no_changes=True)


def test_a_missing_stack_that_is_referred_to_is_named_with_its_fix(project: Project) -> None:  # noqa: F811
    project.program("import pulumi\npulumi.export('x', pulumi.StackReference('organization/tiny/shared').require_output('y'))\n")
    with pytest.raises(StackFailed, match=r'unknown stack "organization/tiny/shared"\nFix: deploy .* pulumi up -s shared'):
        project.stacks.preview("dev")


def test_a_preview_leaves_no_stack_behind(project: Project) -> None:  # noqa: F811
    project.program(ONE_GROUP)
    project.stacks.preview("dev")
    assert project.stacks.names() == []
    assert (project.directory / "Pulumi.dev.yaml").exists()  # the settings are the user's, and stay
    project.program("raise RuntimeError('nothing works')\n")
    with pytest.raises(StackFailed, match="nothing works"):
        project.stacks.preview("dev")
    assert project.stacks.names() == []


def test_a_truncated_checkpoint_is_refused_and_the_backup_named(project: Project) -> None:  # noqa: F811
    project.program(ONE_GROUP)
    project.stacks.up("dev")
    project.stacks.up("dev")
    [checkpoint] = project.paths.pulumi_state.glob(".pulumi/stacks/tiny/dev.json")
    whole = checkpoint.read_text()
    checkpoint.write_text(whole[: len(whole) // 2])
    with pytest.raises(StackFailed, match=r"failed to load checkpoint(.|\n)*copy the newest backup .*backups/tiny/dev/dev\.") as caught:
        project.stacks.up("dev")
    backup = Path(caught.value.fix.rsplit(" ", 1)[-1])
    checkpoint.write_text(backup.read_text())
    project.stacks.up("dev", expect_no_changes=True)


def test_attributes_that_a_killed_command_left_empty_are_removed_and_said(project: Project) -> None:  # noqa: F811
    project.program(ONE_GROUP)
    project.stacks.up("dev")
    [attributes] = project.paths.pulumi_state.glob(".pulumi/stacks/tiny/dev.json.attrs")
    attributes.write_text("")
    project.stacks.up("dev", expect_no_changes=True)
    assert f"Removed {attributes}: a killed command left it empty" in project.said.getvalue()
    assert project.stacks.outputs("dev")["key"] == "[secret]"


def test_a_dead_processes_lock_is_freed_and_said(project: Project) -> None:  # noqa: F811
    project.program(ONE_GROUP)
    project.stacks.ensure("dev")
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    _write_lock(project, gone.pid)
    assert project.stacks.up("dev").created == 2
    assert f"freed the lock of process {gone.pid}" in project.said.getvalue()


def test_a_living_processes_lock_is_respected_and_its_holder_named(project: Project) -> None:  # noqa: F811
    project.program(ONE_GROUP)
    project.stacks.ensure("dev")
    _write_lock(project, os.getpid())
    with pytest.raises(StackBusy, match=f"held by process {os.getpid()}"):
        project.stacks.up("dev")


def _write_lock(project: Project, pid: int) -> None:  # noqa: F811
    folder = project.paths.pulumi_state / ".pulumi" / "locks" / "organization" / "tiny" / "dev"
    folder.mkdir(parents=True, exist_ok=True)
    content = {"pid": pid, "username": "somebody", "hostname": socket.gethostname(), "timestamp": "2026-01-01T00:00:00Z"}
    (folder / "00000000-0000-0000-0000-000000000000.json").write_text(json.dumps(content))


def test_an_up_killed_in_a_creation_is_healed_by_the_next_one(project: Project, tmp_path: Path) -> None:  # noqa: F811
    project.program(ONE_GROUP)
    hold = tmp_path / "hold"
    os.mkfifo(hold)  # opening it blocks until the provider has begun to create
    holding = project.with_variables({"TINY_PROVIDER_HOLD": str(hold)})
    failures: list[Exception] = []

    def run() -> None:
        try:
            holding.up("dev")
        except StackFailed as problem:
            failures.append(problem)

    running = threading.Thread(target=run)
    running.start()
    urn = hold.read_text()
    assert urn.endswith("::group")
    [lock] = (project.paths.pulumi_state / ".pulumi" / "locks" / "organization" / "tiny" / "dev").glob("*.json")
    engine = json.loads(lock.read_text())["pid"]
    with pytest.raises(StackBusy, match=f"held by process {engine}"):
        project.stacks.up("dev")
    os.kill(engine, signal.SIGKILL)
    running.join(60)
    assert failures
    assert project.stacks.up("dev").created >= 1
    assert "1 interrupted creations (group)" in project.said.getvalue()
    project.stacks.up("dev", expect_no_changes=True)
