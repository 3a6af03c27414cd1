"""Ctrl-C during an `up`: the engine finishes what is under way, saves, and frees its lock. Two at once: one is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local_estate.engine.errors import StackBusy
from local_estate.engine.stacks import Stacks
from local_estate.engine.state_backend import StateBackend
from local_estate.paths import REPOSITORY
from tests.estate.engine_fixtures import Project, project  # noqa: F401  a fixture

TWO_GROUPS = """
    import pulumi
    from pulumi_azure_native import resources

    first = resources.ResourceGroup("first", resource_group_name="rg-first", location="australiaeast")
    resources.ResourceGroup("second", resource_group_name="rg-second", location="australiaeast",
        opts=pulumi.ResourceOptions(depends_on=[first]))
    """

# Whoever is started in the background of a shell (`make test &`) ignores SIGINT, and so do its children: this one does not.
UP = """
import signal
import sys
from pathlib import Path
from local_estate.engine.stacks import Stacks
from local_estate.paths import Paths

signal.signal(signal.SIGINT, signal.default_int_handler)
repository, tools, home, project, hold = map(Path, sys.argv[1:])
try:
    Stacks(Paths(repository, tools, home), project=project, variables={"TINY_PROVIDER_HOLD": str(hold)}).up("dev")
except KeyboardInterrupt:
    sys.exit(130)
"""


class Hasty(Stacks):
    """Looks at nobody's lock before it begins: what happens when two begin in the same instant."""

    def heal(self, stack: str) -> None:
        pass


@contextmanager
def held_up(project: Project, hold: Path) -> Iterator[subprocess.Popen[str]]:  # noqa: F811
    """An `up` of TWO_GROUPS in a foreground of its own, in the midst of creating the first."""
    project.program(TWO_GROUPS)
    project.stacks.ensure("dev")
    os.mkfifo(hold)  # opening it blocks until the provider has begun to create
    places = [project.paths.repository, project.paths.tools, project.paths.home, project.directory, hold]
    command = [sys.executable, "-c", UP, *map(str, places)]
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert hold.read_text().endswith("::first")
        yield process


def _interrupt(process: subprocess.Popen[str]) -> str:
    """As a terminal does on Ctrl-C, to everybody in the foreground; what was said until the end."""
    os.killpg(process.pid, signal.SIGINT)
    return process.communicate(timeout=60)[1]


def _groups(project: Project) -> dict[str, str]:  # noqa: F811
    found = StateBackend(project.paths.pulumi_state, "tiny").resources("dev")
    return {each["inputs"]["resourceGroupName"]: each["id"] for each in found if "ResourceGroup" in each["type"]}


def test_an_interrupted_up_finishes_what_is_under_way_and_the_next_one_does_the_rest(project: Project, tmp_path: Path) -> None:  # noqa: F811
    with held_up(project, tmp_path / "hold") as up:
        said = _interrupt(up)
    assert up.returncode == 130
    assert "Interrupted; the engine finishes what is under way" in said
    assert "Traceback" not in said
    backend = StateBackend(project.paths.pulumi_state, "tiny")
    assert (backend.locks("dev"), backend.pending("dev")) == ([], [])
    before = _groups(project)
    assert set(before) == {"rg-first"}
    assert project.stacks.up("dev").created == 1
    assert _groups(project) == {**before, "rg-second": _groups(project)["rg-second"]}


def test_of_two_ups_that_begin_in_the_same_instant_one_is_refused(project: Project, tmp_path: Path) -> None:  # noqa: F811
    with held_up(project, tmp_path / "hold") as up:
        with pytest.raises(StackBusy, match=r"dev is locked by another process(.|\n)*Fix: wait until it ends") as busy:
            Hasty(project.paths, project=project.directory, cli=project.stacks.cli, reporter=project.stacks.reporter).up("dev")
        (lock,) = StateBackend(project.paths.pulumi_state, "tiny").locks("dev")
        assert f"pid {lock.pid}" in str(busy.value)
        _interrupt(up)
    assert set(_groups(project)) == {"rg-first"}
