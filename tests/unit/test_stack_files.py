"""Which stacks there are, and what `estate` says of one that is not, or whose file cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from local_estate import cli, stack_files
from local_estate.paths import REPOSITORY
from local_estate.stack_files import NoSuchStack, StackFileBroken

GOOD = "config:\n  lakehouse:scope: environment\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for stack, scope in (("shared", "account"), ("dev", "environment"), ("prod", "environment")):
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(f"config:\n  lakehouse:scope: {scope}\n")
    return tmp_path


def test_a_stack_is_a_file(repository: Path) -> None:
    assert stack_files.names(repository) == ["dev", "prod", "shared"]
    assert stack_files.environments(repository) == ["dev", "prod"]
    assert stack_files.require(repository, "shared") == "shared"
    assert stack_files.require_environment(repository, "dev") == "dev"


def test_another_name_is_refused_with_those_there_are(repository: Path) -> None:
    with pytest.raises(NoSuchStack) as refused:
        stack_files.require(repository, "pord")
    assert str(refused.value) == "there is no stack 'pord': no file Pulumi.pord.yaml. Did you mean prod? Stacks: dev, prod, shared"


def test_what_the_environments_share_is_no_environment(repository: Path) -> None:
    with pytest.raises(NoSuchStack, match=r"no workspace, jobs or tables\. Environments: dev, prod"):
        stack_files.require_environment(repository, "shared")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("config:\n  lakehouse:tags:\n    ENVM: dev\n   SYSTEM: x\n", "Pulumi.dev.yaml, line 4, column 4: no valid YAML: "),
        ("config:\n  lakehouse:scope: 'environment\n", "Pulumi.dev.yaml, line 3, column 1: no valid YAML: found unexpected end of stream"),
        ("config: {a: [1, 2}\n", "Pulumi.dev.yaml, line 1, column 18: no valid YAML: "),
        ("config:\n\tlakehouse:scope: environment\n", "Pulumi.dev.yaml, line 2, column 1: no valid YAML: found character"),
        ("", "Pulumi.dev.yaml holds no `config:`"),
        ("config:\n", "Pulumi.dev.yaml holds no `config:`"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_with_its_place(repository: Path, text: str, said: str) -> None:
    (repository / "Pulumi.dev.yaml").write_text(text)
    with pytest.raises(StackFileBroken) as refused:
        stack_files.require(repository, "dev")
    assert str(refused.value).startswith(said)
    assert ". Fix: " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_broken_line_is_not_repeated(repository: Path) -> None:
    (repository / "Pulumi.dev.yaml").write_text("config:\n  lakehouse:token: s3cr3t-value: x\n")
    with pytest.raises(StackFileBroken) as refused:
        stack_files.require(repository, "dev")
    assert "s3cr3t" not in str(refused.value)


COMMANDS = (
    ["up"],
    ["day", "1"],
    ["stream"],
    ["run", "gold_marts"],
    ["sql", "SELECT 1"],
    ["preview"],
    ["destroy", "--yes"],
    ["env"],
    ["shell"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_refuses_a_wrong_stack_before_it_does_anything(command: list[str]) -> None:
    done = CliRunner().invoke(cli.app, [*command, "--stack", "nope"])
    assert done.exit_code == 2, done.output
    said = " ".join(done.output.replace("│", " ").split())
    assert "there is no stack 'nope': no file Pulumi.nope.yaml. Stacks: dev, prod, shared, test" in said
    assert not (REPOSITORY / "Pulumi.nope.yaml").exists()


@pytest.mark.parametrize("command", [each for each in COMMANDS if each[0] in ("day", "stream", "run", "sql", "env", "shell")], ids=" ".join)
def test_what_needs_a_workspace_refuses_shared(command: list[str]) -> None:
    done = CliRunner().invoke(cli.app, [*command, "--stack", "shared"])
    assert done.exit_code == 2, done.output
    assert "Environments: dev, prod, test" in " ".join(done.output.replace("│", " ").split())
