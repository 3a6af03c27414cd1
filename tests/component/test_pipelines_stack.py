"""The declarative pipelines of an environment: where their sources lie, what they run on, and as whom."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from tests.component.conftest import Plan

SOURCES = Path(__file__).resolve().parents[2] / "workloads" / "pipelines" / "telecom"
ROOT = "/Workspace/lakehouse/pipelines/telecom"


def test_the_pipeline_is_triggered_and_fills_its_environments_catalogs(environment_plan: Plan) -> None:
    prefix = {"dev": "dev_", "test": "test_", "prod": ""}[environment_plan.stack]
    (pipeline,) = environment_plan.all("Pipeline")
    assert pipeline.name == "telecom"
    assert (pipeline.inputs["catalog"], pipeline.inputs["schema"]) == (f"{prefix}ep_curated", "telecom")
    assert (pipeline.inputs["continuous"], pipeline.inputs["development"], pipeline.inputs["channel"]) == (False, False, "CURRENT")
    assert {name: value for name, value in pipeline.inputs["configuration"].items() if name.endswith("_catalog")} == {
        f"telecom.{layer}_catalog": f"{prefix}ep_{layer}" for layer in ("raw", "curated", "marts")
    }
    assert environment_plan.outputs["pipeline_ids"] == {"telecom": "id-telecom"}


def test_it_runs_as_the_environments_principal_with_the_jobs_wheel(environment_plan: Plan) -> None:
    (pipeline,) = environment_plan.all("Pipeline")
    (wheel,) = environment_plan.all("File")
    principal = {"servicePrincipalName": f"app-etl-{environment_plan.stack}"}
    assert pipeline.inputs["runAs"] == principal
    assert pipeline.inputs["environment"] == {"dependencies": [wheel.inputs["path"]]}
    permissions = environment_plan.one("Permissions", "pipeline-telecom").inputs["accessControls"]
    assert {**principal, "permissionLevel": "IS_OWNER"} in permissions
    assert {"groupName": "data_engineering", "permissionLevel": "CAN_RUN"} in permissions


def test_its_clusters_keep_to_a_policy_made_for_pipelines(environment_plan: Plan) -> None:
    definition = json.loads(environment_plan.one("ClusterPolicy", "pipelines_restricted").inputs["definition"])
    assert definition["cluster_type"] == {"type": "fixed", "value": "dlt"}
    (pipeline,) = environment_plan.all("Pipeline")
    for cluster in pipeline.inputs["clusters"]:
        assert cluster["policyId"] == "id-pipelines_restricted"
        assert cluster["nodeTypeId"] in definition["node_type_id"]["values"]
        assert cluster["autoscale"]["maxWorkers"] <= definition["autoscale.max_workers"]["maxValue"]
        assert {f"custom_tags.{name}": value for name, value in cluster["customTags"].items()} == {
            name: rule["value"] for name, rule in definition.items() if name.startswith("custom_tags.")
        }


def test_every_source_is_deployed_as_it_is_and_before_the_pipeline(environment_plan: Plan) -> None:
    files = environment_plan.all("WorkspaceFile")
    deployed = {each.inputs["path"]: base64.b64decode(each.inputs["contentBase64"]) for each in files}
    assert deployed == {f"{ROOT}/{file.relative_to(SOURCES).as_posix()}": file.read_bytes() for file in SOURCES.rglob("*.py")}
    (pipeline,) = environment_plan.all("Pipeline")
    assert {f"WorkspaceFile {each.name}" for each in files} <= pipeline.after
    assert pipeline.inputs["libraries"] == [{"glob": {"include": f"{ROOT}/transformations/**"}}]
    assert pipeline.inputs["rootPath"] == ROOT
    readers = environment_plan.one("Permissions", "pipeline-telecom-sources").inputs["accessControls"]
    assert readers == [{"groupName": "data_engineering", "permissionLevel": "CAN_READ"}]
