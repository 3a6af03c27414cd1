"""What the sources declare: datasets, the flows that fill them, and which dataset a name means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

from pyspark.pipelines.graph_element_registry import GraphElementRegistry
from pyspark.pipelines.output import MaterializedView, StreamingTable, TemporaryView

from local_estate.spark.pipelines.declarations import AutoCdc
from local_estate.spark.pipelines.errors import NotSupported, PipelineError
from local_estate.spark.pipelines.expectations import ATTRIBUTE, Expectation, check_names

Kind = Literal["STREAMING_TABLE", "MATERIALIZED_VIEW", "VIEW"]


@dataclass(kw_only=True)
class Dataset:
    """`name` is three-level in lower case, a view's one-level. `where` is the place in the source."""

    name: str
    kind: Kind
    where: str
    comment: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    partitioned_by: tuple[str, ...] = ()
    schema: Any = None
    expectations: tuple[Expectation, ...] = ()

    @property
    def sql_name(self) -> str:
        return ".".join(f"`{part}`" for part in self.name.split("."))


@dataclass(frozen=True, kw_only=True)
class Flow:
    """`query` of an append or a whole result, or `cdc`."""

    name: str
    target: str
    query: Callable[[], Any] | None = None
    cdc: AutoCdc | None = None
    conf: Mapping[str, str] = field(default_factory=dict)


class Graph(GraphElementRegistry):  # type: ignore[misc]
    def __init__(self, *, catalog: str, schema: str) -> None:
        self._catalog, self._schema = catalog.lower(), schema.lower()
        self.datasets: dict[str, Dataset] = {}
        self.flows: dict[str, Flow] = {}

    def full_name(self, name: str) -> str:
        parts = [part.strip("`").lower() for part in name.split(".")]
        if not 1 <= len(parts) <= 3 or not all(parts):
            raise PipelineError(f"{name!r} is no name of a dataset: use table, schema.table or catalog.schema.table")
        return ".".join([self._catalog, self._schema][: 3 - len(parts)] + parts)

    def find(self, name: str) -> Dataset | None:
        """The dataset of this pipeline that a read by `name` means; None for a table outside."""
        return self.datasets.get(name.strip("`").lower()) or self.datasets.get(self.full_name(name))

    def get(self, name: str) -> Dataset:
        found = self.find(name)
        if found is None:
            raise PipelineError(f"dataset {name} is not declared in this pipeline; it has {', '.join(sorted(self.datasets)) or 'none'}")
        return found

    def flows_of(self, dataset: Dataset) -> list[Flow]:
        return [flow for flow in self.flows.values() if flow.target == dataset.name]

    def tables(self) -> Iterator[Dataset]:
        return (dataset for dataset in self.datasets.values() if dataset.kind != "VIEW")

    # What pyspark.pipelines calls

    def register_output(self, output: Any) -> None:
        where = f"{Path(output.source_code_location.filename).name}:{output.source_code_location.line_number}"
        if isinstance(output, TemporaryView):
            if "." in output.name:
                raise PipelineError(f"{where}: a temporary view has a one-part name, not {output.name}")
            self._add(Dataset(name=output.name.lower(), kind="VIEW", where=where, comment=output.comment or ""))
            return
        if not isinstance(output, StreamingTable | MaterializedView):
            raise NotSupported(f"{type(output).__name__} outputs ({output.name} at {where})")
        if (output.format or "delta").lower() != "delta":
            raise PipelineError(f"{where}: format {output.format} of {output.name}: tables of a pipeline are Delta")
        if output.cluster_by:
            raise NotSupported(f"cluster_by ({output.name} at {where}): Delta outside Databricks does not cluster a catalog's tables")
        self._add(
            Dataset(
                name=self.full_name(output.name),
                kind="STREAMING_TABLE" if isinstance(output, StreamingTable) else "MATERIALIZED_VIEW",
                where=where,
                comment=output.comment or "",
                properties={key: str(value) for key, value in output.table_properties.items()},
                partitioned_by=tuple(output.partition_cols or ()),
                schema=output.schema,
            )
        )

    def _add(self, dataset: Dataset) -> None:
        if first := self.datasets.get(dataset.name):
            raise PipelineError(f"{dataset.where}: dataset {dataset.name} is already declared at {first.where}")
        self.datasets[dataset.name] = dataset

    def register_flow(self, flow: Any) -> None:
        target, own = self._target(flow.target), flow.name == flow.target
        if expectations := getattr(flow.func, ATTRIBUTE, ()):
            if not own:
                raise PipelineError(f"flow {flow.name}: expectations belong to its target; give create_streaming_table expect_all…")
            self.expect_of(flow.target, expectations)
        self._add_flow(Flow(name=target if own else flow.name.lower(), target=target, query=flow.func, conf=flow.spark_conf))

    def register_auto_cdc_flow(self, flow: Any) -> None:
        target = self._target(flow.target)
        self._add_flow(Flow(name=target if flow.name == flow.target else flow.name.lower(), target=target, cdc=flow))

    def register_sql(self, sql_text: str, file_path: Path) -> NoReturn:
        raise NotSupported(f"SQL sources of a pipeline ({file_path})")

    def expect_of(self, name: str, expectations: Sequence[Expectation]) -> None:
        dataset = self.get(name)
        dataset.expectations = (*dataset.expectations, *expectations)
        check_names(dataset.name, dataset.expectations)

    def _target(self, name: str) -> str:
        found = self.find(name)
        return found.name if found else self.full_name(name)

    def _add_flow(self, flow: Flow) -> None:
        if flow.name in self.flows:
            raise PipelineError(f"flow {flow.name} is declared twice; give one of them another name")
        self.flows[flow.name] = flow

    def check(self) -> None:
        """What can only be seen once every source has run. Raises PipelineError."""
        if not self.datasets:
            raise PipelineError(
                "the pipeline's sources declare no dataset; use @dp.table, @dp.materialized_view or dp.create_streaming_table"
            )
        for flow in self.flows.values():
            target = self.datasets.get(flow.target)
            if target is None:
                raise PipelineError(f"flow {flow.name} writes to {flow.target}, which is not declared; use dp.create_streaming_table")
            if flow.cdc and target.kind != "STREAMING_TABLE":
                raise PipelineError(f"flow {flow.name}: AUTO CDC writes to a streaming table, and {target.name} is none")
        for dataset in self.datasets.values():
            flows = self.flows_of(dataset)
            if not flows:
                raise PipelineError(f"{dataset.where}: streaming table {dataset.name} has no flow that writes to it")
            if len(flows) > 1 and (dataset.kind != "STREAMING_TABLE" or any(flow.cdc for flow in flows)):
                raise PipelineError(f"{dataset.where}: several flows write to {dataset.name}: only append flows may share a target")
