"""The wheel on tables of a size: history against a MERGE by hand, silver by size of table and batch, a day of a million customers.

Programs of `bench/programs` run as jobs of the estate, with the deployed wheel. Plans are compiled, as Databricks does it and as it
pays from about a million rows (docs/decisions/0007).
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from databricks.sdk import WorkspaceClient

from bench.jobs import ended, python_file, stages, submit
from bench.measure import Measurement, Report, seconds
from bench.memory import PeakMemory
from bench.stacks import own_estate
from local_estate import bring_up, facts
from local_estate.day import landing
from local_estate.day.run import StepResult
from local_estate.paths import Paths
from local_estate.process import ServiceProcess

PROGRAMS = Path(__file__).parent / "programs"
BIG = {"ESTATE_SPARK_COMPILE_PLANS": "1", "ESTATE_SPARK_HEAP": "10g"}
SIZES = (100_000, 1_000_000, 5_000_000)
MILLION_CUSTOMERS = 5_000_000  # rows over all systems, a fifth of them customers


def _quiet(_: str) -> None: ...


@contextmanager
def big_service(paths: Paths) -> Iterator[WorkspaceClient]:
    """The service with compiled plans and room for millions of rows; afterwards as it was."""
    service = ServiceProcess(paths)
    service.stop()
    service.start(environment=BIG)
    workspace = facts.workspace_client(paths, "dev")
    catalog = facts.outputs(paths, "dev")["catalogs"]["ai"]
    workspace.schemas.create(name="bench", catalog_name=catalog)
    try:
        yield workspace
    finally:
        workspace.schemas.delete(f"{catalog}.bench", force=True)
        service.stop()
        service.start()


def _run(paths: Paths, workspace: WorkspaceClient, program: str, *arguments: object) -> Any:
    """What the program printed after FOUND."""
    outputs = facts.outputs(paths, "dev")
    with python_file(workspace, (PROGRAMS / f"{program}.py").read_text()) as path:
        run_id = submit(workspace, path, outputs["catalogs"]["ai"], *map(str, arguments), wheel=outputs["wheel"])
        run = ended(workspace, run_id)
        printed = workspace.jobs.get_run_output((run.tasks or [])[0].run_id or 0).logs or ""
    return json.loads(next(line for line in printed.splitlines() if line.startswith("FOUND ")).removeprefix("FOUND "))


def measure_scd2(report: Report, paths: Paths) -> None:
    with big_service(paths) as workspace:
        for keys in SIZES:
            found = _run(paths, workspace, "scd2", keys, 4)
            name = f"SCD2, {keys:,} keys, 5 % changed"
            base = report.add(Measurement(name=f"{name}: MERGE by hand", unit="s", samples=tuple(found["by_hand"])))
            compared = f"{statistics.median(found['ours']) / base.median:.2f}x by hand"
            report.add(Measurement(name=name, unit="s", samples=tuple(found["ours"]), aim="<= 1.25x by hand", compared=compared))


def measure_silver(report: Report, paths: Paths) -> None:
    with big_service(paths) as workspace:
        base = None
        for rows, batch in ((100_000, 10_000), (1_000_000, 10_000), (5_000_000, 10_000), (1_000_000, 100_000)):
            found = _run(paths, workspace, "silver", rows, batch, 3)
            made = Measurement(
                name=f"silver, {batch:,} changed rows into {rows:,}",
                unit="s",
                samples=tuple(found),
                compared=f"{statistics.median(found) / base:.2f}x the first" if base else "",
                aim="by the change, not by the table",
            )
            base = base or made.median
            report.add(made)


def measure_million(report: Report) -> None:
    """Day 1 of an estate of its own with a million customers."""
    name = f"day of {MILLION_CUSTOMERS:,} rows, 1,000,000 customers"
    with own_estate(BIG) as paths:
        bring_up.deploy(paths, "dev", say=_quiet)
        landing.generate(paths, day=1, rows=MILLION_CUSTOMERS)
        results: list[StepResult] = []
        with PeakMemory(int(facts.endpoints(paths)["pid"])) as peak:
            took = seconds(lambda: results.extend(bring_up.run_day(paths, "dev", day=1, rows=MILLION_CUSTOMERS, say=_quiet)))
    rate = f"{MILLION_CUSTOMERS / took:,.0f} rows/s"
    report.add(Measurement(name=name, unit="s", samples=(took,), compared=rate, note=stages(results)))
    report.add(
        Measurement(name=f"{name}: peak memory", unit="MiB", samples=(peak.held / 2**20,), note="service, JVM and tasks together, resident")
    )
