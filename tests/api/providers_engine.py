"""What the Pulumi engine does with a provider, over a real gRPC channel: Check, Diff, Create, Update, replace, refresh, import, destroy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from local_estate.providers import wire
from local_estate.providers.kinds import Provider
from local_estate.providers.server import MESSAGE_BYTES, serve


@dataclass
class Recorded:
    """A resource in the state; inputs and outputs as they came over the wire, secrets marked."""

    token: str
    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]


class CheckFailed(AssertionError):
    def __init__(self, failures: Any) -> None:
        self.failures = {each.property: each.reason for each in failures}
        super().__init__(str(self.failures))


@dataclass
class Engine:
    stub: provider_pb2_grpc.ResourceProviderStub
    state: dict[str, Recorded] = field(default_factory=dict)

    @staticmethod
    def urn(token: str, name: str) -> str:
        return f"urn:pulumi:dev::lakehouse::{token}::{name}"

    def configure(self, **config: Any) -> None:
        values = wire.encode({**config, "version": "1.0.0"})
        failures = self.stub.CheckConfig(provider_pb2.CheckRequest(news=values)).failures
        if failures:
            raise CheckFailed(failures)
        self.stub.Configure(provider_pb2.ConfigureRequest(args=values, acceptSecrets=True))

    def check(self, token: str, name: str, inputs: Mapping[str, Any], olds: Mapping[str, Any] | None = None) -> dict[str, Any]:
        request = provider_pb2.CheckRequest(
            urn=self.urn(token, name), news=wire.encode(inputs), olds=wire.encode(olds or {}), randomSeed=b"seed"
        )
        reply = self.stub.Check(request)
        if reply.failures:
            raise CheckFailed(reply.failures)
        return wire.decode(reply.inputs)

    def diff(self, name: str, news: Mapping[str, Any]) -> Any:
        recorded = self.state[name]
        return self.stub.Diff(
            provider_pb2.DiffRequest(
                id=recorded.id,
                urn=self.urn(recorded.token, name),
                olds=wire.encode(recorded.outputs),
                old_inputs=wire.encode(recorded.inputs),
                news=wire.encode(news),
            )
        )

    def preview(self, token: str, name: str, /, **inputs: Any) -> dict[str, Any]:
        checked = self.check(token, name, inputs)
        reply = self.stub.Create(provider_pb2.CreateRequest(urn=self.urn(token, name), properties=wire.encode(checked), preview=True))
        assert reply.id == ""
        return wire.decode(reply.properties)

    def up(self, token: str, name: str, /, **inputs: Any) -> str:
        """create, same, update or replace: what was done."""
        recorded = self.state.get(name)
        checked = self.check(token, name, inputs, recorded.inputs if recorded else None)
        if recorded is None:
            self._create(token, name, checked)
            return "create"
        diff = self.diff(name, checked)
        assert set(diff.diffs) == {path.split(".")[0].split("[")[0] for path in diff.detailedDiff}
        if diff.changes == provider_pb2.DiffResponse.DIFF_NONE:
            recorded.inputs = checked
            return "same"
        if diff.replaces:
            checked = self.check(token, name, inputs)
            old = self.state.pop(name)
            if diff.deleteBeforeReplace:
                self._delete(name, old)
            self._create(token, name, checked)
            if not diff.deleteBeforeReplace:
                self._delete(name, old)
            return "replace"
        reply = self.stub.Update(
            provider_pb2.UpdateRequest(
                id=recorded.id,
                urn=self.urn(token, name),
                olds=wire.encode(recorded.outputs),
                old_inputs=wire.encode(recorded.inputs),
                news=wire.encode(checked),
            )
        )
        recorded.inputs, recorded.outputs = checked, wire.decode(reply.properties)
        return "update"

    def _create(self, token: str, name: str, checked: Mapping[str, Any]) -> None:
        reply = self.stub.Create(provider_pb2.CreateRequest(urn=self.urn(token, name), properties=wire.encode(checked)))
        assert reply.id
        self.state[name] = Recorded(token, reply.id, dict(checked), wire.decode(reply.properties))

    def _delete(self, name: str, recorded: Recorded) -> None:
        self.stub.Delete(
            provider_pb2.DeleteRequest(
                id=recorded.id,
                urn=self.urn(recorded.token, name),
                properties=wire.encode(recorded.outputs),
                old_inputs=wire.encode(recorded.inputs),
            )
        )

    def read(self, token: str, name: str, identifier: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Recorded | None:
        reply = self.stub.Read(
            provider_pb2.ReadRequest(id=identifier, urn=self.urn(token, name), inputs=wire.encode(inputs), properties=wire.encode(outputs))
        )
        return Recorded(token, reply.id, wire.decode(reply.inputs), wire.decode(reply.properties)) if reply.id else None

    def refresh(self, name: str) -> list[str]:
        """Paths that differ between the live object and what the state has; the state follows the object."""
        recorded = self.state[name]
        live = self.read(recorded.token, name, recorded.id, recorded.inputs, recorded.outputs)
        if live is None:
            del self.state[name]
            return ["(gone)"]
        self.state[name] = live
        found = sorted(self.diff(name, recorded.inputs).detailedDiff)
        if not found:
            assert wire.plain(live.inputs) == wire.plain(recorded.inputs), "refresh rewrote inputs that did not change"
        return found

    def import_(self, token: str, name: str, identifier: str) -> Recorded | None:
        """By the id alone, then Checked as the engine does."""
        live = self.read(token, name, identifier, {}, {})
        if live is not None:
            live.inputs = self.check(token, name, live.inputs)
            self.state[name] = live
        return live

    def destroy(self, name: str) -> None:
        self._delete(name, self.state.pop(name))

    def invoke(self, token: str, /, **arguments: Any) -> dict[str, Any]:
        reply = self.stub.Invoke(provider_pb2.InvokeRequest(tok=token, args=wire.encode(arguments)))
        return wire.decode(getattr(reply, "return"))

    def __getitem__(self, name: str) -> dict[str, Any]:
        """The outputs, secrets opened."""
        found: dict[str, Any] = wire.plain(self.state[name].outputs)
        return found

    def id(self, name: str) -> str:
        return self.state[name].id

    def stored(self) -> str:
        """The state as it would be written: secret values left out."""
        return json.dumps([[each.inputs, each.outputs] for each in self.state.values()], default=repr)


@contextmanager
def engine_for(provider: Provider) -> Iterator[Engine]:
    server = serve(provider)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    limits = [("grpc.max_send_message_length", MESSAGE_BYTES), ("grpc.max_receive_message_length", MESSAGE_BYTES)]
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=limits) as channel:
            yield Engine(provider_pb2_grpc.ResourceProviderStub(channel))
    finally:
        server.stop(None).wait()
