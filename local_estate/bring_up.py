"""What `make up` does, in order: environments, engine, service, `shared`, the stack, a day of data."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from local_estate import engine, facts, stack_files
from local_estate.day import landing
from local_estate.day.run import StepFailed, StepResult
from local_estate.day.run import run_day as run_steps
from local_estate.engine.errors import EngineError
from local_estate.engine.stacks import PolicyPack, Stacks
from local_estate.kafka.broker import BrokerDidNotStart
from local_estate.paths import Paths
from local_estate.process import ServiceDidNotStart, ServiceProcess
from local_estate.spark import aot_cache
from local_estate.spark.jars import ToolMissing, class_path, find_jdk
from local_estate.up_to_date import UpToDate

Say = Callable[[str], None]

SHARED = "shared"

EXPLAINED = (
    ToolMissing,
    EngineError,
    ServiceDidNotStart,
    BrokerDidNotStart,
    StepFailed,
    facts.NotDeployed,
    stack_files.NoSuchStack,
    stack_files.StackFileBroken,
    RuntimeError,
)


def prepare(paths: Paths, *, say: Say, restart: bool = False) -> None:
    """Everything `pulumi` needs to run against the local estate: the pack's environment, CLI, plugins, the running service.

    With `restart`, a service that runs code from before an edit is started again, unless that would end somebody's run.
    """
    prepare_tools(paths, say=say)
    running = ServiceProcess(paths)
    if restart and running.outdated():
        if under_way := facts.runs_under_way(paths):
            say(f"local estate: it runs code from before the last edit, and goes on so, for {under_way} runs are under way")
        else:
            say("local estate: its sources have changed since it started; starting it again …")
            running.stop()
    if running.endpoints() is None:
        say("local estate: starting …")
        running.start()


def prepare_tools(paths: Paths, *, say: Say, also: Sequence[Callable[[], object]] = ()) -> None:
    """Engine, data plane and what else is to be had, side by side: building the engine takes the cores, the rest waits for downloads."""
    others = [lambda: prepare_data_plane(paths, say=say), *also]
    with ThreadPoolExecutor(len(others)) as pool:
        started = [pool.submit(fetch) for fetch in others]
        engine.prepare(paths)
        for fetched in started:
            fetched.result()


def prepare_data_plane(paths: Paths, *, say: Say) -> None:
    """JDK, JARs and compiled Scala: got here, with a line, rather than inside the first job."""
    jdk = find_jdk(paths)
    if not any(paths.jars.glob("delta-spark*.jar")):
        say(f"{jdk}; resolving Spark's JARs and compiling the catalog plugin (once; one to two minutes) …")
    class_path(paths, jdk)


def quicken(paths: Paths, *, say: Say) -> None:
    """Last of all, so that it takes nothing from what a user waits for: the cache that the next JVM starts with."""
    if aot_cache.make_in_background(paths):
        say(f"Spark's next start will be faster: its ahead-of-time cache is made in the background, once ({aot_cache.log(paths)})")


def deploy(paths: Paths, stack: str, *, say: Say, again: bool = False) -> None:
    """`shared`, then the stack, each with the policy pack on. The outputs land in `$ESTATE_HOME/outputs-<stack>.json`.

    `shared` is left alone where nothing an `up` reads has changed since its last one, unless `again`.
    """
    # The day's client takes a second to import, which passes unnoticed while the engine works.
    threading.Thread(target=importlib.import_module, args=("databricks.sdk",)).start()
    stacks = deploy_shared(paths, say=say, again=again)
    # A preview costs what finding out costs an `up` (10 s of a standing environment), and `up` finds it out again.
    say(f"no preview first: `make preview STACK={stack}` shows what would change and takes as long as an up that changes nothing")
    stacks.up(stack, [PolicyPack.of(paths, stack)], config_file=released_config(paths, stack))
    write_outputs(paths, stack, stacks.outputs(stack))


def deploy_shared(paths: Paths, *, say: Say, again: bool = False) -> Stacks:
    prepare(paths, say=say, restart=True)
    stacks = Stacks(paths)
    standing = UpToDate(paths, SHARED)
    if standing.holds and not again:
        say(f"pulumi up {SHARED}: program, configuration, policies and state are as its last up left them (--again runs it)")
    else:
        stacks.up(SHARED, [PolicyPack.of(paths, SHARED)])
        standing.record()
    return stacks


def released_config(paths: Paths, stack: str) -> Path | None:
    """For a stack that takes released wheels only: its configuration with the digest of this checkout's wheel, in `build/`.

    That is what the release pipeline does with the digest of the wheel that passed the stage before. None for other stacks.
    """
    config = stack_files.read(paths.repository, stack)
    artifact = config["config"].get("lakehouse:artifact") or {}
    if not artifact.get("required") or artifact.get("digest"):
        return None
    environment = {**os.environ, "PYTHONPATH": str(paths.repository / "platform")}
    command = [sys.executable, "-m", "release.wheel"]
    done = subprocess.run(command, cwd=paths.repository, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the wheel could not be built:\n{done.stderr.strip()}")
    config["config"]["lakehouse:artifact"] = {**artifact, "digest": json.loads(done.stdout)["digest"]}
    target = paths.repository / "build" / f"Pulumi.{stack}.yaml"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(yaml.safe_dump(config, sort_keys=False))
    return target


def write_outputs(paths: Paths, stack: str, outputs: dict[str, Any]) -> Path:
    """The file Airflow and the CLI read; private, since outputs may name people."""
    target = facts.outputs_file(paths, stack)
    draft = target.with_suffix(".draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(outputs, file, indent=2)
    draft.replace(target)
    return target


def run_day(paths: Paths, stack: str, *, day: int, rows: int, say: Say, always: bool = False) -> list[StepResult]:
    """Lands the day's files and runs the daily steps. Without new files and with that day already done it only says so."""
    outputs = facts.outputs(paths, stack)
    workspace = facts.workspace_client(paths, stack)
    landed = list(landing.land(workspace, landing.generate(paths, day=day, rows=rows), outputs["landing_paths"]))
    new = [file for file in landed if file.new]
    done = paths.home / f"day-{day}-{stack}.done"
    if not new and done.exists() and not always:
        say(f"day {day}: {len(landed)} files had landed before and their run succeeded; nothing to do (`estate day {day}` runs it again)")
        return []
    done.unlink(missing_ok=True)
    say(f"day {day}: {len(new)} of {len(landed)} files landed ({sum(file.bytes for file in new) / 1e6:.1f} MB)")
    results = run_steps(
        workspace,
        outputs["daily_run"],
        report=lambda result: say(f"  {result.result:9} {result.step.label:32} {result.seconds:5.1f} s  run {result.run_id}"),
        progress=lambda line: say(f"  {'…':9} {line}"),
    )
    done.touch()
    return results
