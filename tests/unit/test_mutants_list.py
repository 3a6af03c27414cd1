"""The list of seeded faults fits the code as it is: `make mutants` itself runs by hand."""

from __future__ import annotations

from pathlib import Path

from tests.mutants.__main__ import PAGE, Mutant, load, misplaced, page


def test_every_seeded_fault_is_in_the_code_once_and_names_a_test_there_is() -> None:
    assert misplaced(load()) == []


def test_there_are_forty_over_every_room_and_the_page_tells_them() -> None:
    mutants = load()
    assert len(mutants) >= 40
    assert {each.room for each in mutants} >= {"local_estate", "platform", "policies", "workloads"}
    assert PAGE.read_text() == page(mutants), "docs/mutants.md is not in step. Fix: make mutants ARGS=--page"


def test_a_fault_that_no_longer_fits_is_told_with_its_fix(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    (tmp_path / "test_a.py").write_text("def test_x() -> None: ...\n")
    twice = Mutant(name="twice", file="a.py", old="x = 1", new="x = 2", test="test_a.py::test_x")
    untested = Mutant(name="untested", file="a.py", old="x = 1\nx", new="y", test="test_a.py::test_y")
    assert misplaced([twice, untested], tmp_path) == [
        "twice: a.py has its text 2 times, not once. Fix: take the text as the code has it now",
        "untested: there is no test test_a.py::test_y. Fix: name the test that notices the fault now",
    ]
