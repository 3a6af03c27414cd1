"""A stack's last `up` stands as long as nothing that an `up` reads has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_estate.paths import Paths
from local_estate.up_to_date import UpToDate

STATE = "home/pulumi/.pulumi/stacks/lakehouse/shared.json"
FILES = (
    "Pulumi.yaml",
    "Pulumi.shared.yaml",
    "platform/infra/stack.py",
    "workloads/lakehouse/contracts/domains/cmdm/customer.odcs.yaml",
    "policies/config/shared.json",
    "local_estate/providers/wire.py",
    "requirements/root.txt",
    STATE,
)


@pytest.fixture
def shared(tmp_path: Path) -> UpToDate:
    for name in FILES:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return UpToDate(Paths(repository=tmp_path, tools=tmp_path / "tools", home=tmp_path / "home"), "shared")


def test_a_stack_that_was_never_up_is_not_up_to_date(shared: UpToDate) -> None:
    assert not shared.holds


def test_nothing_changed_means_up_to_date(shared: UpToDate) -> None:
    shared.record()
    assert shared.holds


@pytest.mark.parametrize("name", FILES)
def test_a_change_of_anything_an_up_reads_ends_it(shared: UpToDate, name: str) -> None:
    shared.record()
    (shared.paths.repository / name).write_text("changed")
    assert not shared.holds


@pytest.mark.parametrize("name", FILES)
def test_so_does_a_file_that_is_gone(shared: UpToDate, name: str) -> None:
    shared.record()
    (shared.paths.repository / name).unlink()
    assert not shared.holds


def test_so_does_a_new_module(shared: UpToDate) -> None:
    shared.record()
    (shared.paths.repository / "platform/infra/new.py").write_text("")
    assert not shared.holds


def test_another_stacks_configuration_and_caches_do_not_matter(shared: UpToDate) -> None:
    shared.record()
    for name in ("Pulumi.dev.yaml", "policies/.venv/lib/site.py", "platform/infra/__pycache__/stack.pyc"):
        file = shared.paths.repository / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    assert shared.holds
