"""What the program registers for each stack, in plain values."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.component.conftest import ENVIRONMENTS, Plan, configuration, record

REPOSITORY = Path(__file__).resolve().parents[2]


def _delegations(plan: Plan) -> dict[str, bool]:
    return {each.name: bool(each.inputs.get("delegations")) for each in plan.all("Subnet")}


def test_the_workspaces_two_subnets_are_delegated_and_the_endpoints_is_not(environment_plan: Plan) -> None:
    assert _delegations(environment_plan) == {"public": True, "private": True, "endpoints": False}


def test_every_subnet_has_a_security_group_and_no_default_outbound_access(environment_plan: Plan) -> None:
    for subnet in environment_plan.all("Subnet"):
        assert subnet.inputs["networkSecurityGroup"]["id"]
        assert subnet.inputs["defaultOutboundAccess"] is False


def test_the_workspace_is_injected_without_public_ip_and_closed_to_the_public(environment_plan: Plan) -> None:
    (workspace,) = [each for each in environment_plan.resources if each.type == "azure-native:databricks:Workspace"]
    parameters = workspace.inputs["parameters"]
    assert parameters["enableNoPublicIp"] == {"value": True}
    assert parameters["customVirtualNetworkId"]["value"]
    assert parameters["customPublicSubnetName"] != parameters["customPrivateSubnetName"]
    assert (workspace.inputs["computeMode"], workspace.inputs["publicNetworkAccess"]) == ("Hybrid", "Disabled")


def test_every_storage_account_is_https_only_tls_1_2_and_closed(environment_plan: Plan) -> None:
    for account in environment_plan.all("StorageAccount"):
        wanted = {"enableHttpsTrafficOnly": True, "minimumTlsVersion": "TLS1_2", "allowSharedKeyAccess": False, "isHnsEnabled": True}
        assert {name: account.inputs[name] for name in wanted} == wanted
        assert account.inputs["networkRuleSet"]["defaultAction"] == "Deny"
        assert account.inputs["publicNetworkAccess"] == "Disabled"


def test_the_workspaces_audit_goes_to_log_analytics(environment_plan: Plan) -> None:
    (setting,) = environment_plan.all("DiagnosticSetting")
    assert setting.inputs["resourceUri"] == "id-engineering"
    assert {"accounts", "jobs", "secrets", "unityCatalog"} <= {log["category"] for log in setting.inputs["logs"] if log["enabled"]}
    assert not any("retentionPolicy" in log for log in setting.inputs["logs"]), "Azure refuses retention in the setting"


def test_the_lake_has_a_container_per_zone_and_deletes_softly(environment_plan: Plan) -> None:
    containers = {each.inputs["containerName"] for each in environment_plan.all("BlobContainer")}
    assert containers == {"landing", "raw", "curated", "marts", "knowledge", "logs", "backup"}
    (service,) = environment_plan.all("BlobServiceProperties")
    least = 30 if environment_plan.stack == "prod" else 7
    for policy in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
        assert service.inputs[policy]["enabled"] is True
        assert service.inputs[policy]["days"] >= least


def test_azure_databricks_may_read_the_vault_before_a_scope_does(environment_plan: Plan) -> None:
    role = environment_plan.one("RoleAssignment", "con-databricks")
    assert role.inputs["roleDefinitionId"].endswith("/4633458b-17de-408a-b874-0445c86b69e6")  # Key Vault Secrets User
    assert role.inputs["principalId"] == "8c7b6a59-4e3d-4f2c-9b1a-0d9e8f7a6b5c"
    (scope,) = [each for each in environment_plan.all("SecretScope") if each.type.startswith("databricks:")]
    assert "RoleAssignment con-databricks" in scope.after


def test_a_deleted_vault_is_taken_back_only_when_asked_for(environment_plan: Plan) -> None:
    (vault,) = environment_plan.all("Vault")
    assert "createMode" not in vault.inputs["properties"]
    stack = environment_plan.stack
    (recovered,) = record(stack, {**configuration(stack), "lakehouse:recover_vault": "true"}).all("Vault")
    assert recovered.inputs["properties"] == {**vault.inputs["properties"], "createMode": "recover"}


def test_the_vault_is_purge_protected_and_governed_by_roles(environment_plan: Plan) -> None:
    for vault in environment_plan.all("Vault"):
        properties = vault.inputs["properties"]
        assert (properties["enablePurgeProtection"], properties["enableRbacAuthorization"]) == (True, True)


def test_every_private_endpoint_has_a_record_in_the_hubs_zone(environment_plan: Plan) -> None:
    endpoints = {each.name for each in environment_plan.all("PrivateEndpoint")}
    assert endpoints == {"workspace", "lake-dfs", "lake-blob", "vault"}
    assert {each.name for each in environment_plan.all("PrivateDnsZoneGroup")} == endpoints


def test_grants_go_to_groups_of_the_account_alone(environment_plan: Plan, shared: Plan) -> None:
    groups = {each.inputs["displayName"] for each in shared.all("Group")}
    granted = {grant["principal"] for each in environment_plan.all("Grants") for grant in each.inputs["grants"]}
    assert granted <= groups
    assert "data_engineering" in granted


def test_analysts_read_marts_and_nothing_of_raw_or_curated(dev: Plan) -> None:
    readable = {
        each.name
        for each in dev.all("Grants")
        for grant in each.inputs["grants"]
        if grant["principal"] == "MT-analyst-readers" and "SELECT" in grant["privileges"]
    }
    assert readable == {"marts-customer", "marts-operations", "marts-telecom"}


def test_nobody_but_the_owner_manages(environment_plan: Plan) -> None:
    privileges = {p for each in environment_plan.all("Grants") for grant in each.inputs["grants"] for p in grant["privileges"]}
    assert not privileges & {"MANAGE", "ALL_PRIVILEGES"}
    assert {each.inputs["owner"] for each in environment_plan.all("Catalog")} == {"MT-platform-owners"}


def test_a_securable_has_one_grants_resource(environment_plan: Plan) -> None:
    securables = [
        (kind, each.inputs[kind])
        for each in environment_plan.all("Grants")
        for kind in ("catalog", "schema", "volume")
        if kind in each.inputs
    ]
    assert len(securables) == len(set(securables)) == len(environment_plan.all("Grants"))


@pytest.mark.parametrize(("stack", "prefix"), [("dev", "dev_"), ("test", "test_"), ("prod", "")])
def test_catalogs_carry_the_environment_and_are_bound_to_it(stack: str, prefix: str) -> None:
    catalogs = record(stack).all("Catalog")
    assert {each.inputs["name"] for each in catalogs} == {f"{prefix}ep_{layer}" for layer in ("raw", "curated", "marts", "ai")}
    assert {each.inputs["isolationMode"] for each in catalogs} == {"ISOLATED"}


def test_every_job_cluster_is_bound_to_the_policy_and_within_it(environment_plan: Plan) -> None:
    policy = environment_plan.one("ClusterPolicy", "etl_restricted")
    definition = json.loads(policy.inputs["definition"])
    for job in environment_plan.all("Job"):
        for cluster in job.inputs.get("jobClusters", []):
            spec = cluster["newCluster"]
            assert spec["policyId"] == "id-etl_restricted"
            assert spec["sparkVersion"] == definition["spark_version"]["value"]
            assert spec["nodeTypeId"] in definition["node_type_id"]["values"]
            assert spec["autoscale"]["maxWorkers"] <= definition["autoscale.max_workers"]["maxValue"]


def test_jobs_run_as_the_environments_principal_from_a_content_addressed_wheel(environment_plan: Plan) -> None:
    (wheel,) = environment_plan.all("File")
    assert re.fullmatch(
        r"/Volumes/\w*ep_raw/platform/artifacts/lakehouse/[0-9a-f]{16}/lakehouse-[\d.]+-py3-none-any\.whl", wheel.inputs["path"]
    )
    for job in environment_plan.all("Job"):
        assert job.inputs["runAs"] == {"servicePrincipalName": f"app-etl-{environment_plan.stack}"}
        # A pipeline has the wheel in its own environment.
        libraries = [each["whl"] for task in job.inputs["tasks"] for each in task.get("libraries", [])]
        assert libraries == ([] if "pipelineTask" in job.inputs["tasks"][0] else [wheel.inputs["path"]])
        keys = [task["taskKey"] for task in job.inputs["tasks"]]
        assert keys == sorted(keys)


def test_each_job_has_one_owner_and_airflow_may_start_it(environment_plan: Plan) -> None:
    permissions = [each for each in environment_plan.all("Permissions") if "jobId" in each.inputs]
    assert len(permissions) == len(environment_plan.all("Job"))
    for each in permissions:
        levels = [(control["permissionLevel"], control.get("servicePrincipalName")) for control in each.inputs["accessControls"]]
        assert [level for level, _ in levels].count("IS_OWNER") == 1
        assert ("CAN_MANAGE_RUN", f"app-airflow-{environment_plan.stack}") in levels


def test_what_takes_tags_carries_the_whole_schema(plan: Plan) -> None:
    schema = {"ENVM", "COST_CENTER", "SYSTEM", "DATA_DOMAIN", "UDP_BU_DB_COST"}
    tagged = [each for each in plan.resources if "tags" in each.inputs and each.type.startswith("azure-native:")]
    assert tagged
    for each in tagged:
        assert set(each.inputs["tags"]) == schema, each.name


def test_every_resource_has_an_explicit_provider(plan: Plan) -> None:
    for each in plan.resources:
        if each.type.startswith(("azure-native:", "databricks:")):
            assert each.provider, each.name
            assert "default" not in each.provider.rsplit("::", 2)[-2], each.name


def test_the_workspace_provider_is_addressed_by_an_id_known_before_anything_exists(environment_plan: Plan) -> None:
    (provider,) = [each for each in environment_plan.all("databricks") if "azureWorkspaceResourceId" in each.inputs]
    assert provider.inputs["azureWorkspaceResourceId"].endswith(
        f"/Microsoft.Databricks/workspaces/dbw-mt-lakehouse-{environment_plan.stack}"
    )
    assert "host" not in provider.inputs


@pytest.mark.parametrize("stack", ["shared", "dev"])
def test_the_accounts_provider_names_its_host_since_a_shell_may_name_a_workspace(stack: str) -> None:
    (provider,) = [each for each in record(stack).all("databricks") if "accountId" in each.inputs]
    assert provider.inputs["host"] == "https://accounts.azuredatabricks.net"


def test_every_environment_has_its_principals_in_shared(shared: Plan) -> None:
    names = {each.inputs["displayName"] for each in shared.all("ServicePrincipal")}
    assert names == {f"sp-mt-lakehouse-{role}-{environment}" for role in ("etl", "airflow") for environment in ENVIRONMENTS}


@pytest.mark.parametrize("stack", ["shared", "dev"])
def test_the_program_registers_the_same_with_and_without_the_local_estates_environment(stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("ESTATE_", "ARM_", "DATABRICKS_", "PULUMI_"))]:
        monkeypatch.delenv(name)
    without = record(stack).digest
    for name in ("ESTATE_HOME", "ESTATE_TOOLS", "ARM_CLIENT_ID", "DATABRICKS_HOST"):
        monkeypatch.setenv(name, "/somewhere")
    assert record(stack).digest == without


def test_the_platform_folder_is_no_package() -> None:
    assert not (REPOSITORY / "platform" / "__init__.py").exists()


@pytest.mark.parametrize("folder", ["platform", "workloads", "policies", "dags"])
def test_nothing_deployed_knows_of_the_local_estate(folder: str) -> None:
    found = [
        f"{file.relative_to(REPOSITORY)}:{number}: {line.strip()}"
        for file in sorted((REPOSITORY / folder).rglob("*.py"))
        if ".venv" not in file.parts
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if re.search(r"localhost|127\.0\.0\.1|local_estate", line)
    ]
    assert found == []


def _changed(stack: str, section: str, **values: Any) -> dict[str, str]:
    config = configuration(stack)
    config[f"lakehouse:{section}"] = json.dumps({**json.loads(config[f"lakehouse:{section}"]), **values})
    return config


def test_protection_and_retention_follow_the_settings() -> None:
    prod = record("prod")
    (account,) = prod.all("StorageAccount")
    assert account.inputs["sku"]["name"] == "Standard_RAGRS"
    (job,) = [each for each in prod.all("Job") if each.name == "maintenance"]
    assert job.inputs["tasks"][0]["pythonWheelTask"]["namedParameters"]["retention_hours"] == "720"


def test_a_changed_setting_changes_the_plan() -> None:
    assert record("dev", _changed("dev", "compute", max_workers=5)).digest != record("dev").digest
