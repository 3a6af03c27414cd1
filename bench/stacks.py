"""`up` and `preview` of the real stacks, and what each process takes of memory."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.measure import Measurement, Report, seconds
from local_estate import bring_up, facts
from local_estate.engine.stacks import PolicyPack, Stacks
from local_estate.kafka.broker import KafkaBroker
from local_estate.paths import REPOSITORY, Paths
from local_estate.process import ServiceProcess

ROWS = 50_000


def _quiet(_: str) -> None: ...


def _up(paths: Paths) -> None:
    bring_up.deploy(paths, "dev", say=_quiet)
    bring_up.run_day(paths, "dev", day=1, rows=ROWS, say=_quiet)


@contextmanager
def own_estate(environment: dict[str, str] | None = None) -> Iterator[Paths]:
    """An empty estate that is thrown away afterwards, its service started with these variables."""
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        paths = Paths(repository=REPOSITORY, tools=Paths.from_environment().tools, home=Path(home))
        bring_up.prepare_tools(paths, say=_quiet)
        service = ServiceProcess(paths)
        service.start(environment=environment)
        try:
            yield paths
        finally:
            KafkaBroker(paths).stop()
            service.stop()


def first_up(report: Report, paths: Paths) -> None:
    """Tools in place, no state: deploy `shared` and `dev`, then day 1."""
    deploying = seconds(lambda: bring_up.deploy(paths, "dev", say=_quiet))
    report.add(Measurement(name="first deploy of shared and dev", unit="s", samples=(deploying,), note="tools cached, no state"))
    day = seconds(lambda: bring_up.run_day(paths, "dev", day=1, rows=ROWS, say=_quiet))
    report.add(Measurement(name=f"day 1, first time ({ROWS:,} rows)", unit="s", samples=(day,), note="starts the JVM; generates samples"))


def measure_up(report: Report, paths: Paths) -> None:
    report.timed("warm up, nothing to change", lambda: _up(paths), aim="< 20 s")
    stacks = Stacks(paths)
    report.timed("preview of dev", lambda: stacks.preview("dev", [PolicyPack.of(paths, "dev")], expect_no_changes=True))
    report.timed("up of dev, no changes", lambda: stacks.up("dev", [PolicyPack.of(paths, "dev")], expect_no_changes=True))


def measure_cold(report: Report) -> None:
    """Clones HEAD and runs `make up` there with an empty HOME, twice: downloads, the engine's build, everything."""
    command = ["bash", str(REPOSITORY / "tests" / "cold.sh"), "up", "up"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took = [float(found) for found in re.findall(r"^cold: make up took (\d+) s$", done.stdout, re.MULTILINE)]
    if done.returncode or len(took) != 2:
        raise RuntimeError(f"tests/cold.sh ended with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")
    report.add(
        Measurement(name="cold make up", unit="s", samples=(took[0],), aim="< 600 s", note="fresh clone, empty HOME; builds the engine")
    )
    report.add(Measurement(name="make up again there", unit="s", samples=(took[1],), aim="< 20 s", note="make and all"))


def measure_memory(report: Report, paths: Paths) -> None:
    service = psutil.Process(facts.endpoints(paths)["pid"])
    for process in (service, *service.children(recursive=True)):
        name = "service" if process == service else "spark JVM" if "java" in process.name() else process.name()
        report.add(Measurement(name=f"memory: {name}", unit="MiB", samples=(process.memory_info().rss / 2**20,), note="resident"))
