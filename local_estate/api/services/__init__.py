"""The emulated services, one folder each. Adding one is a folder and a line here."""

from __future__ import annotations

import importlib

from local_estate.api.kernel.routing import Service

NAMES = (
    "estate",
    "identity",
    "arm",
    "tag_policies",
    "unity_catalog",
    "secrets",
    "workspace_files",
    "files",
    "console",
    "permissions",
    "compute",
    "sql",
    "pipelines",
    "jobs",
)


def load() -> tuple[Service, ...]:
    """Every service's `SERVICE`, in the order of NAMES."""
    return tuple(importlib.import_module(f"local_estate.api.services.{name}.api").SERVICE for name in NAMES)
