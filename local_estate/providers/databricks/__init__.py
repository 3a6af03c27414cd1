"""The provider `databricks` of the local estate."""

from __future__ import annotations


def main() -> None:
    """The plugin's entry: prints its port and serves until the engine is gone."""
    from local_estate.providers.protocol import enter_lightly

    enter_lightly()
    from local_estate.providers.databricks.provider import Databricks
    from local_estate.providers.server import run

    run(Databricks())
