"""The daily run: every system through bronze and silver in parallel, then the marts, by the job ids the stack exports.

04:00 in Sydney on both sides of daylight saving. `$LAKEHOUSE_STACK_OUTPUTS` names the JSON file of stack outputs
(`pulumi stack output --json`); its `daily_run` lists the steps in order, so a step added to the platform needs no change here.

Each step names what it reads and brings up to date as assets, by their contracts: a DAG with
`schedule=[Asset("marts.customer.dim_customer")]` waits for the data and not for a time of day.
"""

from __future__ import annotations

import hashlib
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.databricks.hooks.databricks import DatabricksHook
from airflow.providers.databricks.operators.databricks import DatabricksRunNowOperator
from airflow.sdk import DAG, Asset, task

from lakehouse.contracts import assets

CONNECTION = "databricks_default"
RETRIES = int(os.environ.get("LAKEHOUSE_TASK_RETRIES", "2"))


def stack_outputs() -> dict[str, Any]:
    """Raises RuntimeError naming the variable and the fix when the outputs are not there."""
    location = os.environ.get("LAKEHOUSE_STACK_OUTPUTS", "")
    if not location or not Path(location).is_file():
        raise RuntimeError(
            f"LAKEHOUSE_STACK_OUTPUTS={location!r} is no file. "
            "Write it with `pulumi stack output --json -s <stack> > FILE` and point the variable at it."
        )
    outputs: dict[str, Any] = json.loads(Path(location).read_text())
    return outputs


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def outlets_and_inlets(step: dict[str, Any]) -> dict[str, list[Asset]]:
    found = assets.step_assets(step["job"], step["parameters"])
    return {
        side: [Asset(name=one.name, uri=one.uri, group=one.group) for one in each]
        for side, each in (("outlets", found.outlets), ("inlets", found.inlets))
    }


def task_id(step: dict[str, Any]) -> str:
    system = step["parameters"].get("system")
    return f"{step['job']}_{system}" if system else str(step["job"])


with DAG(
    dag_id="domain_ingest_daily",
    schedule="0 4 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="Australia/Sydney"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": RETRIES, "retry_delay": timedelta(minutes=5), "execution_timeout": timedelta(hours=2)},
    user_defined_filters={"digest": digest},
    tags=["lakehouse", "daily"],
    doc_md=__doc__,
) as dag:
    steps: list[dict[str, Any]] = stack_outputs()["daily_run"]

    @task(retries=0)
    def deployed_jobs_match() -> None:
        """Each exported id is still the job of that name; a stale outputs file would otherwise start something else."""
        hook = DatabricksHook(CONNECTION)
        for job_id, name in sorted({(int(step["job_id"]), step["job"]) for step in steps}):
            found = hook.find_job_id_by_name(name)
            if found != job_id:
                raise RuntimeError(
                    f"the workspace's job {name!r} is {found}, the outputs file says {job_id}: it is stale. "
                    "Export it again after `pulumi up`."
                )

    previous: list[Any] = [deployed_jobs_match()]
    for stage in sorted({int(step["stage"]) for step in steps}):
        current = [
            DatabricksRunNowOperator(
                task_id=task_id(step),
                databricks_conn_id=CONNECTION,
                job_id=int(step["job_id"]),
                job_parameters=step["parameters"],
                # At most 64 characters, hence the digest. Without the try number an Airflow retry would attach to the run
                # that failed on the first try.
                idempotency_token="{{ (dag.dag_id ~ ti.task_id ~ run_id ~ ti.try_number) | digest }}",  # noqa: S106
                deferrable=True,
                polling_period_seconds=5,
                **outlets_and_inlets(step),
            )
            for step in steps
            if int(step["stage"]) == stage
        ]
        for operator in current:
            for upstream in previous:
                upstream >> operator
        previous = current
