"""Jobs through the API: the day again, the overhead of a start, bronze against a plain Spark read-and-write of the same files."""

from __future__ import annotations

import base64
import io
import statistics
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.jobs import Run
from databricks.sdk.service.workspace import ImportFormat

from bench.measure import Measurement, Report
from bench.stacks import ROWS
from local_estate import bring_up, facts
from local_estate.day import landing
from local_estate.day.run import StepResult
from local_estate.paths import Paths
from local_estate.process import ServiceProcess

STAMP = "import time; print('STARTED', time.time())\n"
STAMP_SPARK = "from pyspark.sql import SparkSession\nSparkSession.builder.getOrCreate().range(1).count()\n" + STAMP


def _quiet(_: str) -> None: ...


def measure_day(report: Report, paths: Paths) -> None:
    def again() -> None:
        bring_up.run_day(paths, "dev", day=1, rows=ROWS, say=_quiet, always=True)

    landing.generate(paths, day=2, rows=ROWS)
    started = time.perf_counter()
    steps = bring_up.run_day(paths, "dev", day=2, rows=ROWS, say=_quiet)
    took = time.perf_counter() - started
    report.add(Measurement(name=f"day 2, warm ({ROWS:,} new rows)", unit="s", samples=(took,), aim="< 60 s", note=stages(steps)))
    report.timed("daily run again, warm, nothing new", again, aim="< 60 s")


def stages(steps: list[StepResult]) -> str:
    """Seconds of the longest job of each stage: those of one stage run side by side."""
    longest: dict[str, float] = {}
    for result in steps:
        longest[result.step.job] = max(longest.get(result.step.job, 0), result.seconds)
    return ", ".join(f"{job} {seconds:.0f} s" for job, seconds in longest.items())


def measure_job_start(report: Report, paths: Paths) -> None:
    """From the run-now call to the first line of the task's own code: warm, and as the first run of a service just started."""
    for name, source, aim in (("pure Python", STAMP, "< 1 s"), ("with a Spark action", STAMP_SPARK, "")):
        with python_file(facts.workspace_client(paths, "dev"), source) as path:
            cold = tuple(_first_start_seconds(paths, path) for _ in range(3))
            warm = tuple(_start_seconds(facts.workspace_client(paths, "dev"), path) for _ in range(5))
            base = report.add(Measurement(name=f"job start, first after the service's, {name}", unit="s", samples=cold))
            compared = f"{statistics.median(warm) / base.median:.2f}x the first"
            report.add(Measurement(name=f"job start, warm, {name}", unit="s", samples=warm, aim=aim, compared=compared))


@contextmanager
def python_file(workspace: WorkspaceClient, source: str) -> Iterator[str]:
    path = f"/Shared/bench-{uuid.uuid4().hex}.py"
    workspace.workspace.mkdirs("/Shared")
    workspace.workspace.import_(path, content=base64.b64encode(source.encode()).decode(), format=ImportFormat.RAW)
    yield path


def _first_start_seconds(paths: Paths, path: str) -> float:
    service = ServiceProcess(paths)
    service.stop()
    service.start()
    # Ports are new after a start, so the client is, too.
    return _start_seconds(facts.workspace_client(paths, "dev"), path)


def _start_seconds(workspace: WorkspaceClient, path: str) -> float:
    asked = time.time()
    run = ended(workspace, submit(workspace, path))
    tasks = run.tasks or []
    output = workspace.jobs.get_run_output(tasks[0].run_id or 0)
    line = next(line for line in (output.logs or "").splitlines() if line.startswith("STARTED"))
    return float(line.split()[1]) - asked


def submit(workspace: WorkspaceClient, file: str, *parameters: str, wheel: str = "") -> int:
    """A one-time run of a Python file without a cluster of its own, with a wheel where one is named."""
    task = {
        "task_key": "bench",
        "spark_python_task": {"python_file": file, "parameters": list(parameters)},
        "environment_key": "bench",
    }
    spec: dict[str, Any] = {"environment_version": "4", **({"dependencies": [wheel]} if wheel else {})}
    environment = {"environment_key": "bench", "spec": spec}
    body = {"run_name": "bench", "tasks": [task], "environments": [environment]}
    submitted: Any = workspace.api_client.do("POST", "/api/2.2/jobs/runs/submit", body=body)
    return int(submitted["run_id"])


def ended(workspace: WorkspaceClient, run_id: int) -> Run:
    while True:
        run = workspace.jobs.get_run(run_id)
        if run.state and run.state.result_state:
            if run.state.result_state.value != "SUCCESS":
                said = [workspace.jobs.get_run_output(task.run_id or 0).error or "" for task in run.tasks or []]
                raise RuntimeError(f"run {run_id} ended {run.state.result_state.value}: {' '.join(said) or run.state.state_message}")
            return run
        time.sleep(0.05)


BRONZE_TIMES = (1, 10, 100)  # times the customers of the sample day

PLAIN = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
rows = spark.read.option("header", True).csv(sys.argv[1])
rows.write.mode("append").saveAsTable(sys.argv[2])
"""


def measure_bronze(report: Report, paths: Paths) -> None:
    """The bronze job against a plain Spark read-and-write of the same file, both as jobs, warm, files of three sizes in turn."""
    workspace = facts.workspace_client(paths, "dev")
    outputs = facts.outputs(paths, "dev")
    header, _, body = next((paths.home / "samples" / f"day-1-{ROWS}" / "cmdm").glob("customer*.csv")).read_bytes().partition(b"\n")
    target = f"{outputs['catalogs']['ai']}.knowledge.bench_plain"
    with python_file(workspace, PLAIN) as script:
        for times in BRONZE_TIMES:
            rows = body.count(b"\n") * times
            bronze, plain = [], []
            for number in range(3):
                file = f"{outputs['landing_paths']['cmdm']}/customer_bench_{times}_{number}.csv"
                workspace.files.upload(file, io.BytesIO(header + b"\n" + body * times))
                run_id = workspace.jobs.run_now(int(outputs["job_ids"]["bronze_autoloader"]), job_parameters={"system": "cmdm"}).run_id
                bronze.append(rows / task_seconds(ended(workspace, run_id)))
                plain.append(rows / task_seconds(ended(workspace, submit(workspace, script, file, target))))
            base = report.add(Measurement(name=f"plain Spark read and write ({rows:,} rows)", unit="rows/s", samples=tuple(plain)))
            compared = f"{statistics.median(bronze) / base.median:.2f}x plain Spark"
            name = f"bronze ({rows:,} rows)"
            report.add(Measurement(name=name, unit="rows/s", samples=tuple(bronze), aim=">= 0.8x", compared=compared, note="whole job"))


def task_seconds(run: Run) -> float:
    return ((run.end_time or 0) - (run.start_time or 0)) / 1000
