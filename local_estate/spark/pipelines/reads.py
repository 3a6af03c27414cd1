"""What a query function reads: the pipeline's own datasets are followed, everything else is left to Spark.

A query function is called twice: once to plan, where its inputs are empty relations of the right columns, and once to run.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType
from sqlglot import exp, parse
from sqlglot.errors import SqlglotError

from local_estate.spark.pipelines.errors import NotSupported, PipelineError
from local_estate.spark.pipelines.expectations import Watch, watched
from local_estate.spark.pipelines.graph import Dataset, Flow, Graph


class Reads:
    """`schemas` are those of the datasets planned so far; `plan_dataset` plans one that a query names before its turn."""

    def __init__(self, spark: SparkSession, graph: Graph, plan_dataset: Callable[[Dataset], StructType]) -> None:
        self._spark = spark
        self._graph = graph
        self._plan_dataset = plan_dataset
        self._planning = True
        self._flow = ""
        self._inputs: list[dict[str, None]] = []
        self._watches: list[Watch] = []
        self._numbers = itertools.count(1)
        self._views: list[str] = []
        self._take_over()

    @contextmanager
    def planning(self) -> Iterator[dict[str, None]]:
        """Yields the names of the datasets and tables read so far."""
        self._planning = True
        inputs: dict[str, None] = {}
        self._inputs.append(inputs)
        try:
            yield inputs
        finally:
            self._inputs.pop()

    def plan_of(self, flow: Flow) -> tuple[DataFrame, list[Watch]]:
        """What the flow writes, with what is counted on the way: its own dataset last."""
        self._planning, self._flow, self._watches = False, flow.name, []
        try:
            rows = self.named(flow.cdc.source, stream=True) if flow.cdc else frame_of(flow)
            return self._watch(rows, self._graph.datasets[flow.target]), self._watches
        finally:
            self._flow = ""

    def _watch(self, rows: DataFrame, dataset: Dataset) -> DataFrame:
        number = next(self._numbers)
        before, after = Observation(f"before_{number}"), Observation(f"after_{number}")
        watch = Watch(dataset=dataset.name, expectations=dataset.expectations, before=before, after=after)
        self._watches.append(watch)
        return watched(rows, watch, self._flow)

    def named(self, name: str, *, stream: bool) -> DataFrame:
        """What `spark.readStream.table(name)` or `spark.read.table(name)` is to a query function."""
        return self._spark.readStream.table(name) if stream else self._spark.read.table(name)

    # --- the methods of PySpark that read by name

    def _take_over(self) -> None:
        from pyspark.sql.readwriter import DataFrameReader
        from pyspark.sql.streaming.readwriter import DataStreamReader

        reads = self
        plain_read, plain_stream, plain_table, plain_sql = (
            DataFrameReader.table,
            DataStreamReader.table,
            SparkSession.table,
            SparkSession.sql,
        )

        def read(self: Any, tableName: str) -> DataFrame:
            return reads._read(tableName, False, lambda name: plain_read(self, name))

        def stream(self: Any, tableName: str) -> DataFrame:
            return reads._read(tableName, True, lambda name: plain_stream(self, name))

        def table(self: Any, tableName: str) -> DataFrame:
            return reads._read(tableName, False, lambda name: plain_table(self, name))

        def sql(self: Any, sqlQuery: str, *given: Any, **named: Any) -> DataFrame:
            reads._refuse_own_names(sqlQuery)
            return plain_sql(self, sqlQuery, *given, **named)

        DataFrameReader.table, DataStreamReader.table = read, stream
        SparkSession.table, SparkSession.sql = table, sql

    def _read(self, name: str, stream: bool, plain: Callable[[str], DataFrame]) -> DataFrame:
        dataset = self._graph.find(name) if name.count(".") <= 2 else None
        if dataset is None or not (self._inputs or self._flow):
            return plain(name)
        if self._inputs:
            self._inputs[-1][dataset.name] = None
        if dataset.kind == "VIEW":
            return self._view(dataset, stream)
        return self._shape(self._plan_dataset(dataset), stream) if self._planning else plain(dataset.sql_name)

    def _view(self, dataset: Dataset, stream: bool) -> DataFrame:
        if dataset.name in self._views:
            raise PipelineError(f"views read each other in a circle: {' -> '.join([*self._views, dataset.name])}")
        self._views.append(dataset.name)
        try:
            (flow,) = self._graph.flows_of(dataset)
            rows = frame_of(flow)
        finally:
            self._views.pop()
        if rows.isStreaming != stream:
            wanted, found = ("spark.readStream", "a batch") if stream else ("spark.read", "a streaming")
            raise PipelineError(f"{wanted}.table('{dataset.name}'): the view at {dataset.where} is {found} query")
        return rows if self._planning else self._watch(rows, dataset)

    def _shape(self, schema: StructType, stream: bool) -> DataFrame:
        """No row, the right columns."""
        base = self._spark.readStream.format("rate").load() if stream else self._spark.range(0)
        return base.select(*[F.lit(None).cast(each.dataType).alias(each.name) for each in schema])

    def _refuse_own_names(self, text: str) -> None:
        if not (self._inputs or self._flow) or not isinstance(text, str):
            return
        try:
            tables = [table for tree in parse(text, read="databricks") if tree for table in tree.find_all(exp.Table)]
        except SqlglotError:
            return
        for table in tables:
            name = ".".join(part.name for part in table.parts)
            if table.parts and self._graph.find(name):
                raise NotSupported(f"spark.sql over {name}, a dataset of the pipeline itself; use spark.read.table('{name}')")


def frame_of(flow: Flow) -> DataFrame:
    """What a query function returns. Raises PipelineError for what is no DataFrame."""
    if flow.query is None:
        raise PipelineError(f"flow {flow.name} has no query function")
    rows = flow.query()
    if not isinstance(rows, DataFrame):
        raise PipelineError(f"the query function of {flow.name} returned {type(rows).__name__}, not a DataFrame")
    return rows
