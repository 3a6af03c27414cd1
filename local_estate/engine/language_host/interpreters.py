"""Which Python runs a program: the virtual environment its project file names."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class NoInterpreter(Exception):
    """The project names a virtual environment that is not there."""


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    executable: Path
    virtual_environment: Path | None

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """`base` as an activated virtual environment would have it."""
        result = {name: value for name, value in base.items() if name not in ("PYTHONHOME", "VIRTUAL_ENV")}
        if self.virtual_environment is not None:
            result["VIRTUAL_ENV"] = str(self.virtual_environment)
            result["PATH"] = f"{self.executable.parent}{os.pathsep}{base.get('PATH', os.defpath)}"
        return result

    def site_packages(self) -> list[Path]:
        """Where its packages lie; read from the layout, for starting an interpreter to ask takes longer."""
        root = self.virtual_environment or Path(sys.prefix)
        return sorted(root.glob("lib/python3*/site-packages"))


def interpreter_for(root: Path, options: Mapping[str, Any]) -> Interpreter:
    """`options.virtualenv` of the project file, relative to `root`; without one `$PULUMI_PYTHON_CMD` or the host's own Python."""
    toolchain = str(options.get("toolchain") or "pip")
    if toolchain not in ("pip", "uv"):
        raise NoInterpreter(f"the local language host runs the toolchains pip and uv, not '{toolchain}' (runtime.options.toolchain)")
    named = options.get("virtualenv") or (".venv" if toolchain == "uv" else None)
    if not named:
        return Interpreter(executable=Path(os.environ.get("PULUMI_PYTHON_CMD") or sys.executable), virtual_environment=None)
    # No resolve(): a virtual environment's python is a link, and following it leaves the environment.
    directory = Path(os.path.normpath(root / str(named)))
    executable = directory / "bin" / "python"
    if not executable.exists():
        raise NoInterpreter(f"the virtual environment {directory} does not exist (runtime.options.virtualenv in {root}). Fix: make up")
    return Interpreter(executable=executable, virtual_environment=directory)
