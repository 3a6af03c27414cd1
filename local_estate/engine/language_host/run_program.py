"""Runs one Pulumi program in its own environment. Started by the language host as a file; imports the Pulumi SDK and nothing of ours.

Imports the SDKs that argv names, then waits for the run as JSON on its standard input: the program, its arguments and folder, the
configuration, the settings (monitor, engine, project, stack, …). Without one there is nothing to run. Exit code 32 says that the error
has been shown already.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import pulumi
import pulumi.runtime

ALREADY_SHOWN = 32

# The SDKs make half a million objects that live as long as the program; at its usual pace the collector walks them again and again.
gc.set_threshold(200_000, 20, 20)


def main() -> int:
    # The runner's own folder must not shadow a module of anybody's.
    del sys.path[0]
    _import_ahead(sys.argv[1:])
    told = sys.stdin.read()
    if not told:
        return 0
    run = json.loads(told)
    os.chdir(run["cwd"])
    program = os.path.abspath(run["program"])
    sys.argv = [run["program"], *run["arguments"]]
    sys.path.insert(0, program if os.path.isdir(program) else os.path.dirname(program))
    pulumi.runtime.set_all_config(run["config"], run["config_secret_keys"])
    pulumi.runtime.configure(pulumi.runtime.Settings(**run["settings"]))
    # An engine that gives up leaves futures nobody awaits; asyncio would report each of them to the user.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    workers = ThreadPoolExecutor(max_workers=max(run["settings"]["parallel"], 1) * 4)
    loop.set_default_executor(workers)
    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(lambda: _run(program)))
    except pulumi.RunError as error:  # already a sentence for the user
        pulumi.log.error(str(error))
        return ALREADY_SHOWN
    except SystemExit as leaving:
        return _exit_code(leaving)
    except Exception as error:
        pulumi.log.error(f"Program failed with an unhandled exception:\n{_of_the_program(error, program)}")
        return ALREADY_SHOWN
    finally:
        workers.shutdown(wait=True)
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _import_ahead(modules: list[str]) -> None:
    """Takes seconds that pass anyway until the engine has started policies and plugins."""
    for name in modules:
        # What is no module, or fails, the program meets where it imports it.
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _run(program: str) -> None:
    runpy.run_path(program, run_name="__main__")


def _exit_code(leaving: SystemExit) -> int:
    """`sys.exit("message")` shows the message, as it does in any Python program."""
    if leaving.code is None or isinstance(leaving.code, int):
        return leaving.code or 0
    pulumi.log.error(str(leaving.code))
    return ALREADY_SHOWN


def _of_the_program(error: BaseException, program: str) -> str:
    """The traceback from the program's first line on: what lies above is the runner's."""
    inside = (program, os.path.join(program, "__main__.py"))
    step: TracebackType | None = error.__traceback__
    while step is not None and step.tb_frame.f_code.co_filename not in inside:
        step = step.tb_next
    if step is None and isinstance(error, SyntaxError | ImportError):
        # The program never began: a syntax error says its own line, and a folder without __main__.py has none.
        return "".join(traceback.format_exception_only(type(error), error)).rstrip()
    return "".join(traceback.format_exception(type(error), error, step or error.__traceback__)).rstrip()


if __name__ == "__main__":
    sys.exit(main())
