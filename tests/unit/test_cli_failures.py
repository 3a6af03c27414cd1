"""How a command of `estate` ends when it fails."""

from __future__ import annotations

import errno

import pytest

from local_estate import cli
from local_estate.facts import NotDeployed


def _raise(error: Exception) -> None:
    raise error


def test_a_full_disk_is_one_line_with_the_fix(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(lambda: _raise(OSError(errno.ENOSPC, "No space left on device")))
    said = " ".join(capsys.readouterr().err.split())
    assert left.value.code == 1
    assert said.startswith("error: the disk below ")
    assert said.endswith("Free some space there and try again.")


def test_an_explained_failure_is_its_message_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(lambda: _raise(NotDeployed("stack dev is not deployed. Fix: make up")))
    assert left.value.code == 1
    assert capsys.readouterr().err == "error: stack dev is not deployed. Fix: make up\n"


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(OSError, match="Permission denied"):
        cli.main(lambda: _raise(OSError(errno.EACCES, "Permission denied")))


def test_status_shows_a_job_whose_name_is_a_number_or_looks_like_markup(capsys: pytest.CaptureFixture[str]) -> None:
    run = {"run_id": 7, "result": "SUCCESS", "seconds": 1.0, "parameters": {"system": "cmdm"}}
    runs = [{"job": 4711, **run}, {"job": "[red]nightly[/red]", **run}]
    cli.print_status({"stacks": {}, "tables": [], "broker": None, "quality": [], "runs": runs})
    said = capsys.readouterr().out
    assert "4711" in said
    assert "[red]nightly[/red]" in said
    assert said.count("system=cmdm") == 2
