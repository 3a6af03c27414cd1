"""databricks against the local account and workspace faces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from local_estate.providers.checking import Failure
from local_estate.providers.databricks import (
    access,
    attributes,
    compute,
    contents,
    jobs,
    lookups,
    metastores,
    pipeline,
    principals,
    unity_catalog,
)
from local_estate.providers.databricks.connection import Connection
from local_estate.providers.databricks.resource import DatabricksResource
from local_estate.providers.failures import Refused
from local_estate.providers.kinds import Kind, Provider, Unsupported, Values
from local_estate.providers.schemas import Schemas, UnknownType
from local_estate.providers.wire import UNKNOWN, Secret

KINDS: Mapping[str, type[DatabricksResource]] = {
    "databricks:index/metastore:Metastore": metastores.Metastore,
    "databricks:index/metastoreAssignment:MetastoreAssignment": metastores.MetastoreAssignment,
    "databricks:index/mwsPermissionAssignment:MwsPermissionAssignment": metastores.MwsPermissionAssignment,
    "databricks:index/group:Group": principals.Group,
    "databricks:index/groupMember:GroupMember": principals.GroupMember,
    "databricks:index/servicePrincipal:ServicePrincipal": principals.ServicePrincipal,
    "databricks:index/storageCredential:StorageCredential": unity_catalog.StorageCredential,
    "databricks:index/externalLocation:ExternalLocation": unity_catalog.ExternalLocation,
    "databricks:index/catalog:Catalog": unity_catalog.Catalog,
    "databricks:index/schema:Schema": unity_catalog.Schema,
    "databricks:index/volume:Volume": unity_catalog.Volume,
    "databricks:index/grants:Grants": access.Grants,
    "databricks:index/workspaceBinding:WorkspaceBinding": access.WorkspaceBinding,
    "databricks:index/tagPolicy:TagPolicy": attributes.TagPolicy,
    "databricks:index/accessControlRuleSet:AccessControlRuleSet": attributes.AccessControlRuleSet,
    "databricks:index/entityTagAssignment:EntityTagAssignment": attributes.EntityTagAssignment,
    "databricks:index/policyInfo:PolicyInfo": attributes.PolicyInfo,
    "databricks:index/permissions:Permissions": access.Permissions,
    "databricks:index/secretScope:SecretScope": access.SecretScope,
    "databricks:index/secretAcl:SecretAcl": access.SecretAcl,
    "databricks:index/clusterPolicy:ClusterPolicy": compute.ClusterPolicy,
    "databricks:index/instancePool:InstancePool": compute.InstancePool,
    "databricks:index/sqlEndpoint:SqlEndpoint": compute.SqlEndpoint,
    "databricks:index/job:Job": jobs.Job,
    "databricks:index/pipeline:Pipeline": pipeline.Pipeline,
    "databricks:index/file:File": contents.VolumeFile,
    "databricks:index/workspaceFile:WorkspaceFile": contents.WorkspaceFile,
    "databricks:index/notebook:Notebook": contents.Notebook,
    "databricks:index/directory:Directory": contents.Directory,
}

_CONFIGURATION = {
    "host": str,
    "accountId": str,
    "workspaceId": str,
    "azureWorkspaceResourceId": str,
    "azureClientId": str,
    "azureClientSecret": str,
    "azureTenantId": str,
    "authType": str,
}


class Databricks(Provider):
    name = "databricks"
    version = version("pulumi_databricks")

    def __init__(self) -> None:
        super().__init__()
        self._schemas = Schemas("pulumi_databricks", self.version)
        self._kinds: dict[str, Kind] = {}
        self._connection = Connection({}, self.cancelled)

    def check_config(self, config: Values) -> Sequence[Failure]:
        found = []
        for name, kind in _CONFIGURATION.items():
            value = config.get(name)
            value = value.value if isinstance(value, Secret) else value
            if value is not None and value is not UNKNOWN and not isinstance(value, kind):
                found.append(Failure(property=name, reason="Expected a string"))
        if config.get("accountId") and config.get("azureWorkspaceResourceId"):
            reason = "a provider speaks to an account or to a workspace; leave account_id out of a workspace's provider"
            found.append(Failure(property="accountId", reason=reason))
        return found

    def configure(self, config: Values) -> None:
        self._connection = Connection(config, self.cancelled)

    def unmanageable_after(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> Sequence[str]:
        return [name for name in ("accountId",) if old.get(name) and old.get(name) != new.get(name)]

    def tokens(self) -> Sequence[str]:
        return tuple(KINDS)

    def kind(self, token: str) -> Kind:
        if token not in self._kinds:
            handler = KINDS.get(token)
            try:
                schema = self._schemas.get(token)
            except UnknownType as error:
                raise Refused(str(error), "NOT_FOUND") from error
            self._kinds[token] = handler(schema, lambda: self._connection, self._schemas.enum) if handler else Unsupported(schema)
        return self._kinds[token]

    def invoke(self, token: str, arguments: Values) -> Values:
        functions: Mapping[str, Callable[[Connection, Values], Values]] = lookups.FUNCTIONS
        if token not in functions:
            raise Refused(f"the local estate does not support the function {token}", "NOT_FOUND")
        return functions[token](self._connection, arguments)
