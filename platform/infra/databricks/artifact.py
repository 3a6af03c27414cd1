"""The wheel in the workspace: content-addressed and kept, since a run may still be using the one before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_databricks as databricks

from infra.component import Component
from infra.databricks.catalogs import Catalogs


@dataclass(frozen=True, kw_only=True)
class ArtifactArgs:
    """`file` is the wheel on the deploying machine, `digest` its SHA-256."""

    workspace_provider: databricks.Provider
    catalogs: Catalogs
    file: Path
    digest: str


class Artifact(Component):
    token = "lakehouse:databricks:Artifact"
    path: str
    uploaded: databricks.File

    def __init__(self, name: str, args: ArtifactArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self.path = f"{args.catalogs.artifacts_path}/lakehouse/{args.digest[:16]}/{args.file.name}"
        self.uploaded = databricks.File(
            f"lakehouse-{args.digest[:16]}",
            path=self.path,
            source=str(args.file),
            opts=self.child(provider=args.workspace_provider, depends_on=[args.catalogs.artifacts], retain_on_delete=True),
        )
        self.register_outputs({"path": self.path})
