"""What an environment holds: the Pulumi plugins its packages need, and the packages a project asked for."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from pulumi.runtime.proto import language_pb2, plugin_pb2

from local_estate.engine.language_host.interpreters import Interpreter


def required_packages(interpreter: Interpreter) -> list[plugin_pb2.PackageDependency]:
    """Each installed Pulumi SDK says its plugin in `pulumi-plugin.json`; the engine then finds that version in PULUMI_HOME."""
    return [
        plugin_pb2.PackageDependency(
            name=said["name"],
            kind="resource",
            version=f"v{said['version'].removeprefix('v')}",
            server=said.get("server", ""),
        )
        for said in _plugin_files(interpreter.site_packages())
        if said.get("resource") and said.get("name") and said.get("version")
    ]


def imported_modules(interpreter: Interpreter, program: Path) -> list[str]:
    """Modules of the environment's Pulumi SDKs that the sources of the program import: `sdk`, and `sdk.name` of `from sdk import name`.

    Such a name may be a class of the SDK just as well as a module; whoever imports it finds out.
    """
    text = "\n".join(file.read_text(errors="replace") for file in _sources(program if program.is_dir() else program.parent))
    found: list[str] = []
    for sdk in (file.parent.name for each in interpreter.site_packages() for file in sorted(each.glob("*/pulumi-plugin.json"))):
        names = {name for line in re.findall(rf"^from {sdk} import ([\w, ]+)$", text, re.MULTILINE) for name in re.findall(r"\w+", line)}
        if names or re.search(rf"^import {sdk}\b", text, re.MULTILINE):
            found += [sdk, *(f"{sdk}.{name}" for name in sorted(names))]
    return found


def _sources(folder: Path) -> Iterator[Path]:
    for directory, below, files in os.walk(folder):
        # Environments lie beside programs, often within their folder.
        below[:] = [name for name in below if not name.startswith(".") and not Path(directory, name, "pyvenv.cfg").exists()]
        yield from (Path(directory, name) for name in files if name.endswith(".py"))


def _plugin_files(directories: list[Path]) -> Iterator[dict[str, str]]:
    for directory in directories:
        for file in sorted(directory.glob("*/pulumi-plugin.json")):
            yield json.loads(file.read_text())


def installed(interpreter: Interpreter, *, transitive: bool) -> list[language_pb2.DependencyInfo]:
    """Name and version of each distribution; without `transitive` only those that no other one requires."""
    found = {_canonical(each.name): each for each in distributions(path=[str(each) for each in interpreter.site_packages()])}
    required = {} if transitive else {name for each in found.values() for name in _requirements(each)}
    return [
        language_pb2.DependencyInfo(name=each.name, version=each.version) for name, each in sorted(found.items()) if name not in required
    ]


def _requirements(distribution: Distribution) -> Iterator[str]:
    for requirement in distribution.requires or []:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        if name and "extra ==" not in requirement:
            yield _canonical(name[0])


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
