"""The LanguageRuntime service: what the engine asks about Python, and how programs and plugins are started."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from local_estate.engine import versions
from local_estate.engine.language_host import dependencies
from local_estate.engine.language_host.child_process import ChildProcess, end_all
from local_estate.engine.language_host.generated_program import NotUnderstood, python_of
from local_estate.engine.language_host.interpreters import Interpreter, NoInterpreter, interpreter_for
from local_estate.engine.language_host.policy_pack import OPTIONS, PolicyPackRelay
from local_estate.engine.language_host.programs import Programs
from local_estate.engine.parent_process import when_nobody_reads

ALREADY_SHOWN = 32
# Every running program, pack and plugin keeps one worker for as long as it lives.
WORKERS = 64


def serve(*, engine_address: str) -> None:
    """Prints the port, serves until the engine ends the process."""
    server = grpc.server(futures.ThreadPoolExecutor(WORKERS), options=OPTIONS)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(engine_address), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)

    def engine_is_gone() -> None:
        end_all()
        server.stop(0)

    when_nobody_reads(engine_is_gone)
    try:
        server.wait_for_termination()
    except KeyboardInterrupt:  # how the engine says goodbye
        server.stop(0)


def _refusing(method: Callable[..., Any]) -> Callable[..., Any]:
    """A missing environment is the user's to mend: said as FAILED_PRECONDITION, not as a traceback of ours."""

    def answer(self: LanguageHost, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except NoInterpreter as problem:
            return context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(problem))

    return answer


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Code is generated for `pulumi import`; generating SDKs and packages gets UNIMPLEMENTED from the base class."""

    def __init__(self, engine_address: str) -> None:
        self._engine_address = engine_address
        self._programs = Programs()

    def Handshake(self, request: Any, context: Any) -> Any:
        self._engine_address = request.engine_address or self._engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=versions.sdk_version())

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:
        return language_pb2.RuntimeOptionsResponse()

    def Template(self, request: Any, context: Any) -> Any:
        return language_pb2.TemplateResponse()

    def GenerateProgram(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Asked by `pulumi import` once a resource is in the state: the code to paste into the program."""
        try:
            code = python_of(dict(request.source))
        except NotUnderstood as problem:
            return context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"the import is in the state, but this language host cannot write its code: {problem}. "
                "Declare the resource in the program by hand; import the next one with --generate-code=false",
            )
        return language_pb2.GenerateProgramResponse(source={"__main__.py": code.encode()})

    @_refusing
    def GetRequiredPackages(self, request: Any, context: Any) -> Any:
        interpreter = _interpreter(request.info)
        self._programs.start_ahead(interpreter, _program(request.info))
        packages = dependencies.required_packages(interpreter)
        return language_pb2.GetRequiredPackagesResponse(packages=packages)

    @_refusing
    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        found = dependencies.installed(_interpreter(request.info), transitive=request.transitiveDependencies)
        return language_pb2.GetProgramDependenciesResponse(dependencies=found)

    @_refusing
    def About(self, request: Any, context: Any) -> Any:
        interpreter = _interpreter(request.info) if request.HasField("info") else None
        executable = str(interpreter.executable) if interpreter else sys.executable
        program = "import platform; print(platform.python_version())"
        child = ChildProcess([executable, "-c", program], cwd=Path.cwd(), environment=os.environ)
        said = b"".join(line for stream, line in child.events() if stream == "stdout").decode().strip()
        child.wait()
        return language_pb2.AboutResponse(executable=executable, version=said)

    @_refusing
    def Run(self, request: Any, context: grpc.ServicerContext) -> Any:
        child = self._programs.started(_interpreter(request.info), _program(request.info))
        context.add_callback(child.end)  # a cancelled update ends its program
        child.tell(json.dumps(_run_settings(request, self._engine_address)))
        for stream, line in child.events():
            # The engine shows what its language host prints.
            target = sys.stdout if stream == "stdout" else sys.stderr
            target.buffer.write(line)
            target.flush()
        code = child.wait()
        if code == ALREADY_SHOWN:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error="" if code == 0 else f"Program exited with non-zero exit code: {code}")

    @_refusing
    def RunPlugin(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        # A generator function would meet NoInterpreter outside of `_refusing`.
        interpreter = _interpreter(request.info)
        directory = Path(request.info.program_directory)
        environment = dict(os.environ) | dict(pair.split("=", 1) for pair in request.env if "=" in pair)
        if request.kind == "analyzer":
            relay = PolicyPackRelay(directory, list(request.args), interpreter, environment)
            context.add_callback(relay.close)
            return (_plugin_output(stream, line) for stream, line in relay.output())
        command = [str(interpreter.executable), "-u", *_plugin_command(directory), *request.args]
        child = ChildProcess(command, cwd=Path(request.pwd or directory), environment=interpreter.environment(environment))
        context.add_callback(child.end)
        return _plugin_events(child)

    @_refusing
    def InstallDependencies(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        directory = Path(request.info.program_directory or request.directory)
        root = Path(request.info.root_directory or directory)
        try:
            used = interpreter_for(root, _options(request.info)).executable
        except NoInterpreter:
            named = _options(request.info).get("virtualenv")
            requirements = directory / "requirements.txt"
            if not named or not requirements.exists():
                raise
            return _make_environment(Path(os.path.normpath(root / str(named))), requirements, context)
        # An environment that exists is left alone: this project's come from hashed locks.
        return iter([language_pb2.InstallDependenciesResponse(stdout=f"Using {used}\n".encode())])


def _options(info: Any) -> Mapping[str, Any]:
    options: dict[str, Any] = json_format.MessageToDict(info.options)
    return options


def _interpreter(info: Any) -> Interpreter:
    return interpreter_for(Path(info.root_directory or info.program_directory), _options(info))


def _program(info: Any) -> Path:
    return Path(os.path.normpath(Path(info.program_directory, info.entry_point)))


def _run_settings(request: Any, engine_address: str) -> dict[str, Any]:
    return {
        "program": str(_program(request.info)),
        "arguments": list(request.args),
        "cwd": request.pwd or request.info.program_directory,
        "config": dict(request.config),
        "config_secret_keys": list(request.configSecretKeys),
        "settings": {
            "monitor": request.monitor_address,
            "engine": engine_address,
            "project": request.project,
            "stack": request.stack,
            "parallel": request.parallel,
            "dry_run": request.dryRun,
            "organization": request.organization or "organization",
            "root_directory": request.info.root_directory,
        },
    }


def _plugin_command(directory: Path) -> list[str]:
    """A plugin that is a package is imported by its distribution name, as Pulumi's host does; any other folder is run."""
    pyproject = directory / "pyproject.toml"
    if pyproject.exists():
        declared = tomllib.loads(pyproject.read_text())
        if "build-system" in declared and "name" in declared.get("project", {}):
            return ["-m", "pulumi.run.plugin", declared["project"]["name"]]
    return [str(directory)]


def _plugin_output(stream: str, line: bytes) -> Any:
    if stream == "stdout":
        return language_pb2.RunPluginResponse(stdout=line)
    return language_pb2.RunPluginResponse(stderr=line)


def _plugin_events(child: ChildProcess) -> Iterator[Any]:
    for stream, line in child.events():
        yield _plugin_output(stream, line)
    yield language_pb2.RunPluginResponse(exitcode=child.wait())


def _make_environment(environment: Path, requirements: Path, context: grpc.ServicerContext) -> Iterator[Any]:
    for command in (
        [sys.executable, "-m", "venv", str(environment)],
        [str(environment / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "-r", str(requirements)],
    ):
        child = ChildProcess(command, cwd=requirements.parent, environment=os.environ)
        context.add_callback(child.end)
        for stream, line in child.events():
            yield language_pb2.InstallDependenciesResponse(**{stream: line})
        if code := child.wait():
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{' '.join(command)} ended with {code}")
