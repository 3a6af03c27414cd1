"""Pulumi's generated protocol modules, without the second that importing all of `pulumi` takes.

A provider starts for every `pulumi` command, twice; only the messages are needed.
"""

from __future__ import annotations

import importlib.util
import sys
import types


def enter_lightly() -> None:
    """Lets `pulumi.runtime.proto` be imported alone. Does nothing where `pulumi` itself has been imported."""
    for package in ("pulumi", "pulumi.runtime"):
        if package in sys.modules:
            continue
        spec = importlib.util.find_spec(package)
        if spec is None:
            raise LookupError("the Python package pulumi is not installed")
        module = types.ModuleType(package)
        module.__path__ = list(spec.submodule_search_locations or ())
        module.__spec__ = spec
        sys.modules[package] = module
