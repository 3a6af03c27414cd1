"""The gRPC face of a provider: Pulumi's ResourceProvider protocol around `kinds.Provider`."""

from __future__ import annotations

import contextlib
import os
import re
import traceback
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
from google.protobuf import any_pb2, empty_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from local_estate.engine.parent_process import when_nobody_reads
from local_estate.providers import wire
from local_estate.providers.changes import LiveInputs, differences, normalised, top_level
from local_estate.providers.checking import Checker, Failure
from local_estate.providers.failures import MadeButNotReady, Refused, ReplyLost, ServiceError, grpc_code
from local_estate.providers.kinds import Kind, Naming, Operation, Provider
from local_estate.providers.package_schema import package_schema
from local_estate.providers.schemas import TypeSchema

MESSAGE_BYTES = 400 * 1024 * 1024
_THREADS = 128  # pollers block theirs; Cancel must still find a free one


def _answered(method: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    """Every failure leaves as a gRPC status the engine draws the right conclusion from."""

    def answer(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except ServiceError as error:
            context.abort(getattr(grpc.StatusCode, grpc_code(error)), str(error))
        except Refused as error:
            context.abort(getattr(grpc.StatusCode, error.code), str(error))
        except ReplyLost as error:
            context.abort(grpc.StatusCode.ABORTED, f"{error}. Run the same command again: what was made will be found")
        except MadeButNotReady as error:
            _abort_partial(context, request, error)
        except grpc.RpcError:
            raise
        except Exception as error:
            if context.code() is not None:  # set by abort(), which raises a bare Exception
                raise
            # Values may be secrets, so only the place is told.
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{os.path.basename(place.filename)}:{place.lineno}"
            context.abort(grpc.StatusCode.INTERNAL, f"a defect in the local estate's provider: {type(error).__name__} at {where}: {error}")

    return answer


def _abort_partial(context: grpc.ServicerContext, request: Any, error: MadeButNotReady) -> None:
    sent = wire.decode(request.news if hasattr(request, "news") else request.properties)
    detail = provider_pb2.ErrorResourceInitFailed(
        id=error.identifier,
        properties=wire.encode(wire.like_secrets_of(error.outputs, sent)),
        reasons=error.reasons,
        inputs=wire.encode(sent),
    )
    packed = any_pb2.Any()
    packed.Pack(detail)
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error), details=[packed])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, str(error))


def _failures(found: Any) -> list[Any]:
    return [provider_pb2.CheckFailure(property=each.property, reason=each.reason) for each in found]


def _token(urn: str) -> str:
    return urn.split("::")[2].split("$")[-1]


def _logical(urn: str) -> str:
    return urn.split("::", 3)[3]


def _without_indices(path: str) -> str:
    return re.sub(r"\[[^\]]*\]", "", path)


def _state(outputs: dict[str, Any], inputs: dict[str, Any], schema: TypeSchema) -> Any:
    """Outputs as the engine keeps them: secret where an input was, and where the SDK says an output is."""
    marked = wire.like_secrets_of(outputs, {name: value for name, value in inputs.items() if name in outputs})
    for name in schema.secret_outputs:
        if marked.get(name) is not None and not isinstance(marked[name], wire.Secret):
            marked[name] = wire.Secret(marked[name])
    return wire.encode(marked)


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """One provider instance; the engine configures it once."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=True, accept_resources=True, accept_outputs=True, supports_autonaming_configuration=True
        )

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        self._provider.cancelled.set()
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self._provider.version)

    def GetMapping(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetMappingResponse()

    @_answered
    def GetSchema(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetSchemaResponse(schema=package_schema(self._provider))

    @_answered
    def CheckConfig(self, request: Any, context: Any) -> Any:
        found = self._provider.check_config(wire.decode(request.news))
        return provider_pb2.CheckResponse(inputs=request.news, failures=_failures(found))

    @_answered
    def DiffConfig(self, request: Any, context: Any) -> Any:
        old, new = (wire.plain(wire.decode(each)) for each in (request.old_inputs, request.news))
        changed = sorted({top_level(path) for path, _ in differences(old, new)})
        replaced = list(self._provider.unmanageable_after(old, new))
        kind = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=kind, diffs=changed, replaces=replaced)

    @_answered
    def Configure(self, request: Any, context: Any) -> Any:
        self._provider.configure(wire.plain(wire.decode(request.args)))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True,
            supportsPreview=True,
            acceptResources=True,
            acceptOutputs=True,
            supports_autonaming_configuration=True,
        )

    @_answered
    def Check(self, request: Any, context: Any) -> Any:
        kind = self._provider.kind(_token(request.urn))
        olds, news = wire.decode(request.olds), wire.decode(request.news)
        if olds:
            self._provider.creations.known(request.urn)
        checker = Checker(kind.schema, lenient=kind.lenient)
        inputs = checker.inputs(kind.complete(news, wire.plain(olds), _naming(request)))
        failures: list[Failure] = [*checker.failures]
        if not failures:
            failures += kind.mistakes(wire.plain(inputs))
        for name in kind.schema.secret_inputs:
            if name in inputs and inputs[name] is not wire.UNKNOWN and not isinstance(inputs[name], wire.Secret):
                inputs[name] = wire.Secret(inputs[name])
        return provider_pb2.CheckResponse(inputs=wire.encode(inputs), failures=_failures(failures))

    @_answered
    def Diff(self, request: Any, context: Any) -> Any:
        kind = self._provider.kind(_token(request.urn))
        self._provider.creations.known(request.urn, request.id)
        old, new = wire.decode(request.old_inputs), wire.decode(request.news)
        ignored = tuple(request.ignoreChanges)
        found = [
            (path, change)
            for path, change in differences(normalised(old, kind.normalise), normalised(new, kind.normalise))
            if not path.startswith(ignored or "\0") and not (change == "DELETE" and path in kind.computed)
        ]
        replaces = sorted({top_level(path) for path, _ in found if kind.replaces(_without_indices(path))})
        detailed = {
            path: provider_pb2.PropertyDiff(
                kind=getattr(provider_pb2.PropertyDiff, f"{change}_REPLACE" if kind.replaces(_without_indices(path)) else change),
                inputDiff=True,
            )
            for path, change in found
        }
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if found else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=sorted({top_level(path) for path, _ in found}),
            replaces=replaces,
            deleteBeforeReplace=bool(replaces) and (kind.delete_before_replace and not old.get("__createBeforeDelete")),
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def _operation(self, request: Any) -> Operation:
        return Operation(
            urn=request.urn,
            creations=self._provider.creations,
            cancelled=self._provider.cancelled,
            timeout=getattr(request, "timeout", 0.0),
        )

    @_answered
    def Create(self, request: Any, context: Any) -> Any:
        kind = self._provider.kind(_token(request.urn))
        inputs = wire.decode(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(id="", properties=_state(kind.foresee(wire.plain(inputs)), inputs, kind.schema))
        identifier, outputs = kind.create(self._operation(request), _known(inputs))
        return provider_pb2.CreateResponse(id=identifier, properties=_state(outputs, inputs, kind.schema))

    @_answered
    def Update(self, request: Any, context: Any) -> Any:
        kind = self._provider.kind(_token(request.urn))
        self._provider.creations.known(request.urn, request.id)
        inputs = wire.decode(request.news)
        outputs = wire.plain(wire.decode(request.olds))
        before = wire.plain(wire.decode(request.old_inputs))
        if request.preview:
            foreseen = kind.foresee_update(before, wire.plain(inputs), outputs)
            return provider_pb2.UpdateResponse(properties=_state(foreseen, inputs, kind.schema))
        updated = kind.update(self._operation(request), request.id, before, _known(inputs), outputs)
        return provider_pb2.UpdateResponse(properties=_state(updated, inputs, kind.schema))

    @_answered
    def Read(self, request: Any, context: Any) -> Any:
        kind = self._provider.kind(_token(request.urn))
        self._provider.creations.known(request.urn, request.id)
        recorded, before = wire.decode(request.inputs), wire.plain(wire.decode(request.properties))
        found = kind.read(request.id, wire.plain(recorded), before)
        if found is None:
            return provider_pb2.ReadResponse(id="")
        identifier, outputs = found
        inputs = _live_inputs(kind, identifier, recorded, before, outputs)
        return provider_pb2.ReadResponse(
            id=identifier, properties=_state(outputs, recorded, kind.schema), inputs=wire.encode(wire.like_secrets_of(inputs, recorded))
        )

    @_answered
    def Delete(self, request: Any, context: Any) -> Any:
        kind = self._provider.kind(_token(request.urn))
        inputs = wire.plain(wire.decode(request.old_inputs))
        kind.delete(self._operation(request), request.id, inputs, wire.plain(wire.decode(request.properties)))
        self._provider.creations.known(request.urn, request.id)
        return empty_pb2.Empty()

    @_answered
    def Invoke(self, request: Any, context: Any) -> Any:
        result = self._provider.invoke(request.tok, wire.plain(wire.decode(request.args)))
        return provider_pb2.InvokeResponse(**{"return": wire.encode(result)})


def _known(inputs: dict[str, Any]) -> dict[str, Any]:
    if wire.has_unknown(inputs):
        raise Refused("an input is still unknown while the resource is being deployed", "INVALID_ARGUMENT")
    found: dict[str, Any] = wire.plain(inputs)
    return found


def _naming(request: Any) -> Naming:
    modes = provider_pb2.CheckRequest.AutonamingOptions
    asked = request.autonaming if request.HasField("autonaming") else None
    return Naming(
        logical=_logical(request.urn),
        seed=request.randomSeed,
        proposed=asked.proposed_name if asked and asked.mode != modes.DISABLE else "",
        disabled=bool(asked and asked.mode == modes.DISABLE),
    )


def _live_inputs(kind: Kind, identifier: str, recorded: dict[str, Any], before: dict[str, Any], outputs: dict[str, Any]) -> dict[str, Any]:
    live = LiveInputs(kind.schema, kind.normalise, kind.computed)
    if not recorded:
        stated = {name: value for name, value in live.of(outputs).items() if name not in kind.derived}
        return kind.imported(identifier, outputs, stated)
    return live.after(recorded, before, outputs)


def serve(provider: Provider) -> grpc.Server:
    """A server that has not started yet."""
    limits = [("grpc.max_send_message_length", MESSAGE_BYTES), ("grpc.max_receive_message_length", MESSAGE_BYTES)]
    server = grpc.server(futures.ThreadPoolExecutor(_THREADS), options=limits)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(provider), server)
    return server


def run(provider: Provider) -> None:
    """The plugin's whole life: the port on the first line of stdout, then requests until the engine is gone."""
    server = serve(provider)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    when_nobody_reads(lambda: os._exit(0))  # a poller would outlive a killed engine
    with contextlib.suppress(KeyboardInterrupt):
        server.wait_for_termination()
