"""Unity Catalog of an environment: credential, locations, catalogs, schemas, volumes and grants. Tables are the `migrate` job's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_databricks as databricks

from infra.azure.storage import ZONES, DataLake
from infra.azure.workspace import Workspace
from infra.component import Component
from infra.databricks.contract_grants import READ, WRITE, Grant, catalog_grants, schema_grants
from infra.databricks.groups import ENGINEERS, OWNERS, PII_READERS, PIPELINES
from infra.naming import identifier
from lakehouse.contracts import SYSTEMS

LAYERS = ("raw", "curated", "marts", "ai")
_CONTAINERS = {"raw": "raw", "curated": "curated", "marts": "marts", "ai": "knowledge"}
# What the declarative pipeline fills. Names of people stay below the marts, unmasked, so for those who see them in the clear.
_PIPELINE = "telecom"
_PIPELINE_READERS = {
    "raw": (PII_READERS,),
    "curated": (PII_READERS,),
    "marts": (ENGINEERS, "MT-analyst-readers", "analyst_readers"),
}
_SCHEMAS: dict[str, tuple[str, ...]] = {
    "raw": (*SYSTEMS, "platform", "governance", _PIPELINE),
    "curated": (*SYSTEMS, _PIPELINE),
    "marts": ("customer", "operations", "telecom"),
    "ai": ("knowledge",),
}


def catalog_names(prefix: str) -> dict[str, str]:
    """By layer, which is the catalog's logical name."""
    return {layer: identifier(f"{prefix}ep_{layer}") for layer in LAYERS}


@dataclass(frozen=True, kw_only=True)
class CatalogsArgs:
    workspace_provider: databricks.Provider
    workspace: Workspace
    lake: DataLake
    environment: str
    prefix: str
    protect: bool
    force_destroy: bool


class Catalogs(Component):
    """`names` by layer and `landing_paths` by system are plain strings: jobs get them as parameters."""

    token = "lakehouse:databricks:Catalogs"
    names: dict[str, str]
    landing_paths: dict[str, str]
    artifacts: databricks.Volume
    artifacts_path: str
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: CatalogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        self.names = catalog_names(args.prefix)
        self.ready = []
        locations = self._locations()
        rights = schema_grants()
        self._schemas: dict[tuple[str, str], databricks.Schema] = {}
        for layer in LAYERS:
            self._catalog(layer, locations[_CONTAINERS[layer]], rights)
        self.landing_paths = {}
        for system in SYSTEMS:
            self._volume("raw", system, "landing", f"{args.lake.url('landing')}{system}", [locations["landing"]])
            self.landing_paths[system] = f"/Volumes/{self.names['raw']}/{system}/landing"
        self.artifacts = self._volume("raw", "platform", "artifacts")
        self.artifacts_path = f"/Volumes/{self.names['raw']}/platform/artifacts"
        checkpoints = self._volume("raw", "platform", "checkpoints")
        # Whoever runs jobs reads the wheel but cannot change it.
        self._grants("raw-platform-artifacts", [Grant(ENGINEERS, ("READ_VOLUME",))], [self.artifacts], volume=self.artifacts.id)
        writes = [Grant(ENGINEERS, ("READ_VOLUME", "WRITE_VOLUME"))]
        self._grants("raw-platform-checkpoints", writes, [checkpoints], volume=checkpoints.id)
        self._volume("ai", "knowledge", "documents")
        self.register_outputs({"names": self.names})

    def _locations(self) -> dict[str, databricks.ExternalLocation]:
        args = self._args
        credential = databricks.StorageCredential(
            "lake",
            name=f"mt-lakehouse-{args.environment}",
            azure_managed_identity={"access_connector_id": args.workspace.connector.id},
            owner=OWNERS,
            isolation_mode="ISOLATION_MODE_ISOLATED",
            opts=self._child(depends_on=[args.workspace.lake_access]),
        )
        return {
            zone: databricks.ExternalLocation(
                zone,
                name=f"mt-lakehouse-{args.environment}-{zone}",
                url=args.lake.url(zone),
                credential_name=credential.name,
                owner=OWNERS,
                isolation_mode="ISOLATION_MODE_ISOLATED",
                opts=self._child(depends_on=[args.lake.containers[zone], args.workspace.lake_access]),
            )
            for zone in ZONES
        }

    def _catalog(self, layer: str, location: databricks.ExternalLocation, rights: dict[tuple[str, str], tuple[Grant, ...]]) -> None:
        args = self._args
        catalog = databricks.Catalog(
            layer,
            name=self.names[layer],
            comment=f"Layer {layer} of {args.environment}",
            storage_root=args.lake.url(_CONTAINERS[layer]),
            # Bound to this environment's workspace alone: dev can never write prod through the shared metastore.
            isolation_mode="ISOLATED",
            owner=OWNERS,
            force_destroy=args.force_destroy,
            opts=self._child(depends_on=[location], protect=args.protect),
        )
        self._grants(layer, catalog_grants(layer, rights), [catalog], catalog=catalog.name)
        for schema_name in _SCHEMAS[layer]:
            schema = databricks.Schema(
                f"{layer}-{schema_name}",
                catalog_name=catalog.name,
                name=identifier(schema_name),
                owner=OWNERS,
                force_destroy=args.force_destroy,
                opts=self._child(protect=args.protect),
            )
            self._schemas[layer, schema_name] = schema
            grants = list(rights.get((layer, schema_name), ()))
            if (layer == "raw" and schema_name in SYSTEMS) or layer == "ai":
                # Landing files and documents are volumes of these schemas.
                grants = [
                    Grant(grant.group, tuple(sorted({*grant.privileges, "READ_VOLUME"}))) if grant.group == ENGINEERS else grant
                    for grant in grants
                ]
            if schema_name == _PIPELINE:
                writes = tuple(sorted({*WRITE, "CREATE_MATERIALIZED_VIEW"}))
                grants = [Grant(PIPELINES, writes), *(Grant(group, READ) for group in _PIPELINE_READERS[layer])]
            if grants:
                self._grants(f"{layer}-{schema_name}", grants, [schema], schema=schema.id)

    def _volume(
        self, layer: str, schema_name: str, name: str, location: str | None = None, after: list[pulumi.Resource] | None = None
    ) -> databricks.Volume:
        schema = self._schemas[layer, schema_name]
        volume = databricks.Volume(
            f"{layer}-{schema_name}-{name}",
            catalog_name=schema.catalog_name,
            schema_name=schema.name,
            name=identifier(name),
            volume_type="EXTERNAL" if location else "MANAGED",
            storage_location=location,
            owner=OWNERS,
            opts=self._child(depends_on=after, protect=self._args.protect),
        )
        self.ready.append(volume)
        return volume

    def _grants(self, name: str, grants: Sequence[Grant], after: list[pulumi.Resource], **securable: pulumi.Input[str]) -> None:
        made = databricks.Grants(
            name,
            grants=[{"principal": grant.group, "privileges": list(grant.privileges)} for grant in grants],
            opts=self._child(depends_on=after),
            **securable,
        )
        self.ready.append(made)

    def _child(self, **options: object) -> pulumi.ResourceOptions:
        return self.child(provider=self._args.workspace_provider, **options)  # type: ignore[arg-type]
