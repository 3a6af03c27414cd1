"""The child process of a task: `python -m local_estate.spark.task_runner SPEC.json FD`.

Installs the libraries, runs the entry point or the file, and writes result.json. Spark is attached when the code first asks for a session.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import json
import runpy
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType
from typing import Any

from local_estate.spark.libraries import InstallFailed, check_requirements, install_wheels, normalised
from local_estate.spark.private_line import PrivateLine

_namespace: dict[str, Any] = {}


def namespace() -> dict[str, Any]:
    """The globals of a Databricks notebook: `dbutils`, `spark`, …"""
    return _namespace


class AfterImport(importlib.abc.MetaPathFinder):
    """Calls a function with a module once it has been imported; pure-Python tasks never pay for Spark."""

    def __init__(self, name: str, then: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._then = then

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        found = importlib.util.find_spec(fullname)
        if found is None or found.loader is None:
            return found
        execute, then = found.loader.exec_module, self._then

        def exec_module(module: ModuleType) -> None:
            execute(module)
            then(module)

        found.loader.exec_module = exec_module  # type: ignore[method-assign]
        return found


def run(specification: dict[str, Any], line: PrivateLine) -> dict[str, Any]:
    """The content of result.json."""
    directory = Path(specification["directory"])
    try:
        installed = install_wheels([Path(wheel) for wheel in specification["wheels"]], directory / "libraries")
        check_requirements(specification["requirements"])
    except InstallFailed as failure:
        return {"succeeded": False, "error": str(failure), "error_trace": "", "failed_at": "library_install"}
    _prepare(directory, installed, specification["argv"], line)
    try:
        if specification["kind"] == "python_wheel":
            entry = _entry_point(specification["package_name"], specification["entry_point"])
            sys.argv = [specification["package_name"], *specification["argv"]]
            entry()
        else:
            sys.argv = [specification["python_file"], *specification["argv"]]
            sys.path.insert(0, str(Path(specification["python_file"]).parent))
            runpy.run_path(specification["python_file"], run_name="__main__", init_globals=dict(_namespace))
    except SystemExit as ended:
        if ended.code not in (None, 0):
            return _failed(ended, f"SystemExit: {ended.code}")
    except InstallFailed as failure:
        return {"succeeded": False, "error": str(failure), "error_trace": "", "failed_at": "library_install"}
    except BaseException as failure:
        return _failed(failure, _last_line(failure))
    return {"succeeded": True, "error": "", "error_trace": "", "failed_at": ""}


def _prepare(directory: Path, installed: Path, argv: Sequence[str], line: PrivateLine) -> None:
    """Makes the process look like a Databricks one: libraries first, `dbutils`, and a session that comes when asked for."""
    from local_estate.spark.dbutils import DBUtils
    from local_estate.spark.session import LazySession, SessionFactory

    sys.path.insert(0, str(installed))
    sys.path.append(str(Path(__file__).parent / "shims"))
    factory = SessionFactory(line, libraries=installed)
    sys.meta_path.insert(0, AfterImport("pyspark.sql.session", factory.take_over_sessions))
    sys.meta_path.insert(0, AfterImport("pyspark.core.context", factory.take_over_contexts))
    spark = LazySession(factory)
    _namespace.update(spark=spark, dbutils=DBUtils(line, factory, directory, argv), sql=lambda *given, **named: spark.sql(*given, **named))
    # The runner is __main__; who imports it by name must find this very module.
    sys.modules["local_estate.spark.task_runner"] = sys.modules["__main__"]


def _entry_point(package_name: str, name: str) -> Callable[[], Any]:
    """As Databricks: an entry point of the package's metadata, else a function of that name in the package itself."""
    for distribution in distributions():
        if normalised(distribution.metadata["Name"]) == normalised(package_name):
            for entry in distribution.entry_points:
                if entry.name == name:
                    loaded: Callable[[], Any] = entry.load()
                    return loaded
            package = importlib.import_module(package_name.replace("-", "_"))
            if not callable(function := getattr(package, name, None)):
                raise InstallFailed(f"package {package_name} has neither an entry point nor a function named {name}")
            found: Callable[[], Any] = function
            return found
    raise InstallFailed(f"package {package_name} is in none of the task's libraries; add its wheel under `libraries`")


def _last_line(failure: BaseException) -> str:
    return "".join(traceback.format_exception_only(failure)).strip()


def _failed(failure: BaseException, error: str) -> dict[str, Any]:
    frames = traceback.TracebackException.from_exception(failure)
    own = {__file__, runpy.__file__, "<frozen runpy>"}
    frames.stack = traceback.StackSummary.from_list([frame for frame in frames.stack if frame.filename not in own])
    trace = "".join(frames.format())
    print(trace, file=sys.stderr)
    return {"succeeded": False, "error": error, "error_trace": trace, "failed_at": "run"}


def main() -> int:
    specification = json.loads(Path(sys.argv[1]).read_text())
    line = PrivateLine(int(sys.argv[2]))
    result = run(specification, line)
    sys.stdout.flush()
    directory = Path(specification["directory"])
    draft = directory / "result.json.draft"
    draft.write_text(json.dumps(result))
    draft.replace(directory / "result.json")
    return 0 if result["succeeded"] else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of a broken Py4J connection must not keep a finished task alive.
    import os

    os._exit(code)
