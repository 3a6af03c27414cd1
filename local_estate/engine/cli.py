"""Finds a Pulumi CLI, or gets one: PATH, then the tools, then Pulumi's own installer, then a Go build."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from local_estate.engine import go_build, versions
from local_estate.engine.errors import EngineMissing
from local_estate.engine.file_lock import exclusive
from local_estate.engine.reporting import Reporter
from local_estate.paths import Paths

HOST = "pulumi-language-python"
INSTALLER_HOST = "https://get.pulumi.com/"
INSTALLER_SECONDS = 240

# The wrapper names no checkout: tools may be shared by several, and each environment says which one is calling.
HOST_SCRIPT = """\
#!/bin/sh
# The Python language host of the checkout that started this engine.
: "${ESTATE_PYTHON:?is not set. Run this in the shell that 'make shell' opens}"
: "${ESTATE_REPOSITORY:?is not set. Run this in the shell that 'make shell' opens}"
exec "$ESTATE_PYTHON" -u "$ESTATE_REPOSITORY/local_estate/engine/language_host/__main__.py" "$@"
"""


class Origin(StrEnum):
    PATH = "PATH"
    INSTALLER = "Pulumi's installer"
    BUILT = "built with Go"


@dataclass(frozen=True, kw_only=True)
class PulumiCli:
    """A CLI with a Python language host beside it."""

    command: Path
    version: str
    origin: Origin

    @property
    def directory(self) -> Path:
        return self.command.parent

    def describe(self) -> str:
        return f"Pulumi {self.version} ({self.origin}): {self.command}"


def tools_directory(paths: Paths) -> Path:
    return paths.tools / "pulumi" / versions.sdk_version()


def find(paths: Paths, *, search: str | None = None) -> PulumiCli | None:
    """What is there already; downloads and builds nothing. `search` replaces PATH."""
    return _on_path(paths, search) or _in_tools(paths)


def ensure(paths: Paths, reporter: Reporter | None = None) -> PulumiCli:
    """A CLI that will do, got if need be; one line says which. Raises EngineMissing with the fix."""
    reporter = reporter or Reporter()
    if (found := find(paths)) is not None:
        reporter.line(found.describe())
        return found
    directory = tools_directory(paths)

    def waiting() -> None:
        reporter.line(f"Another process is getting the Pulumi CLI into {directory}; waiting for it …")

    with exclusive(directory.parent / ".lock", waiting=waiting):
        found = _in_tools(paths) or _install(paths, reporter) or _build(paths, reporter)
    reporter.line(found.describe())
    return found


def _on_path(paths: Paths, search: str | None) -> PulumiCli | None:
    # Every `pulumi` of PATH is looked at, for the first one may be too old and a later one good.
    for directory in (search if search is not None else os.environ.get("PATH", os.defpath)).split(os.pathsep):
        found = shutil.which("pulumi", path=directory) if directory else None
        if found is None or _belongs_to(Path(found), paths.tools):
            continue
        command = Path(found).absolute()
        # A launcher may be a link into the installation; the host ships beside the real one.
        beside = next((each for each in (command, command.resolve()) if _executable(each.parent / HOST)), None)
        if beside is None:
            continue
        version = _version_of(beside, paths)
        if versions.cli_will_do(version, versions.sdk_version()):
            return PulumiCli(command=beside, version=version.lstrip("v"), origin=Origin.PATH)
    return None


def _in_tools(paths: Paths) -> PulumiCli | None:
    directory = tools_directory(paths)
    command = directory / "bin" / "pulumi"
    if not _executable(command):
        return None
    stamp = directory / "origin"
    origin = Origin(stamp.read_text().strip()) if stamp.exists() else Origin.BUILT
    if origin is Origin.BUILT:
        _write_host(command.parent)
    return PulumiCli(command=command, version=versions.sdk_version(), origin=origin)


def _write_host(directory: Path) -> None:
    host = directory / HOST
    if host.exists() and host.read_text() == HOST_SCRIPT and _executable(host):
        return
    staged = directory / f".{HOST}.{os.getpid()}"
    staged.write_text(HOST_SCRIPT)
    staged.chmod(0o755)
    staged.replace(host)


def _install(paths: Paths, reporter: Reporter) -> PulumiCli | None:
    """Through `pulumi.automation.PulumiCommand.install`; None when its host is out of reach, said in one line."""
    try:
        # The installer has no timeout of its own: see first whether anybody answers.
        with urllib.request.urlopen(urllib.request.Request(INSTALLER_HOST, method="HEAD"), timeout=5):
            pass
    except urllib.error.HTTPError:
        pass  # it answers; what it serves, the installer will see
    except (OSError, ValueError) as problem:
        reporter.line(f"Pulumi's installer is out of reach ({_short(problem)}); building the CLI instead.")
        return None
    directory = tools_directory(paths)
    staging = directory.with_name(f"{directory.name}.{os.getpid()}")
    program = (
        "import sys; from pulumi.automation import PulumiCommand; from semver import VersionInfo; "
        "PulumiCommand.install(root=sys.argv[1], version=VersionInfo.parse(sys.argv[2]))"
    )
    try:
        with reporter.step(f"Installing the Pulumi CLI {versions.sdk_version()} with Pulumi's installer"):
            subprocess.run(
                [sys.executable, "-c", program, str(staging), versions.sdk_version()],
                check=True,
                capture_output=True,
                timeout=INSTALLER_SECONDS,
            )
    except (OSError, subprocess.SubprocessError):
        shutil.rmtree(staging, ignore_errors=True)
        reporter.line("Pulumi's installer did not finish; building the CLI instead.")
        return None
    return _keep(staging, paths, Origin.INSTALLER)


def _build(paths: Paths, reporter: Reporter) -> PulumiCli:
    directory = tools_directory(paths)
    staging = directory.with_name(f"{directory.name}.{os.getpid()}")
    try:
        go_build.build(staging / "bin" / "pulumi", version=versions.sdk_version(), paths=paths, reporter=reporter)
        _write_host(staging / "bin")
        return _keep(staging, paths, Origin.BUILT)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _keep(staging: Path, paths: Paths, origin: Origin) -> PulumiCli:
    """Tries what was made, then renames it into place in one step: a killed build leaves nothing that looks finished."""
    said = _run_version(staging / "bin" / "pulumi")
    if not versions.cli_will_do(said, versions.sdk_version()):
        shutil.rmtree(staging, ignore_errors=True)
        raise EngineMissing(
            f"the CLI that was {origin} says version '{said}', not {versions.sdk_version()}",
            fix=f"install pulumi {versions.sdk_version()} and put it on PATH",
        )
    (staging / "origin").write_text(origin.value)
    directory = tools_directory(paths)
    shutil.rmtree(directory, ignore_errors=True)
    staging.rename(directory)
    found = _in_tools(paths)
    if found is None:
        raise EngineMissing(f"{directory} lost its CLI", fix=f"delete {directory} and run again")
    return found


def _version_of(command: Path, paths: Paths) -> str:
    """`pulumi version`, remembered per file: asking the 115 MB binary each time costs half a second."""
    facts = command.stat()
    key = {"command": str(command), "size": facts.st_size, "modified": facts.st_mtime_ns}
    remembered = paths.tools / "pulumi" / "on-path.json"
    try:
        known = json.loads(remembered.read_text())
        if {name: known[name] for name in key} == key:
            return str(known["version"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    said = _run_version(command)
    remembered.parent.mkdir(parents=True, exist_ok=True)
    staged = remembered.with_name(f"{remembered.name}.{os.getpid()}")
    staged.write_text(json.dumps({**key, "version": said}))
    staged.replace(remembered)
    return said


def _run_version(command: Path) -> str:
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        result = subprocess.run([command, "version"], capture_output=True, text=True, timeout=60, check=True, env=environment)
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()


def _executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _belongs_to(path: Path, directory: Path) -> bool:
    return path.absolute().is_relative_to(directory) or path.resolve().is_relative_to(directory.resolve())


def _short(problem: BaseException) -> str:
    reason = getattr(problem, "reason", problem)
    return str(reason).strip().splitlines()[0][:80] if str(reason).strip() else type(problem).__name__


__all__ = ["Origin", "PulumiCli", "ensure", "find", "tools_directory"]
