"""Jobs, their permissions, and the outputs others bind to."""

from __future__ import annotations

import tomllib
from pathlib import Path

from lakehouse.contracts import SYSTEMS
from tests.component.conftest import Plan, Recorded

REPOSITORY = Path(__file__).resolve().parents[2]
JOBS = {
    "migrate": "migrate",
    "bronze_autoloader": "bronze",
    "silver_standardize": "silver",
    "gold_marts": "gold",
    "stream_contact_events": "stream_contact_events",
    "replay_quarantine": "replay_quarantine",
    "accept_batch": "accept_batch",
    "quality_kpis": "quality_kpis",
    "backfill": "backfill",
    "reconcile": "reconcile",
    "explain_customer": "explain_customer",
    "rag_build_idx": "rag_build_idx",
    "maintenance": "maintenance",
}

PARAMETERS = {
    "bronze_autoloader": {"system": "cmdm"},
    "silver_standardize": {"system": "cmdm"},
    "stream_contact_events": {"kafka_secret": "connectors/kafka-contact-events", "trigger": "available_now"},
    "replay_quarantine": {"system": "cmdm", "reason": "", "corrections": "{}", "dry_run": "false"},
    "accept_batch": {"system": "cmdm", "batch_run_id": "", "reason": ""},
    "quality_kpis": {"window_days": "7", "enforce": "false"},
    "backfill": {"system": "cmdm", "from": "", "to": "", "parallel": "2", "dry_run": "false", "backfill": ""},
    "reconcile": {"table": "", "from_version": "", "to_version": "", "columns": "declared", "tolerance_pct": "0", "json": "false"},
    "explain_customer": {"customer_id": ""},
}


def wheel_jobs(plan: Plan) -> list[Recorded]:
    return [job for job in plan.all("Job") if "pythonWheelTask" in job.inputs["tasks"][0]]


def test_maintenance_and_pipelines_start_by_themselves_in_prod_and_everything_else_is_paused(environment_plan: Plan) -> None:
    """Paused outside prod, and the stream everywhere: its connection's secret is put into the vault by hand."""
    status = "UNPAUSED" if environment_plan.stack == "prod" else "PAUSED"
    schedules = {job.name: job.inputs["schedule"] for job in environment_plan.all("Job") if "schedule" in job.inputs}
    assert schedules == {
        name: {"quartzCronExpression": due, "timezoneId": "Australia/Sydney", "pauseStatus": status}
        for name, due in (("maintenance", "0 0 2 * * ?"), ("refresh-telecom", "0 0 6 * * ?"))
    }
    continuous = {job.name: job.inputs["continuous"] for job in environment_plan.all("Job") if "continuous" in job.inputs}
    assert continuous == {"stream_contact_events": {"pauseStatus": "PAUSED"}}


def test_every_job_starts_an_entry_point_the_wheel_has(environment_plan: Plan) -> None:
    project = tomllib.loads((REPOSITORY / "workloads" / "pyproject.toml").read_text())["project"]
    offered = set(project.get("scripts", {})) | {name for group in project.get("entry-points", {}).values() for name in group}
    started = {job.name: task["pythonWheelTask"]["entryPoint"] for job in wheel_jobs(environment_plan) for task in job.inputs["tasks"]}
    assert started == JOBS
    assert set(started.values()) <= offered


def test_jobs_get_catalog_names_as_literals_and_the_rest_as_job_parameters(environment_plan: Plan) -> None:
    prefix = {"dev": "dev_", "test": "test_", "prod": ""}[environment_plan.stack]
    for job in wheel_jobs(environment_plan):
        (task,) = job.inputs["tasks"]
        named = task["pythonWheelTask"]["namedParameters"]
        assert {key: named[key] for key in named if key.endswith("_catalog")} == {
            f"{layer}_catalog": f"{prefix}ep_{layer}" for layer in ("raw", "curated", "marts", "ai")
        }
        parameters = {each["name"]: each["default"] for each in job.inputs.get("parameters", [])}
        assert parameters == PARAMETERS.get(job.name, {})
        assert all(named[name] == f"{{{{job.parameters.{name}}}}}" for name in parameters)


def test_jobs_queue_time_out_and_know_how_many_may_run(environment_plan: Plan) -> None:
    for job in environment_plan.all("Job"):
        assert job.inputs.get("queue") == (None if "continuous" in job.inputs else {"enabled": True})
        assert job.inputs["timeoutSeconds"] > 0
        # One run per system at a time; everything else alone.
        by_system = PARAMETERS.get(job.name, {}).keys() == {"system"}
        assert job.inputs["maxConcurrentRuns"] == (len(SYSTEMS) if by_system else 1)


def test_the_cluster_policies_are_for_engineers(environment_plan: Plan) -> None:
    uses = [each for each in environment_plan.all("Permissions") if "clusterPolicyId" in each.inputs]
    assert {each.inputs["clusterPolicyId"] for each in uses} == {"id-etl_restricted", "id-pipelines_restricted"}
    for use in uses:
        assert use.inputs["accessControls"] == [{"groupName": "data_engineering", "permissionLevel": "CAN_USE"}]


def test_secrets_come_from_the_vault_and_engineers_read_them(environment_plan: Plan) -> None:
    (acl,) = environment_plan.all("SecretAcl")
    scopes = [each for each in environment_plan.resources if each.type == "databricks:index/secretScope:SecretScope"]
    assert [each.inputs["backendType"] for each in scopes] == ["AZURE_KEYVAULT"]
    assert (acl.inputs["principal"], acl.inputs["permission"]) == ("data_engineering", "READ")


def test_owners_administer_the_workspace_and_everyone_else_uses_it(environment_plan: Plan) -> None:
    levels = {each.name: each.inputs["permissions"] for each in environment_plan.all("MwsPermissionAssignment")}
    assert {name for name, level in levels.items() if level == ["ADMIN"]} == {"MT-platform-owners"}
    assert {"sp-etl", "sp-airflow", "data_engineering"} <= {name for name, level in levels.items() if level == ["USER"]}


def test_the_outputs_are_the_ones_others_bind_to(environment_plan: Plan) -> None:
    outputs = environment_plan.outputs
    assert set(outputs["job_ids"]) == set(JOBS)
    exported = {name: outputs[name] for name in outputs if name.startswith("JOB_")}
    assert exported == {
        "JOB_BRONZE_AUTLOADER_ID": outputs["job_ids"]["bronze_autoloader"],
        "JOB_SILVER_STANDARDIZE_ID": outputs["job_ids"]["silver_standardize"],
        "JOB_GOLD_MARTS_ID": outputs["job_ids"]["gold_marts"],
        "JOB_RAG_BUILD_IDX_ID": outputs["job_ids"]["rag_build_idx"],
        "JOB_MAINTENANCE_ID": outputs["job_ids"]["maintenance"],
    }
    assert {"workspace_url", "workspace_id", "workspace_resource_id", "catalogs", "landing_paths", "warehouse_id"} <= set(outputs)
    assert set(outputs["landing_paths"]) == set(SYSTEMS)


def test_the_daily_run_is_migrate_then_bronze_then_silver_then_gold_then_its_figures(environment_plan: Plan) -> None:
    steps = environment_plan.outputs["daily_run"]
    assert [step["stage"] for step in steps] == sorted(step["stage"] for step in steps)
    assert [(step["stage"], step["job"], step["parameters"].get("system")) for step in steps] == [
        (0, "migrate", None),
        *((1, "bronze_autoloader", system) for system in SYSTEMS),
        *((2, "silver_standardize", system) for system in SYSTEMS),
        (3, "gold_marts", None),
        (4, "quality_kpis", None),
    ]
    assert all(step["job_id"] == environment_plan.outputs["job_ids"][step["job"]] for step in steps)


def test_the_type_tokens_are_what_deployed_states_know(plan: Plan) -> None:
    tokens = {each.type for each in plan.resources if each.type.startswith("lakehouse:")}
    account = {"lakehouse:azure:Hub", "lakehouse:databricks:Account"}
    azure = {f"lakehouse:azure:{name}" for name in ("Network", "DataLake", "KeyVault", "Workspace", "Monitoring", "PrivateEndpoints")}
    inside = {
        f"lakehouse:databricks:{name}"
        for name in ("Membership", "Catalogs", "Compute", "Governance", "SecretScope", "Artifact", "Jobs", "Pipelines")
    }
    assert tokens == (account if plan.stack == "shared" else azure | inside)
