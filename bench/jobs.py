"""Jobs through the API: the day again, the overhead of a start, bronze against a plain Spark read-and-write of the same files."""

from __future__ import annotations

import base64
import time
import uuid

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.jobs import SparkPythonTask, SubmitTask
from databricks.sdk.service.workspace import ImportFormat

from bench.measure import Measurement, Report
from bench.stacks import ROWS
from local_estate import bring_up, facts
from local_estate.paths import Paths

STAMP = "import time; print('STARTED', time.time())\n"
STAMP_SPARK = "from pyspark.sql import SparkSession\nSparkSession.builder.getOrCreate().range(1).count()\n" + STAMP


def _quiet(_: str) -> None: ...


def measure_day(report: Report, paths: Paths) -> None:
    def again() -> None:
        bring_up.run_day(paths, "dev", day=1, rows=ROWS, say=_quiet, always=True)

    report.timed(f"day 1 again, warm ({ROWS:,} rows landed)", again, aim="< 60 s")


def measure_job_start(report: Report, paths: Paths) -> None:
    """From the run-now call to the first line of the task's own code."""
    workspace = facts.workspace_client(paths, "dev")
    for name, source, aim in (("pure Python", STAMP, "< 1 s"), ("with a Spark action", STAMP_SPARK, "")):
        path = f"/Shared/bench-{uuid.uuid4().hex}.py"
        workspace.workspace.mkdirs("/Shared")
        workspace.workspace.import_(path, content=base64.b64encode(source.encode()).decode(), format=ImportFormat.RAW)
        samples = tuple(_start_seconds(workspace, path) for _ in range(5))
        report.add(Measurement(name=f"job start, warm, {name}", unit="s", samples=samples, aim=aim))
        workspace.workspace.delete(path)


def _start_seconds(workspace: WorkspaceClient, path: str) -> float:
    asked = time.time()
    task = SubmitTask(task_key="bench", spark_python_task=SparkPythonTask(python_file=path), environment_key=None)
    run_id = workspace.jobs.submit(run_name="bench", tasks=[task]).response.run_id
    while True:
        run = workspace.jobs.get_run(run_id)
        if run.state and run.state.result_state:
            break
        time.sleep(0.05)
    tasks = run.tasks or []
    output = workspace.jobs.get_run_output(tasks[0].run_id or 0)
    line = next(line for line in (output.logs or "").splitlines() if line.startswith("STARTED"))
    return float(line.split()[1]) - asked
