"""Gets a Pulumi engine onto this machine and runs the stacks with it. Nothing of the user's own Pulumi is touched.

`prepare(paths)` once, then `Stacks(paths).up("dev", [PolicyPack.of(paths, "dev")])`.
"""

from __future__ import annotations

from local_estate.engine import cli as _cli
from local_estate.engine.cli import PulumiCli
from local_estate.engine.policy_environment import policy_environment
from local_estate.engine.pulumi_home import install_plugins
from local_estate.engine.reporting import Reporter
from local_estate.paths import Paths


def prepare(paths: Paths, reporter: Reporter | None = None) -> PulumiCli:
    """CLI, plugins and the policies' environment: got if missing, a few file reads if not."""
    reporter = reporter or Reporter()
    found = _cli.ensure(paths, reporter)
    install_plugins(paths, found, reporter=reporter)
    policy_environment(paths, reporter)
    return found
