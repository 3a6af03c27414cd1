"""Installs a hashed lock with uv where there is one, else with pip. Both refuse a file whose hash is not in the lock."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


class LockDidNotInstall(Exception):
    """The installer's last line."""


def make_environment(directory: Path, lock: Path) -> None:
    """A new virtual environment of this Python with everything in `lock`."""
    python = str(directory / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _first_that_works(
        directory,
        with_uv=[
            ["uv", "venv", "--quiet", "--python", sys.executable, str(directory)],
            ["uv", "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(lock)],
        ],
        with_pip=[[sys.executable, "-m", "venv", str(directory)], [*pip, "--require-hashes", "-r", str(lock)]],
    )


def install_into(directory: Path, lock: Path) -> None:
    """The packages' files in a plain folder, without an environment around them."""
    options = ["--quiet", "--no-deps", "--require-hashes", "--target", str(directory), "-r", str(lock)]
    _first_that_works(
        directory,
        with_uv=[["uv", "pip", "install", "--python", sys.executable, *options]],
        with_pip=[[sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *options]],
    )


def _first_that_works(directory: Path, *, with_uv: list[list[str]], with_pip: list[list[str]]) -> None:
    problem = ""
    # A `uv` on PATH may be a launcher that starts nothing; pip then does the same from the same hashes.
    for commands in ([with_uv] if shutil.which("uv") else []) + [with_pip]:
        problem = _problem_of(commands)
        if not problem:
            return
        shutil.rmtree(directory, ignore_errors=True)
    raise LockDidNotInstall(problem)


def _problem_of(commands: list[list[str]]) -> str:
    """The last line of the first command that fails; empty when all succeed."""
    strays = ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if name not in strays}
    for command in commands:
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if result.returncode:
            lines = [line.strip() for line in (result.stderr or result.stdout).splitlines() if line.strip()]
            return lines[-1] if lines else f"{command[0]} ended with {result.returncode}"
    return ""
