"""100 and 500 Unity Catalog schemas: the engine with our provider against a bare loop of the same API calls."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from databricks.sdk import WorkspaceClient

from bench.measure import Measurement, Report, seconds
from local_estate import facts
from local_estate.engine.stacks import Stacks
from local_estate.paths import Paths

PROGRAM = """
import pulumi
import pulumi_databricks as databricks

config = pulumi.Config()
workspace = databricks.Provider("workspace", azure_workspace_resource_id=config.require("workspace"))
for number in range(config.require_int("count")):
    databricks.Schema(
        f"bench{number}",
        name=f"bench_{number}",
        catalog_name=config.require("catalog"),
        opts=pulumi.ResourceOptions(provider=workspace),
    )
"""


def measure(report: Report, paths: Paths) -> None:
    workspace = facts.workspace_client(paths, "dev")
    for count in (100, 500):
        loop = seconds(lambda count=count: _loop(workspace, _catalog(paths), count))  # type: ignore[misc]
        report.add(Measurement(name=f"{count} schemas, bare loop of API calls", unit="s", samples=(loop,)))
        with _project(paths, count) as stacks:
            created = seconds(lambda stacks=stacks: stacks.up("bench"))  # type: ignore[misc]
            previewed = seconds(lambda stacks=stacks: stacks.preview("bench", expect_no_changes=True))  # type: ignore[misc]
            report.add(Measurement(name=f"{count} schemas, up", unit="s", samples=(created,), compared=f"{created / loop:.1f}x the loop"))
            report.add(Measurement(name=f"{count} schemas, preview", unit="s", samples=(previewed,)))
            stacks.destroy("bench")


def _catalog(paths: Paths) -> str:
    return str(facts.outputs(paths, "dev")["catalogs"]["ai"])


def _loop(workspace: WorkspaceClient, catalog: str, count: int) -> None:
    for number in range(count):
        workspace.schemas.create(name=f"loop_{number}", catalog_name=catalog)
    for number in range(count):
        workspace.schemas.delete(f"{catalog}.loop_{number}")


@contextmanager
def _project(paths: Paths, count: int) -> Iterator[Stacks]:
    with tempfile.TemporaryDirectory(prefix="bench-program-") as folder:
        project = Path(folder)
        runtime = f"{{name: python, options: {{toolchain: pip, virtualenv: {paths.repository / '.venv'}}}}}"
        (project / "Pulumi.yaml").write_text(f"name: bench-schemas\nruntime: {runtime}\n")
        (project / "__main__.py").write_text(PROGRAM)
        workspace = facts.outputs(paths, "dev")["workspace_resource_id"]
        values = {"count": count, "catalog": _catalog(paths), "workspace": workspace}
        lines = [f"  bench-schemas:{name}: {value}" for name, value in values.items()]
        (project / "Pulumi.bench.yaml").write_text("\n".join(["config:", *lines, ""]))
        yield Stacks(paths, project=project)
