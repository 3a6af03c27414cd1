"""A PULUMI_HOME of the project's own, with the local estate's providers installed as ordinary Pulumi plugins."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path

from local_estate.engine.cli import PulumiCli
from local_estate.engine.errors import EngineError
from local_estate.engine.file_lock import exclusive
from local_estate.engine.reporting import Reporter
from local_estate.paths import Paths


@dataclass(frozen=True, kw_only=True)
class ProviderPlugin:
    """`module` has `main()`: it prints a port and serves ResourceProvider."""

    name: str
    version: str
    module: str

    @property
    def executable(self) -> str:
        return f"pulumi-resource-{self.name}"

    def script(self) -> str:
        # Names no checkout: several may share the tools, and the environment says which one is calling.
        return (
            "#!/bin/sh\n"
            f"# The local estate's {self.name} provider, of the checkout that started this engine.\n"
            ": \"${ESTATE_PYTHON:?is not set. Run this in the shell that 'make shell' opens}\"\n"
            ": \"${ESTATE_REPOSITORY:?is not set. Run this in the shell that 'make shell' opens}\"\n"
            'exec "$ESTATE_PYTHON" -u -c \'import os, sys; sys.path.insert(0, os.environ["ESTATE_REPOSITORY"]); '
            f'from {self.module} import main; main()\' "$@"\n'
        )


def providers() -> tuple[ProviderPlugin, ...]:
    """The versions are those of the installed SDKs: an SDK asks the engine for exactly its own."""
    return (
        ProviderPlugin(
            name="azure-native",
            version=installed_version("pulumi_azure_native"),
            module="local_estate.providers.azure_native",
        ),
        ProviderPlugin(
            name="databricks",
            version=installed_version("pulumi_databricks"),
            module="local_estate.providers.databricks",
        ),
    )


def install_plugins(
    paths: Paths, cli: PulumiCli, *, plugins: tuple[ProviderPlugin, ...] | None = None, reporter: Reporter | None = None
) -> tuple[ProviderPlugin, ...]:
    """Installs what is missing or changed, and returns that. A few file reads when there is nothing to do."""
    wanted = providers() if plugins is None else plugins
    if not any(_differs(paths, each) for each in wanted):
        return ()
    with exclusive(paths.pulumi_home / ".lock"):
        changed = tuple(each for each in wanted if _differs(paths, each))
        for plugin in changed:
            _install(paths, cli, plugin)
            (reporter or Reporter()).line(f"Installed the plugin {plugin.name} {plugin.version} into {paths.pulumi_home}")
    return changed


def _installed(paths: Paths, plugin: ProviderPlugin) -> Path:
    return paths.pulumi_home / "plugins" / f"resource-{plugin.name}-v{plugin.version}" / plugin.executable


def _differs(paths: Paths, plugin: ProviderPlugin) -> bool:
    file = _installed(paths, plugin)
    return not (file.is_file() and os.access(file, os.X_OK) and file.read_text(errors="replace") == plugin.script())


def _install(paths: Paths, cli: PulumiCli, plugin: ProviderPlugin) -> None:
    # The engine keeps an installed version as it is; one that differs goes first.
    shutil.rmtree(_installed(paths, plugin).parent, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        script = Path(scratch, plugin.executable)
        script.write_text(plugin.script())
        script.chmod(0o755)
        result = subprocess.run(
            [cli.command, "plugin", "install", "resource", plugin.name, plugin.version, "--file", str(script)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={
                **os.environ,
                "PULUMI_HOME": str(paths.pulumi_home),
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                "NO_COLOR": "1",
            },
        )
    if result.returncode or _differs(paths, plugin):
        raise EngineError(
            f"the plugin {plugin.name} {plugin.version} did not install: {result.stderr.strip() or result.stdout.strip()}",
            fix=f"delete {paths.pulumi_home} and run again",
        )
