"""Which layers `make test CHANGED=1` chooses, and what is kept of durations."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from local_estate.paths import REPOSITORY
from tests import durations
from tests.changed import DEPENDENTS, changed_files, choose, choose_changed
from tests.run import LAYERS

ALL = tuple(LAYERS)


@pytest.mark.parametrize(
    ("path", "layers"),
    [
        ("docs/governance.md", ("unit", "estate")),
        ("workloads/lakehouse/gold/marts.py", ("unit", "spark", "estate")),
        ("workloads/lakehouse/contracts/domains/cmdm/customer.odcs.yaml", ALL),
        ("platform/infra/stack.py", ("unit", "component", "policy", "estate")),
        ("platform/provider/server.py", ("unit", "component", "policy", "api", "estate")),
        ("Pulumi.prod.yaml", ("unit", "component", "policy", "estate")),
        ("local_estate/spark/jvm.py", ("unit", "api", "spark", "estate")),
        ("local_estate/providers/wire.py", ("unit", "api", "estate")),
        ("tests/spark/test_lakehouse_silver.py", ("spark",)),
        ("tests/api/governed_fixtures.py", ("unit", "api", "spark", "estate")),
        ("tests/api/test_secrets_scopes.py", ("api",)),
        ("requirements/root.txt", ALL),
        ("tests/conftest.py", ALL),
        ("Makefile", ALL),
    ],
)
def test_a_changed_file_runs_the_layers_that_depend_on_it(path: str, layers: tuple[str, ...]) -> None:
    assert choose([path]).layers == layers


def test_the_choice_says_for_which_file_each_layer_runs() -> None:
    choice = choose(["tests/spark/test_x.py", "docs/quality.md"])
    assert choice.layers == ("unit", "spark", "estate")
    said = "unit for docs/quality.md; spark for tests/spark/test_x.py; estate for docs/quality.md"
    assert choice.why == f"2 files differ from main's last commit: {said}"


def test_a_file_without_a_row_runs_everything_and_is_named() -> None:
    choice = choose(["docs/quality.md", "novelty.toml"])
    assert (choice.layers, choice.why) == (ALL, "novelty.toml has no row in tests/changed.py, so it may concern any of them")


def test_without_a_difference_there_is_nothing_to_run() -> None:
    assert choose([]).layers == ()


def test_every_row_begins_a_path_of_the_checkout_and_names_layers_that_exist() -> None:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    known = listed.stdout.splitlines()
    assert [row for row in DEPENDENTS if not any(path.startswith(row) for path in known)] == []
    assert {layer for layers in DEPENDENTS.values() for layer in layers} <= set(LAYERS)


def git(repository: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    subprocess.run(["git", "-C", str(repository), *identity, *arguments], check=True, capture_output=True)


def test_committed_edited_renamed_and_new_files_differ_from_main(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    for name in ("kept", "edited", "committed", "before"):
        (tmp_path / name).write_text(name)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "base")
    git(tmp_path, "checkout", "-qb", "work")
    (tmp_path / "committed").write_text("other")
    git(tmp_path, "mv", "before", "after")
    git(tmp_path, "commit", "-qam", "work")
    (tmp_path / "edited").write_text("other")
    (tmp_path / "new with a space").write_text("new")
    assert changed_files(tmp_path) == ["after", "before", "committed", "edited", "new with a space"]


def test_what_cannot_be_compared_runs_everything_and_says_why(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "trunk")
    choice = choose_changed(tmp_path)
    assert choice.layers == ALL
    assert choice.why == "every layer, since git knows no common commit with main or origin/main"


def test_durations_are_added_to_and_tests_that_are_gone_are_dropped(tmp_path: Path) -> None:
    kept = tmp_path / "build" / "durations.json"
    durations.write(kept, {"a.py::one": {"setup": 1.0, "call": 2.0}, "b.py::two": {"call": 9.0}})
    durations.write(kept, {"a.py::three": {"call": 4.0, "teardown": 0.5}})
    assert durations.read(kept) == {"a.py::three": {"call": 4.0, "teardown": 0.5}, "b.py::two": {"call": 9.0}}
    assert json.loads(kept.read_text())["files"] == {"b.py": 9.0, "a.py": 4.5}


def test_the_slowest_are_told_with_where_their_time_went() -> None:
    took = {"a.py::one": {"setup": 1.0, "call": 2.0, "teardown": 0.5}, "b.py::two": {"call": 9.0}}
    assert durations.slowest(took, count=1) == [
        "slowest tests:",
        "    9.0 s  (setup 0.0, call 9.0, teardown 0.0)  b.py::two",
        "slowest files:",
        "    9.0 s  b.py",
    ]


def test_a_damaged_file_of_durations_is_as_good_as_none(tmp_path: Path) -> None:
    kept = tmp_path / "durations.json"
    kept.write_text("{")
    assert durations.read(kept) == {}
