"""Starts a policy pack only when the engine has said for which stack.

The engine connects to an analyzer before it tells stack, project and configuration (ConfigureStack), but a pack reads them
from its environment as it starts. So the engine talks to this relay, which starts the pack with what ConfigureStack brought
and then passes every call on, byte for byte.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator, Mapping
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import analyzer_pb2

from local_estate.engine.language_host.child_process import ChildProcess
from local_estate.engine.language_host.interpreters import Interpreter

SERVICE = "/pulumirpc.Analyzer/"
OPTIONS = [("grpc.max_receive_message_length", 400 << 20), ("grpc.max_send_message_length", 400 << 20)]
START_SECONDS = 60


class PackDidNotStart(Exception):
    """The pack ended, or printed something else than a port."""


class PolicyPackRelay(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """One pack. `output()` carries the relay's port, then what the pack prints."""

    def __init__(self, directory: Path, arguments: list[str], interpreter: Interpreter, environment: Mapping[str, str]) -> None:
        self._directory = directory
        self._command = [str(interpreter.executable), "-u", "-m", "pulumi.policy", *arguments, str(directory)]
        self._environment = interpreter.environment(environment)
        self._output: queue.Queue[tuple[str, bytes] | None] = queue.Queue()
        self._starting = threading.Lock()
        self._child: ChildProcess | None = None
        self._channel: grpc.Channel | None = None
        self._server = grpc.server(futures.ThreadPoolExecutor(16), options=OPTIONS)
        self._server.add_generic_rpc_handlers((self,))
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self._output.put(("stdout", f"{port}\n".encode()))

    def output(self) -> Iterator[tuple[str, bytes]]:
        """Until `close()`."""
        while (item := self._output.get()) is not None:
            yield item

    def close(self) -> None:
        self._server.stop(None)
        if self._channel is not None:
            self._channel.close()
        if self._child is not None:
            self._child.end()
        self._output.put(None)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        method = handler_call_details.method
        if not method.startswith(SERVICE):
            return None

        def relay(request: bytes, context: grpc.ServicerContext) -> bytes:
            return self._relay(method, request, context)

        return grpc.unary_unary_rpc_method_handler(relay)

    def _relay(self, method: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        name = method.removeprefix(SERVICE)
        if name == "Handshake":
            # The pack is not up yet; packs that know no handshake are answered for the same way.
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "answered once the stack is known")
        try:
            stack = analyzer_pb2.AnalyzerStackConfigureRequest.FromString(request) if name == "ConfigureStack" else None
            channel = self._started(stack)
            answer: bytes = channel.unary_unary(method)(request)
            return answer
        except PackDidNotStart as problem:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(problem))
        except grpc.RpcError as problem:
            context.abort(problem.code(), problem.details() or "")
        raise AssertionError("abort raises")

    def _started(self, stack: Any | None) -> grpc.Channel:
        """Without `stack` (a command that runs in no stack, such as publishing) the pack starts with no stack in its environment."""
        with self._starting:
            if self._channel is None:
                self._child = ChildProcess(self._command, cwd=self._directory, environment={**self._environment, **_stack_variables(stack)})
                self._channel = grpc.insecure_channel(f"127.0.0.1:{self._first_line(self._child)}", options=OPTIONS)
            return self._channel

    def _first_line(self, child: ChildProcess) -> int:
        port: queue.Queue[int | PackDidNotStart] = queue.Queue()

        def pump() -> None:
            announced = False
            said: list[str] = []
            for stream, line in child.events():
                if stream == "stdout" and not announced and line.strip().isdigit():
                    announced = True
                    port.put(int(line))
                    continue
                said.append(line.decode(errors="replace").strip())
                if announced:
                    self._output.put((stream, line))
            if not announced:
                last = " | ".join([line for line in said if line][-3:])
                port.put(PackDidNotStart(f"the policy pack {self._directory} ended with {child.wait()} before it listened: {last}"))

        threading.Thread(target=pump, daemon=True).start()
        try:
            found = port.get(timeout=START_SECONDS)
        except queue.Empty:
            child.end()
            found = PackDidNotStart(f"the policy pack {self._directory} did not listen within {START_SECONDS} s")
        if isinstance(found, PackDidNotStart):
            raise found
        return found


def _stack_variables(stack: Any | None) -> dict[str, str]:
    """The names Pulumi's Python SDK reads."""
    if stack is None:
        return {}
    return {
        "PULUMI_STACK": stack.stack,
        "PULUMI_PROJECT": stack.project,
        "PULUMI_ORGANIZATION": stack.organization or "organization",
        "PULUMI_DRY_RUN": "true" if stack.dry_run else "false",
        "PULUMI_CONFIG": json.dumps(dict(stack.config)),
        "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(stack.config_secret_keys)),
    }
