"""The program Pulumi runs: load the settings of the stack, hold them against its siblings', build the stack."""

from pathlib import Path

import pulumi

from infra import siblings
from infra.settings import load
from infra.stack import build

settings = load()
siblings.check(pulumi.get_stack(), settings, Path(pulumi.get_root_directory()))
build(settings)
