"""The DAG as Airflow runs it, in Airflow's own environment, against the deployed jobs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from local_estate import environments, facts
from local_estate.day.run import StepResult
from tests.estate.conftest import Deployed
from tests.estate.image import ROWS

SCRIPT = """
import importlib.util, json, sys
from airflow.utils import db
db.initdb()
spec = importlib.util.spec_from_file_location("domain_ingest_daily", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
run = module.dag.test()
print("STATES", json.dumps({ti.task_id: str(ti.state) for ti in run.get_task_instances()}), str(run.state))
"""


def test_the_daily_dag_runs_every_step_by_its_exported_id_and_a_day_again_leaves_every_count(
    deployed: Deployed, day_one: list[StepResult], tmp_path: Path
) -> None:
    assert day_one
    growing = ("batch_accounting", "quality_kpis")  # every run measures anew
    before = {name: rows for name, rows in deployed.counts().items() if not name.endswith(growing)}
    assert sum(rows or 0 for rows in before.values()) > ROWS
    python = environments.ensure("airflow")
    url = urlsplit(facts.workspace_url(deployed.paths, "dev"))
    token = deployed.workspace.tokens.create(comment="airflow test", lifetime_seconds=3600).token_value
    # Host, port and schema apart: the provider drops scheme and port of a URL given as host.
    connection = {
        "conn_type": "databricks",
        "host": url.hostname,
        "port": url.port,
        "schema": url.scheme,
        "password": token,
    }
    done = subprocess.run(
        [python, "-c", SCRIPT, str(deployed.paths.repository / "dags" / "domain_ingest_daily.py")],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith(("DATABRICKS_", "ARM_", "PYTEST_"))},
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(deployed.paths.repository / "dags"),  # `dag.test` serialises what it finds there
            "LAKEHOUSE_STACK_OUTPUTS": str(facts.outputs_file(deployed.paths, "dev")),
            "LAKEHOUSE_TASK_RETRIES": "0",
            "AIRFLOW_CONN_DATABRICKS_DEFAULT": json.dumps(connection),  # where triggers look too
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=1000,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("STATES")]
    assert lines, done.stdout[-3000:] + done.stderr[-3000:]
    states, _, final = lines[-1].removeprefix("STATES ").rpartition(" ")
    assert final.endswith("success"), (
        states + "\n" + "\n".join(line for line in (done.stdout + done.stderr).splitlines() if "rror" in line)[-3000:]
    )
    assert set(json.loads(states).values()) == {"success"}
    assert len(json.loads(states)) == len(deployed.outputs["daily_run"]) + 1
    assert {name: rows for name, rows in deployed.counts().items() if not name.endswith(growing)} == before
