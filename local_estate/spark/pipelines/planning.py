"""Columns and inputs of every flow before anything is written, and the order that follows."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructField, StructType

from local_estate.spark.pipelines import cdc
from local_estate.spark.pipelines.errors import PipelineError
from local_estate.spark.pipelines.graph import Dataset, Flow, Graph
from local_estate.spark.pipelines.reads import Reads, frame_of


@dataclass(kw_only=True)
class Planned:
    """`order` puts inputs first; `inputs` are names of datasets of this pipeline by flow; `states` are schemas of AUTO CDC's own tables."""

    schemas: dict[str, StructType] = field(default_factory=dict)
    inputs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    order: list[Flow] = field(default_factory=list)
    changes: dict[str, cdc.Plan] = field(default_factory=dict)
    states: dict[str, StructType] = field(default_factory=dict)


class Planning:
    def __init__(self, spark: SparkSession, graph: Graph) -> None:
        self._spark = spark
        self._graph = graph
        self._planned = Planned()
        self._open: list[str] = []
        self.reads = Reads(spark, graph, self._dataset)

    def all(self) -> Planned:
        """Raises PipelineError, or what Spark says of a query."""
        for dataset in list(self._graph.datasets.values()):
            self._dataset(dataset)
        return self._planned

    def _dataset(self, dataset: Dataset) -> StructType:
        if dataset.name in self._planned.schemas:
            return self._planned.schemas[dataset.name]
        if dataset.name in self._open:
            raise PipelineError(f"datasets read each other in a circle: {' -> '.join([*self._open, dataset.name])}")
        self._open.append(dataset.name)
        try:
            found = [self._flow(flow, dataset) for flow in self._graph.flows_of(dataset)]
        finally:
            self._open.pop()
        schema = self._declared(dataset, found)
        self._planned.schemas[dataset.name] = schema
        return schema

    def _flow(self, flow: Flow, dataset: Dataset) -> StructType:
        with self.reads.planning() as inputs:
            rows = self.reads.named(flow.cdc.source, stream=True) if flow.cdc else frame_of(flow)
            schema = self._changes(flow, dataset, rows) if flow.cdc else rows.schema
        self._check_kind(flow, dataset, rows)
        for each in dataset.expectations:  # a condition Spark cannot read is found now, not after an hour
            rows.select(each.met)
        self._planned.inputs[flow.name] = tuple(inputs)
        self._planned.order.append(flow)
        return schema

    def _changes(self, flow: Flow, dataset: Dataset, rows: DataFrame) -> StructType:
        if flow.cdc is None:
            raise PipelineError(f"flow {flow.name} is no AUTO CDC flow")
        state = ".".join(f"`{part}`" for part in cdc.state_name(dataset.name).split("."))
        made = cdc.plan(flow.cdc, rows, target=dataset.sql_name, state=state)
        target, self._planned.states[flow.name] = cdc.schemas(made, rows)
        self._planned.changes[flow.name] = made
        return target

    @staticmethod
    def _check_kind(flow: Flow, dataset: Dataset, rows: DataFrame) -> None:
        if dataset.kind == "STREAMING_TABLE" and not rows.isStreaming:
            raise PipelineError(
                f"[INVALID_FLOW_QUERY_TYPE.BATCH_RELATION_FOR_STREAMING_TABLE] flow {flow.name} reads a batch into the streaming table "
                f"{dataset.name} ({dataset.where}); read with spark.readStream or declare it with @dp.materialized_view"
            )
        if dataset.kind == "MATERIALIZED_VIEW" and rows.isStreaming:
            raise PipelineError(
                f"[INVALID_FLOW_QUERY_TYPE.STREAMING_RELATION_FOR_MATERIALIZED_VIEW] flow {flow.name} reads a stream into the materialized "
                f"view {dataset.name} ({dataset.where}); read with spark.read or declare it with @dp.table"
            )

    def _declared(self, dataset: Dataset, found: list[StructType]) -> StructType:
        """The schema the source gives, else that of the flows together. Raises PipelineError where they disagree."""
        merged: dict[str, StructField] = {}
        for schema in found:
            for each in schema:
                held = merged.setdefault(each.name.lower(), StructField(each.name, each.dataType, True, _comment(each)))
                if held.dataType != each.dataType:
                    kinds = " and ".join(kind.simpleString() for kind in (held.dataType, each.dataType))
                    raise PipelineError(f"{dataset.name}: its flows give column {each.name} as {kinds}")
        if dataset.schema is None:
            return StructType(list(merged.values()))
        declared = StructType.fromDDL(dataset.schema) if isinstance(dataset.schema, str) else dataset.schema
        wanted = {each.name.lower(): each.dataType for each in declared}
        if wrong := sorted(name for name, each in merged.items() if wanted.get(name) != each.dataType):
            raise PipelineError(
                f"{dataset.where}: the schema of {dataset.name} does not fit its query: "
                f"{', '.join(f'{name} is {merged[name].dataType.simpleString()}' for name in wrong)}"
            )
        return declared


def _comment(column: StructField) -> dict[str, str]:
    return {"comment": column.metadata["comment"]} if "comment" in column.metadata else {}
