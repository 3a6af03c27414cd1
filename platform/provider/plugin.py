"""The engine's questions about `sqlobjects:index:SqlFunction`, answered by a workspace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeVar

from databricks.sdk.errors.base import DatabricksError
from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental.property_value import PropertyValue, PropertyValueType
from pulumi.runtime.rpc import UNKNOWN

from provider.connection import Connection, Refused
from provider.functions import described, mistake_in_name, mistake_in_statement

VERSION = "1.0.0"
FUNCTION = "sqlobjects:index:SqlFunction"
CONFIGURED = ("host", "azureWorkspaceResourceId", "warehouseId")
INPUTS = ("fullName", "statement")
# The SDK's own marker of what a preview does not know cannot be sent; on the wire it is this text.
_LATER = PropertyValue(UNKNOWN)
_Answer = TypeVar("_Answer")
_Properties = Mapping[str, PropertyValue]


class SqlObjects(protocol.Provider):
    """State holds the inputs and `observed`: how the workspace spelt the function once it was made.

    Workspaces reword what they keep, so that a function is compared with what was seen of it then, and not with the statement: whatever
    has become different since was changed by hand.
    """

    def __init__(self, connection: Connection | None = None) -> None:
        self._connection = connection

    async def check_config(self, request: protocol.CheckRequest) -> protocol.CheckResponse:
        given = {name: value for name, value in request.new_inputs.items() if name != "version"}
        failures = [protocol.CheckFailure(name, "is no setting of this provider") for name in given if name not in CONFIGURED]
        failures += [protocol.CheckFailure(name, "is missing") for name in ("host", "warehouseId") if _is_missing(given.get(name))]
        return protocol.CheckResponse(inputs=request.new_inputs, failures=failures)

    async def configure(self, request: protocol.ConfigureRequest) -> protocol.ConfigureResponse:
        self._connection = Connection(
            host=_text(request.args, "host"),
            azure_workspace_resource_id=_text(request.args, "azureWorkspaceResourceId"),
            warehouse_id=_text(request.args, "warehouseId"),
        )
        return await super().configure(request)

    async def cancel(self) -> None:
        if self._connection is not None:
            self._connection.cancel()

    async def check(self, request: protocol.CheckRequest) -> protocol.CheckResponse:
        given = request.new_inputs
        if request.type.rsplit("$", 1)[-1] != FUNCTION:
            return protocol.CheckResponse(failures=[protocol.CheckFailure("", f"{request.type} is no type of this provider")])
        failures = [protocol.CheckFailure(name, f"is no input; there are {', '.join(INPUTS)}") for name in given if name not in INPUTS]
        failures += [protocol.CheckFailure(name, "is missing") for name in INPUTS if _is_missing(given.get(name))]
        full_name, statement = (_known(given.get(name)) for name in INPUTS)
        if full_name is not None and (wrong := mistake_in_name(full_name)):
            failures.append(protocol.CheckFailure("fullName", wrong))
        elif full_name is not None and statement is not None and (wrong := mistake_in_statement(statement, full_name)):
            failures.append(protocol.CheckFailure("statement", wrong))
        return protocol.CheckResponse(inputs=given, failures=failures)

    async def diff(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        changed = [name for name in INPUTS if _plain(request.old_state.get(name)) != _plain(request.new_inputs.get(name))]
        kinds = {"fullName": protocol.PropertyDiffKind.UPDATE_REPLACE, "statement": protocol.PropertyDiffKind.UPDATE}
        return protocol.DiffResponse(
            changes=bool(changed),
            replaces=[name for name in changed if name == "fullName"],
            stables=[] if "fullName" in changed else ["fullName"],
            diffs=changed,
            detailed_diff={name: protocol.PropertyDiff(kinds[name], input_diff=True) for name in changed},
        )

    async def create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        if request.preview:
            return protocol.CreateResponse(properties={**request.properties, "observed": _LATER})
        # CREATE OR REPLACE: what an interrupted run left behind, recorded or not, becomes this one.
        made = await self._make(request.properties, request.timeout)
        return protocol.CreateResponse(resource_id=_text(request.properties, "fullName"), properties=made)

    async def update(self, request: protocol.UpdateRequest) -> protocol.UpdateResponse:
        if request.preview:
            return protocol.UpdateResponse(properties={**request.news, "observed": _LATER})
        return protocol.UpdateResponse(properties=await self._make(request.news, request.timeout))

    async def read(self, request: protocol.ReadRequest) -> protocol.ReadResponse:
        connection = self._connected()
        found = await _asked(request.resource_id, lambda: connection.function(request.resource_id))
        if found is None:
            return protocol.ReadResponse(resource_id="")
        seen = described(found)
        unchanged = seen == _plain(request.properties.get("observed"))
        statement = _text(request.properties, "statement") if unchanged else seen
        inputs = {"fullName": PropertyValue(request.resource_id), "statement": PropertyValue(statement)}
        return protocol.ReadResponse(resource_id=request.resource_id, properties={**inputs, "observed": PropertyValue(seen)}, inputs=inputs)

    async def delete(self, request: protocol.DeleteRequest) -> None:
        connection = self._connected()
        await _asked(request.resource_id, lambda: connection.drop_function(request.resource_id))

    async def _make(self, inputs: _Properties, patience: float) -> dict[str, PropertyValue]:
        connection = self._connected()
        full_name, statement = (_text(inputs, name) for name in INPUTS)

        def make() -> str:
            connection.execute(statement, patience=patience)
            found = connection.function(full_name)
            if found is None:
                raise Refused(
                    "the statement succeeded and the function is not there. Fix: run again; if it stays so, look at the metastore"
                )
            return described(found)

        observed = await _asked(full_name, make)
        return {**{name: PropertyValue(_text(inputs, name)) for name in INPUTS}, "observed": PropertyValue(observed)}

    def _connected(self) -> Connection:
        if self._connection is None:
            raise Refused("the provider is not configured; it needs host and warehouseId")
        return self._connection


async def _asked(full_name: str, work: Callable[[], _Answer]) -> _Answer:
    """The SDK waits for answers, so it waits beside the loop that serves the engine. Its errors name the function."""
    try:
        return await asyncio.to_thread(work)
    except (Refused, DatabricksError, ValueError) as error:
        raise Refused(f"function {full_name}: {error}") from None


def _is_missing(value: PropertyValue | None) -> bool:
    return value is None or value.type is PropertyValueType.NULL


def _known(value: PropertyValue | None) -> str | None:
    """The text, or None while it is unknown or not there."""
    return value.value if value is not None and isinstance(value.value, str) and value.value != UNKNOWN else None


def _plain(value: PropertyValue | None) -> object:
    return None if value is None else value.value


def _text(properties: _Properties, name: str) -> str:
    return _known(properties.get(name)) or ""
