"""The declarative pipelines: source files in the workspace, classic compute inside our network under a policy of its own."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_databricks as databricks

from infra.component import Component
from infra.databricks.groups import ENGINEERS
from infra.databricks.jobs import nightly
from infra.settings import Compute as ComputeSettings
from infra.settings import Schedules

SOURCES = Path(__file__).resolve().parents[3] / "workloads" / "pipelines"
# Not /Workspace/Shared: everybody may write there, and these files run as the environment's service principal.
_ROOT = "/Workspace/lakehouse/pipelines"
_TIMEOUT_MINUTES = 120


@dataclass(frozen=True, kw_only=True)
class PipelineSpec:
    """`schema` is the default one; datasets name their catalogs themselves. `sources` is a folder below workloads/pipelines."""

    sources: str
    schema: str


PIPELINES = {"telecom": PipelineSpec(sources="telecom", schema="telecom")}


@dataclass(frozen=True, kw_only=True)
class PipelinesArgs:
    """`run_as` and `airflow` are application ids of service principals; `catalogs` by layer; `wheel` its volume path."""

    workspace_provider: databricks.Provider
    compute_settings: ComputeSettings
    catalogs: Mapping[str, str]
    wheel: pulumi.Input[str]
    ready: list[pulumi.Resource]
    run_as: pulumi.Input[str]
    airflow: pulumi.Input[str]
    schedules: Schedules
    tags: Mapping[str, str]


def policy_definition(settings: ComputeSettings, tags: Mapping[str, str]) -> dict[str, Any]:
    """What `etl_restricted` is for jobs, without what a pipeline's clusters do not let one set: runtime, access mode, termination."""
    definition: dict[str, Any] = {
        "cluster_type": {"type": "fixed", "value": "dlt"},
        "node_type_id": {"type": "allowlist", "values": list(settings.node_types), "defaultValue": settings.node_types[0]},
        "driver_node_type_id": {"type": "allowlist", "values": list(settings.node_types), "isOptional": True},
        "autoscale.min_workers": {"type": "range", "minValue": 1, "maxValue": settings.max_workers, "defaultValue": 1},
        "autoscale.max_workers": {"type": "range", "minValue": 1, "maxValue": settings.max_workers, "defaultValue": 2},
        "azure_attributes.availability": {"type": "fixed", "value": "ON_DEMAND_AZURE"},
    }
    return definition | {f"custom_tags.{name}": {"type": "fixed", "value": value} for name, value in sorted(tags.items())}


class Pipelines(Component):
    """`ids` by name. Triggered, by a job each: no freshness objective of theirs needs a cluster that never ends."""

    token = "lakehouse:databricks:Pipelines"
    ids: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: PipelinesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        self._policy = databricks.ClusterPolicy(
            "pipelines_restricted",
            name="pipelines_restricted",
            definition=json.dumps(policy_definition(args.compute_settings, args.tags), sort_keys=True),
            opts=self._child(),
        )
        may_use = databricks.Permissions(
            "pipelines-policy",
            cluster_policy_id=self._policy.id,
            access_controls=[{"group_name": ENGINEERS, "permission_level": "CAN_USE"}],
            opts=self._child(),
        )
        self.ids = {}
        for pipeline_name, spec in PIPELINES.items():
            pipeline = self._pipeline(pipeline_name, spec, [may_use, *args.ready, *self._sources(spec)])
            self.ids[pipeline_name] = pipeline.id
            databricks.Permissions(
                f"pipeline-{pipeline_name}",
                pipeline_id=pipeline.id,
                access_controls=self._started_by("CAN_RUN"),
                opts=self._child(),
            )
            self._refresh(pipeline_name, pipeline.id)
        self.register_outputs({"ids": self.ids})

    def _refresh(self, name: str, pipeline_id: pulumi.Output[str]) -> None:
        """The job that updates the pipeline, for a pipeline has no schedule of its own."""
        args = self._args
        job = databricks.Job(
            f"refresh-{name}",
            name=f"refresh_{name}",
            description=f"Updates the pipeline {name}",
            max_concurrent_runs=1,
            timeout_seconds=_TIMEOUT_MINUTES * 60,
            queue={"enabled": True},
            run_as={"service_principal_name": args.run_as},
            schedule=nightly(args.schedules.pipelines, args.schedules, "pipelines"),
            tasks=[{"task_key": name, "pipeline_task": {"pipeline_id": pipeline_id, "full_refresh": False}}],
            tags=dict(args.tags),
            opts=self._child(),
        )
        databricks.Permissions(
            f"refresh-{name}",
            job_id=job.id,
            access_controls=self._started_by("CAN_MANAGE_RUN"),
            opts=self._child(),
        )

    def _started_by(self, level: str) -> list[dict[str, pulumi.Input[str]]]:
        """Who owns what runs, and who starts it: Airflow and engineers, at the level that its kind calls so."""
        owner: dict[str, pulumi.Input[str]] = {"service_principal_name": self._args.run_as, "permission_level": "IS_OWNER"}
        airflow: dict[str, pulumi.Input[str]] = {"service_principal_name": self._args.airflow, "permission_level": level}
        return [owner, airflow, {"group_name": ENGINEERS, "permission_level": level}]

    def _sources(self, spec: PipelineSpec) -> list[pulumi.Resource]:
        """The folder as it is in the repository, read by engineers and changed by deployments only."""
        root = f"{_ROOT}/{spec.sources}"
        folder = databricks.Directory(f"pipeline-{spec.sources}", path=root, delete_recursive=True, opts=self._child())
        readable = databricks.Permissions(
            f"pipeline-{spec.sources}-sources",
            directory_id=folder.object_id.apply(str),
            access_controls=[{"group_name": ENGINEERS, "permission_level": "CAN_READ"}],
            opts=self._child(),
        )
        files: list[pulumi.Resource] = [
            databricks.WorkspaceFile(
                f"pipeline-{spec.sources}-{file.stem}",
                path=f"{root}/{file.relative_to(SOURCES / spec.sources).as_posix()}",
                content_base64=base64.b64encode(file.read_bytes()).decode(),
                opts=self._child(depends_on=[folder]),
            )
            for file in sorted((SOURCES / spec.sources).rglob("*.py"))
        ]
        return [readable, *files]

    def _pipeline(self, name: str, spec: PipelineSpec, after: list[pulumi.Resource]) -> databricks.Pipeline:
        args, root = self._args, f"{_ROOT}/{spec.sources}"
        return databricks.Pipeline(
            name,
            name=name,
            catalog=args.catalogs["curated"],
            schema=spec.schema,
            root_path=root,
            libraries=[{"glob": {"include": f"{root}/transformations/**"}}],
            environment={"dependencies": [args.wheel]},
            configuration={
                **{f"{name}.{layer}_catalog": args.catalogs[layer] for layer in ("raw", "curated", "marts")},
                "spark.sql.session.timeZone": "UTC",
            },
            clusters=[
                {
                    "label": "default",
                    "policy_id": self._policy.id,
                    "node_type_id": args.compute_settings.node_types[0],
                    "autoscale": {"min_workers": 1, "max_workers": min(2, args.compute_settings.max_workers), "mode": "ENHANCED"},
                    "azure_attributes": {"availability": "ON_DEMAND_AZURE"},
                    "custom_tags": dict(args.tags),
                }
            ],
            continuous=False,
            development=False,
            channel="CURRENT",
            edition="ADVANCED",
            run_as={"service_principal_name": args.run_as},
            tags=dict(args.tags),
            opts=self._child(depends_on=after),
        )

    def _child(self, *, depends_on: list[pulumi.Resource] | None = None) -> pulumi.ResourceOptions:
        return self.child(provider=self._args.workspace_provider, depends_on=depends_on)
