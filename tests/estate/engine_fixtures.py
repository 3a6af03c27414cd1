"""A real engine with a PULUMI_HOME and a state of the test's own, and a tiny provider in place of the local estate's."""

from __future__ import annotations

import io
import os
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from rich.console import Console

from local_estate.engine import cli as pulumi_cli
from local_estate.engine.pulumi_home import install_plugins, providers
from local_estate.engine.reporting import Reporter
from local_estate.engine.stacks import Stacks
from local_estate.paths import REPOSITORY, Paths

TINY = "tests.estate.engine_tiny_provider"


@dataclass(frozen=True)
class Project:
    """A Pulumi project in a folder of its own; `said` is what `stacks` told its reader."""

    directory: Path
    stacks: Stacks
    said: io.StringIO

    @property
    def paths(self) -> Paths:
        return self.stacks.paths

    def program(self, text: str) -> None:
        folder = self.directory / "program"
        folder.mkdir(exist_ok=True)
        (folder / "__main__.py").write_text(textwrap.dedent(text))

    def settings(self, extra: str = "", *, virtualenv: Path = REPOSITORY / ".venv") -> None:
        options = f"{{toolchain: pip, virtualenv: {os.path.relpath(virtualenv, self.directory)}}}"
        text = f"name: tiny\nmain: program\nruntime: {{name: python, options: {options}}}\n"
        (self.directory / "Pulumi.yaml").write_text(text + textwrap.dedent(extra))

    def with_variables(self, variables: Mapping[str, str]) -> Stacks:
        return replace(self.stacks, variables=variables)


def make_project(directory: Path) -> Project:
    shared = Paths.from_environment()
    cli = pulumi_cli.ensure(shared)
    tools = directory / "tools"
    tools.mkdir(parents=True)
    (tools / "pulumi").symlink_to(shared.tools / "pulumi")
    paths = Paths(repository=REPOSITORY, tools=tools, home=directory / "estate")
    install_plugins(paths, cli, plugins=tuple(replace(each, module=TINY) for each in providers()))
    said = io.StringIO()
    folder = directory / "project"
    folder.mkdir()
    reporter = Reporter(Console(file=said, width=1000, force_terminal=False))
    project = Project(folder, Stacks(paths, project=folder, cli=cli, reporter=reporter), said)
    project.settings()
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)
