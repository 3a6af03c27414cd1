"""The jobs of the platform: wheel tasks on policy-bound job clusters, run as the environment's service principal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_databricks as databricks

from infra.component import Component
from infra.databricks.compute import Compute
from infra.databricks.groups import ENGINEERS
from infra.settings import Compute as ComputeSettings
from infra.settings import Schedules
from lakehouse.contracts import SYSTEMS

SYSTEM = {"system": "cmdm"}  # what a run started by hand takes unless told otherwise


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """A wheel entry point as a job. `parameters` are job parameters with defaults, handed to the task under the same name."""

    entry_point: str
    description: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    timeout_minutes: int = 60
    max_concurrent_runs: int = 1
    nightly: bool = False
    continuous: bool = False


JOBS: dict[str, JobSpec] = {
    "migrate": JobSpec(entry_point="migrate", description="Tables as the contracts of this release declare them"),
    "bronze_autoloader": JobSpec(
        entry_point="bronze",
        description="Landing files of one system into its bronze table",
        parameters=SYSTEM,
        max_concurrent_runs=len(SYSTEMS),
    ),
    "silver_standardize": JobSpec(
        entry_point="silver",
        description="Bronze of one system typed, deduplicated and standardised; what breaks its contract to quarantine",
        parameters=SYSTEM,
        max_concurrent_runs=len(SYSTEMS),
    ),
    "gold_marts": JobSpec(entry_point="gold", description="Dimensions with history, and metrics"),
    "stream_contact_events": JobSpec(
        entry_point="stream_contact_events",
        description="Contact events of the Kafka topic into events, dead letters and interactions",
        parameters={"kafka_secret": "connectors/kafka-contact-events", "trigger": "available_now"},
        # A continuous run lasts for days; it is to be started anew at least as often as its secret may be rotated.
        timeout_minutes=7 * 24 * 60,
        continuous=True,
    ),
    "replay_quarantine": JobSpec(
        entry_point="replay_quarantine",
        description="Quarantined rows of one system judged again; what keeps its contract now moves into silver",
        parameters={**SYSTEM, "reason": "", "corrections": "{}", "dry_run": "false"},
    ),
    "accept_batch": JobSpec(
        entry_point="accept_batch",
        description="Records that a run that was held back is accepted as it is",
        parameters={**SYSTEM, "batch_run_id": "", "reason": ""},
    ),
    "quality_kpis": JobSpec(
        entry_point="quality_kpis",
        description="Every dataset measured against what its contract promises",
        parameters={"window_days": "7", "enforce": "false"},
    ),
    "backfill": JobSpec(
        entry_point="backfill",
        description="Silver of one system derived again for the days from `from` to `to`; the marts follow",
        parameters={**SYSTEM, "from": "", "to": "", "parallel": "2", "dry_run": "false", "backfill": ""},
        timeout_minutes=480,
    ),
    "reconcile": JobSpec(
        entry_point="reconcile",
        description="What differs between two versions of a table; fails where it is more than tolerated",
        parameters={"table": "", "from_version": "", "to_version": "", "columns": "declared", "tolerance_pct": "0", "json": "false"},
    ),
    "explain_customer": JobSpec(
        entry_point="explain_customer",
        description="Which records are one customer and why each value won; the values are hidden",
        parameters={"customer_id": ""},
    ),
    "rag_build_idx": JobSpec(entry_point="rag_build_idx", description="Knowledge documents into chunks"),
    "maintenance": JobSpec(
        entry_point="maintenance", description="OPTIMIZE and VACUUM of the contract tables", timeout_minutes=240, nightly=True
    ),
}

# The ids Airflow binds, by the names of the blueprint (section 26).
EXPORTED = {
    "JOB_BRONZE_AUTLOADER_ID": "bronze_autoloader",
    "JOB_SILVER_STANDARDIZE_ID": "silver_standardize",
    "JOB_GOLD_MARTS_ID": "gold_marts",
    "JOB_RAG_BUILD_IDX_ID": "rag_build_idx",
    "JOB_MAINTENANCE_ID": "maintenance",
}


def daily_steps() -> list[dict[str, Any]]:
    """`{"stage", "job", "parameters"}` in order; steps of one stage may run side by side."""
    return [
        {"stage": 0, "job": "migrate", "parameters": {}},
        *({"stage": 1, "job": "bronze_autoloader", "parameters": {"system": system}} for system in SYSTEMS),
        *({"stage": 2, "job": "silver_standardize", "parameters": {"system": system}} for system in SYSTEMS),
        {"stage": 3, "job": "gold_marts", "parameters": {}},
        {"stage": 4, "job": "quality_kpis", "parameters": {}},
    ]


def nightly(expression: str, schedules: Schedules, name: str) -> dict[str, str]:
    """The schedule of a job, paused where the stack does not list `name` as running."""
    return {"quartz_cron_expression": expression, "timezone_id": schedules.timezone, "pause_status": schedules.pause_status(name)}


@dataclass(frozen=True, kw_only=True)
class JobsArgs:
    """`run_as` and `airflow` are application ids of service principals; `catalogs` by layer; `wheel` its volume path."""

    workspace_provider: databricks.Provider
    compute: Compute
    compute_settings: ComputeSettings
    catalogs: Mapping[str, str]
    wheel: pulumi.Input[str]
    run_as: pulumi.Input[str]
    airflow: pulumi.Input[str]
    vacuum_retention_hours: int
    schedules: Schedules
    tags: Mapping[str, str]


class Jobs(Component):
    token = "lakehouse:databricks:Jobs"
    ids: dict[str, pulumi.Output[str]]
    daily_run: list[dict[str, Any]]

    def __init__(self, name: str, args: JobsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self.ids = {}
        for job_name, spec in JOBS.items():
            job = self._job(job_name, spec, args)
            self.ids[job_name] = job.id
            databricks.Permissions(
                job_name,
                job_id=job.id,
                access_controls=[
                    {"service_principal_name": args.run_as, "permission_level": "IS_OWNER"},
                    {"service_principal_name": args.airflow, "permission_level": "CAN_MANAGE_RUN"},
                    {"group_name": ENGINEERS, "permission_level": "CAN_MANAGE_RUN"},
                ],
                opts=self.child(provider=args.workspace_provider),
            )
        self.daily_run = [{**step, "job_id": self.ids[step["job"]]} for step in daily_steps()]
        self.register_outputs({"ids": self.ids})

    def _job(self, name: str, spec: JobSpec, args: JobsArgs) -> databricks.Job:
        named = {f"{layer}_catalog": args.catalogs[layer] for layer in ("raw", "curated", "marts", "ai")}
        named |= {key: f"{{{{job.parameters.{key}}}}}" for key in spec.parameters}
        named["run_id"] = "{{job.run_id}}"
        if name == "maintenance":
            named["retention_hours"] = str(args.vacuum_retention_hours)
        defaults, schedules = dict(spec.parameters), args.schedules
        if spec.continuous and "stream" in schedules.running:
            defaults["trigger"] = "continuous"  # a paused one is started by hand, and ends
        return databricks.Job(
            name,
            name=name,
            schedule=nightly(schedules.maintenance, schedules, "maintenance") if spec.nightly else None,
            continuous={"pause_status": schedules.pause_status("stream")} if spec.continuous else None,
            description=spec.description,
            max_concurrent_runs=spec.max_concurrent_runs,
            timeout_seconds=spec.timeout_minutes * 60,
            # A continuous job has one run and no queue.
            queue=None if spec.continuous else {"enabled": True},
            run_as={"service_principal_name": args.run_as},
            parameters=[{"name": key, "default": default} for key, default in sorted(defaults.items())],
            job_clusters=[
                {
                    "job_cluster_key": "etl",
                    "new_cluster": {
                        "policy_id": args.compute.policy.id,
                        "spark_version": args.compute_settings.spark_version,
                        "node_type_id": args.compute_settings.node_types[0],
                        "autoscale": {"min_workers": 1, "max_workers": min(2, args.compute_settings.max_workers)},
                        "enable_elastic_disk": True,
                        "data_security_mode": "USER_ISOLATION",
                        "azure_attributes": {"availability": "ON_DEMAND_AZURE"},
                        "custom_tags": dict(args.tags),
                    },
                }
            ],
            tasks=[
                {
                    "task_key": spec.entry_point,
                    "job_cluster_key": "etl",
                    "python_wheel_task": {"package_name": "lakehouse", "entry_point": spec.entry_point, "named_parameters": named},
                    "libraries": [{"whl": args.wheel}],
                }
            ],
            tags=dict(args.tags),
            opts=self.child(provider=args.workspace_provider, depends_on=args.compute.ready, delete_before_replace=None),
        )
