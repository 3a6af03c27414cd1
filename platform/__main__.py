"""The program Pulumi runs: load the settings of the stack, build the stack."""

from infra.settings import load
from infra.stack import build

build(load())
