"""The provider `azure-native` of the local estate."""

from __future__ import annotations


def main() -> None:
    """The plugin's entry: prints its port and serves until the engine is gone."""
    from local_estate.providers.protocol import enter_lightly

    enter_lightly()
    from local_estate.providers.azure_native.provider import AzureNative
    from local_estate.providers.server import run

    run(AzureNative())
