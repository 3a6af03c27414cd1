"""Pulumi's plugin server, with refusals as their own words: the SDK's would say the class and print a traceback."""

from __future__ import annotations

from typing import Any

import grpc
from pulumi.provider.experimental import server
from pulumi.provider.experimental.provider import Provider
from pulumi.provider.experimental.server import ProviderServicer

from provider.connection import Refused


class _Servicer(ProviderServicer):
    async def Create(self, request: Any, context: Any) -> Any:
        return await self._answer(super().Create, request, context)

    async def Read(self, request: Any, context: Any) -> Any:
        return await self._answer(super().Read, request, context)

    async def Update(self, request: Any, context: Any) -> Any:
        return await self._answer(super().Update, request, context)

    async def Delete(self, request: Any, context: Any) -> Any:
        return await self._answer(super().Delete, request, context)

    async def _answer(self, method: Any, request: Any, context: Any) -> Any:
        try:
            return await method(request, context)
        except Refused as refused:
            return await context.abort(grpc.StatusCode.UNKNOWN, str(refused))


def serve(provider: Provider, *, version: str, arguments: list[str]) -> None:
    """Prints the port and serves until the engine ends the process."""
    # The SDK's main takes a provider and makes the servicer itself, from this name.
    server.ProviderServicer = _Servicer  # type: ignore[misc]
    server.main(arguments, version, provider)
