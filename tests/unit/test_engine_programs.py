"""Programs started before the engine asks for them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from local_estate.engine.language_host.dependencies import imported_modules
from local_estate.engine.language_host.interpreters import Interpreter
from local_estate.engine.language_host.programs import Programs


@pytest.fixture
def interpreter(tmp_path: Path) -> Interpreter:
    """An environment with two SDKs and a package that is none."""
    for name, files in {"pulumi_cloud": ["pulumi-plugin.json"], "pulumi_other": ["pulumi-plugin.json"], "yaml": []}.items():
        package = tmp_path / "venv" / "lib" / "python3.11" / "site-packages" / name
        package.mkdir(parents=True)
        for file in files:
            (package / file).write_text("{}")
    return Interpreter(executable=Path(sys.executable), virtual_environment=tmp_path / "venv")


def test_the_sdk_modules_that_a_program_imports_are_read_from_its_sources(interpreter: Interpreter, tmp_path: Path) -> None:
    program = tmp_path / "program"
    (program / "parts").mkdir(parents=True)
    (program / "__main__.py").write_text("import yaml\nfrom pulumi_cloud import storage, network as net\n# import pulumi_other\n")
    (program / "parts" / "a.py").write_text("import pulumi_cloud as cloud\nfrom pulumi_cloud import keys\n")
    # Another environment beside the program is nobody's source.
    (program / "env").mkdir()
    (program / "env" / "pyvenv.cfg").touch()
    (program / "env" / "b.py").write_text("import pulumi_other\n")
    found = imported_modules(interpreter, program)
    assert found[0] == "pulumi_cloud"
    assert {"pulumi_cloud.storage", "pulumi_cloud.network", "pulumi_cloud.keys"} <= set(found)
    assert not any(name.startswith(("pulumi_other", "yaml")) for name in found)


def test_a_program_started_ahead_is_the_one_that_runs_and_one_that_is_told_nothing_ends(tmp_path: Path) -> None:
    programs, interpreter = Programs(), Interpreter(executable=Path(sys.executable), virtual_environment=None)
    programs.start_ahead(interpreter, tmp_path)
    programs.start_ahead(interpreter, tmp_path)
    ahead, another = programs.started(interpreter, tmp_path), programs.started(interpreter, tmp_path)
    assert ahead is not another
    for child in (ahead, another):
        child.tell("")
        assert list(child.events()) == []
        assert child.wait() == 0
