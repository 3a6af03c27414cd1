"""The two kinds of stack, each reading like the architecture picture."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_azure_native as azure
import pulumi_databricks as databricks
from pulumi_azure_native import resources

from infra.azure.hub import Hub, HubArgs
from infra.azure.key_vault import KeyVault, KeyVaultArgs
from infra.azure.monitoring import Monitoring, MonitoringArgs
from infra.azure.network import Network, NetworkArgs
from infra.azure.private_endpoints import PrivateEndpoints, PrivateEndpointsArgs, Target
from infra.azure.storage import DataLake, DataLakeArgs
from infra.azure.workspace import Workspace, WorkspaceArgs
from infra.catalog_names import refuse_renamed, standing_catalogs
from infra.databricks.artifact import Artifact, ArtifactArgs
from infra.databricks.catalogs import Catalogs, CatalogsArgs, catalog_names
from infra.databricks.compute import Compute, ComputeArgs
from infra.databricks.contract_grants import schema_grants
from infra.databricks.governance import Governance, GovernanceArgs, policies
from infra.databricks.groups import ENGINEERS
from infra.databricks.identity import Account, AccountArgs
from infra.databricks.jobs import EXPORTED, Jobs, JobsArgs
from infra.databricks.membership import Membership, MembershipArgs
from infra.databricks.pipelines import Pipelines, PipelinesArgs
from infra.databricks.secret_scope import SecretScope, SecretScopeArgs
from infra.errors import Refused
from infra.naming import Naming
from infra.settings import AccountSettings, EnvironmentSettings
from infra.settings import Azure as AzureSettings
from infra.shared import Shared
from lakehouse.contracts import ContractError
from release.wheel import ArtifactError, Wheel, wheel


def build(settings: AccountSettings | EnvironmentSettings) -> None:
    """Registers the resources and outputs of the stack."""
    if isinstance(settings, AccountSettings):
        build_account(settings)
    else:
        build_environment(settings)


def build_account(settings: AccountSettings) -> None:
    """What exists once: hub and private DNS, groups, service principals, the region's metastore."""
    naming = _naming(settings.azure, "shared")
    tags = settings.tags.model_dump()
    cloud = _azure_provider(settings.azure)
    group = _resource_group(naming, settings.azure, tags, cloud)
    hub = Hub(
        "hub",
        HubArgs(resource_group=group.name, naming=naming, address_space=settings.hub.address_space, tags=tags),
        pulumi.ResourceOptions(provider=cloud),
    )
    account = Account(
        "account",
        AccountArgs(
            account=_account_provider(settings.databricks.account_id),
            environments=settings.environments,
            deployer_application_id=settings.databricks.deployer_application_id,
            region=settings.azure.location,
            organisation=settings.azure.organisation,
            protect=settings.protect,
        ),
    )
    pulumi.export("hub_resource_group", group.name)
    pulumi.export("hub_virtual_network_id", hub.virtual_network.id)
    pulumi.export("dns_zone_ids", hub.zone_ids)
    pulumi.export("metastore_id", account.metastore.id)
    pulumi.export("group_ids", account.group_ids)
    pulumi.export("service_principals", account.principals)
    pulumi.export("service_principal_ids", account.principal_ids)


def build_environment(settings: EnvironmentSettings) -> None:
    """One environment, from the network up to the jobs."""
    built = _wheel(settings)  # first of all: a refusal comes before any resource exists
    _contracts()
    refuse_renamed(catalog_names(settings.catalog_prefix), standing_catalogs(), pulumi.get_stack())
    naming = _naming(settings.azure, settings.environment)
    tags = settings.tags.model_dump()
    cloud = _azure_provider(settings.azure)
    in_azure = pulumi.ResourceOptions(provider=cloud)
    shared = Shared(settings.shared_stack, settings.environment)
    group = _resource_group(naming, settings.azure, tags, cloud)

    network = Network("network", NetworkArgs(resource_group=group.name, naming=naming, settings=settings.network, tags=tags), in_azure)
    lake = DataLake(
        "lake",
        DataLakeArgs(resource_group=group.name, naming=naming, settings=settings.storage, tags=tags, protect=settings.protect),
        in_azure,
    )
    vault = KeyVault(
        "connectors",
        KeyVaultArgs(
            resource_group=group.name,
            naming=naming,
            tenant_id=settings.azure.tenant_id,
            reader_object_id=settings.azure.databricks_object_id,
            role="con",
            tags=tags,
            protect=settings.protect,
            recover=settings.recover_vault,
        ),
        in_azure,
    )
    workspace = Workspace(
        "engineering",
        WorkspaceArgs(resource_group=group.name, naming=naming, network=network, lake=lake, tags=tags, protect=settings.protect),
        in_azure,
    )
    Monitoring(
        "audit",
        MonitoringArgs(resource_group=group.name, naming=naming, workspace=workspace.workspace, tags=tags, protect=settings.protect),
        in_azure,
    )
    _private_endpoints(group, naming, network, lake, vault, workspace, shared, tags, in_azure)

    membership = Membership(
        "membership",
        MembershipArgs(
            account=_account_provider(settings.databricks.account_id),
            workspace_id=workspace.workspace_id,
            metastore_id=shared.metastore_id,
            group_ids=shared.group_ids,
            principal_ids=shared.principal_ids,
        ),
    )
    inside = databricks.Provider(
        "workspace",
        azure_workspace_resource_id=workspace.resource_id,
        opts=pulumi.ResourceOptions(depends_on=[workspace.workspace, *membership.ready]),
    )
    catalogs = Catalogs(
        "catalogs",
        CatalogsArgs(
            workspace_provider=inside,
            workspace=workspace,
            lake=lake,
            environment=settings.environment,
            prefix=settings.catalog_prefix,
            protect=settings.protect,
            force_destroy=settings.force_destroy,
        ),
    )
    compute = Compute(
        "compute", ComputeArgs(workspace_provider=inside, settings=settings.compute, environment=settings.environment, tags=tags)
    )
    Governance(
        "governance",
        GovernanceArgs(
            workspace_provider=inside,
            workspace_host=workspace.workspace_url,
            workspace_resource_id=workspace.resource_id,
            warehouse=compute.warehouse,
            catalogs=catalogs,
            account_id=settings.databricks.account_id,
            prefix=settings.catalog_prefix,
            tagger=shared.principals["etl"],
        ),
    )
    SecretScope("connectors", SecretScopeArgs(workspace_provider=inside, key_vault=vault, scope="connectors", reader_groups=(ENGINEERS,)))
    artifact = Artifact("wheel", ArtifactArgs(workspace_provider=inside, catalogs=catalogs, file=built.file, digest=built.digest))
    jobs = Jobs(
        "jobs",
        JobsArgs(
            workspace_provider=inside,
            compute=compute,
            compute_settings=settings.compute,
            catalogs=catalogs.names,
            wheel=artifact.uploaded.path,
            run_as=shared.principals["etl"],
            airflow=shared.principals["airflow"],
            vacuum_retention_hours=settings.vacuum_retention_hours,
            schedules=settings.schedules,
            tags=tags,
        ),
    )
    pipelines = Pipelines(
        "pipelines",
        PipelinesArgs(
            workspace_provider=inside,
            compute_settings=settings.compute,
            catalogs=catalogs.names,
            wheel=artifact.uploaded.path,
            ready=catalogs.ready,
            run_as=shared.principals["etl"],
            airflow=shared.principals["airflow"],
            schedules=settings.schedules,
            tags=tags,
        ),
    )
    _export(workspace, catalogs, compute, jobs, pipelines, artifact)


def _private_endpoints(
    group: resources.ResourceGroup,
    naming: Naming,
    network: Network,
    lake: DataLake,
    vault: KeyVault,
    workspace: Workspace,
    shared: Shared,
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> None:
    ready = (workspace.workspace,)
    PrivateEndpoints(
        "private-endpoints",
        PrivateEndpointsArgs(
            resource_group=group.name,
            naming=naming,
            subnet_id=network.endpoint_subnet.id,
            virtual_network_id=network.virtual_network.id,
            hub_resource_group=shared.hub_resource_group,
            zone_ids=shared.zone_ids,
            targets=(
                Target(name="workspace", group="databricks_ui_api", resource_id=workspace.workspace.id, ready=ready),
                Target(name="lake-dfs", group="dfs", resource_id=lake.account.id, ready=ready),
                Target(name="lake-blob", group="blob", resource_id=lake.account.id, ready=ready),
                Target(name="vault", group="vault", resource_id=vault.vault.id, ready=ready),
            ),
            tags=tags,
        ),
        opts,
    )


def _export(workspace: Workspace, catalogs: Catalogs, compute: Compute, jobs: Jobs, pipelines: Pipelines, artifact: Artifact) -> None:
    pulumi.export("workspace_url", pulumi.Output.concat("https://", workspace.workspace_url))
    pulumi.export("workspace_id", workspace.workspace_id)
    pulumi.export("workspace_resource_id", workspace.resource_id)
    pulumi.export("catalogs", catalogs.names)
    pulumi.export("landing_paths", catalogs.landing_paths)
    pulumi.export("warehouse_id", compute.warehouse.id)
    pulumi.export("cluster_policy_id", compute.policy.id)
    pulumi.export("wheel", artifact.path)
    pulumi.export("job_ids", jobs.ids)
    pulumi.export("pipeline_ids", pipelines.ids)
    pulumi.export("daily_run", jobs.daily_run)
    for output, job in EXPORTED.items():
        pulumi.export(output, jobs.ids[job])


def _naming(settings: AzureSettings, environment: str) -> Naming:
    return Naming(
        organisation=settings.organisation,
        workload=settings.workload,
        environment=environment,
        subscription_id=settings.subscription_id,
    )


def _azure_provider(settings: AzureSettings) -> azure.Provider:
    return azure.Provider("azure", subscription_id=settings.subscription_id, tenant_id=settings.tenant_id, location=settings.location)


def _account_provider(account_id: str) -> databricks.Provider:
    """Named outright: a shell that is set for a workspace (`DATABRICKS_HOST`) would make it speak to that."""
    return databricks.Provider("account", host="https://accounts.azuredatabricks.net", account_id=account_id)


def _resource_group(naming: Naming, settings: AzureSettings, tags: Mapping[str, str], provider: azure.Provider) -> resources.ResourceGroup:
    return resources.ResourceGroup(
        "group",
        resource_group_name=naming.azure("rg"),
        location=settings.location,
        tags=dict(tags),
        opts=pulumi.ResourceOptions(provider=provider),
    )


def _contracts() -> None:
    """Loads them, and works out what stands on them: read by the first component that needs one, a mistake would surface mid-deployment."""
    try:
        schema_grants()
        policies()
    except ContractError as error:
        raise Refused(str(error)) from None


def _wheel(settings: EnvironmentSettings) -> Wheel:
    try:
        return wheel(settings.artifact.digest, required=settings.artifact.required)
    except ArtifactError as error:
        raise Refused(f"Pulumi.{pulumi.get_stack()}.yaml: lakehouse:artifact: {error}") from None
