"""Runs the planned flows: streams until nothing is new, materialized views as a whole, AUTO CDC batch by batch."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from local_estate.spark.pipelines import cdc
from local_estate.spark.pipelines.events import Events
from local_estate.spark.pipelines.expectations import Counts
from local_estate.spark.pipelines.graph import Dataset, Flow, Graph
from local_estate.spark.pipelines.planning import Planned
from local_estate.spark.pipelines.reads import Reads
from local_estate.spark.pipelines.selection import Selection
from local_estate.spark.pipelines.tables import RESET_ALLOWED, Tables, TableSpec


@dataclass(kw_only=True)
class Execution:
    """`storage` is the pipeline's own directory, `dbfs:/pipelines/<id>`: progress of its streams."""

    spark: SparkSession
    graph: Graph
    planned: Planned
    reads: Reads
    tables: Tables
    events: Events
    storage: str
    _generations: dict[str, str] = field(default_factory=dict)

    def set_up(self, selection: Selection) -> None:
        """Raises PipelineError, or Spark's refusal to the principal the pipeline runs as."""
        for dataset in self.graph.tables():
            flows = [flow for flow in self.graph.flows_of(dataset) if selection.includes(flow)]
            if not flows:
                continue
            # A materialized view is replaced as a whole, in one commit: emptied first, it would stay empty where the update stops half-way.
            spec, reset = _spec(dataset, self.planned), selection.starts_over(dataset) and dataset.kind != "MATERIALIZED_VIEW"
            specs = [spec, *(self._state(flow, spec) for flow in flows if flow.cdc)]
            generations = [self.tables.ensure(each, reset=reset) for each in specs]
            if len(set(generations)) > 1:
                # AUTO CDC's target and what it has seen belong together: when one was dropped, or a reset was interrupted, both start over.
                generations = [self.tables.start_over(each) for each in specs]
            self._generations[dataset.name] = generations[0]
            for each in specs:
                self.events.published(each.name.replace("`", ""))

    def _state(self, flow: Flow, target: TableSpec) -> TableSpec:
        kept = {key: value for key, value in target.properties.items() if key == RESET_ALLOWED}
        made = self.planned.changes[flow.name]
        return TableSpec(name=made.state, kind="AUTO_CDC_STATE", schema=self.planned.states[flow.name], properties=kept)

    def run(self, selection: Selection) -> list[str]:
        """Names of the flows that failed."""
        lost: set[str] = set()  # datasets that have not got what this update should have brought them
        failed: list[str] = []
        for flow in self.planned.order:
            dataset = self.graph.datasets[flow.target]
            if dataset.kind == "VIEW":  # runs inside the flows that read it
                continue
            if not selection.includes(flow):
                self.events.flow(flow.name, flow.target, "EXCLUDED")
            elif lost.intersection(self.planned.inputs[flow.name]):
                lost.add(dataset.name)
                self.events.flow(flow.name, flow.target, "SKIPPED")
            elif not self._run_one(flow, dataset):
                lost.add(dataset.name)
                failed.append(flow.name)
        return failed

    def _run_one(self, flow: Flow, dataset: Dataset) -> bool:
        self.events.flow(flow.name, flow.target, "STARTING")
        try:
            with self._configured(flow):
                rows, watches = self.reads.plan_of(flow)
                counts = Counts(watches)
                self.events.flow(flow.name, flow.target, "RUNNING")
                if flow.cdc:
                    metrics = self._change(flow, rows, counts)
                elif dataset.kind == "STREAMING_TABLE":
                    metrics = self._append(flow, dataset, rows, counts)
                else:
                    metrics = self._replace(dataset, rows, counts)
        except Exception as failure:  # one flow's failure is its own; the event log shows it
            traceback.print_exc()
            self.events.flow(flow.name, flow.target, "FAILED", failure=failure)
            return False
        self.events.flow(flow.name, flow.target, "COMPLETED", metrics=metrics, data_quality=counts.data_quality())
        return True

    def _append(self, flow: Flow, dataset: Dataset, rows: DataFrame, counts: Counts) -> dict[str, int]:
        writer = rows.writeStream.outputMode("append").option("checkpointLocation", self._checkpoint(flow)).trigger(availableNow=True)
        _follow(writer.toTable(dataset.sql_name), counts)
        return {"num_output_rows": counts.output_rows(dataset.name)}

    def _change(self, flow: Flow, rows: DataFrame, counts: Counts) -> dict[str, int]:
        made = self.planned.changes[flow.name]
        totals = {"num_upserted_rows": 0, "num_deleted_rows": 0}

        def write(batch: DataFrame, _: int) -> None:
            for name, value in cdc.apply(batch, made).items():
                totals[name] += value

        _follow(
            rows.writeStream.foreachBatch(write).option("checkpointLocation", self._checkpoint(flow)).trigger(availableNow=True).start(),
            counts,
        )
        return totals

    def _replace(self, dataset: Dataset, rows: DataFrame, counts: Counts) -> dict[str, int]:
        columns = [f"`{each.name}`" for each in self.planned.schemas[dataset.name]]
        rows.select(*columns).writeTo(dataset.sql_name).overwrite(F.lit(True))
        counts.add_observed()
        return {"num_output_rows": counts.output_rows(dataset.name)}

    def _checkpoint(self, flow: Flow) -> str:
        """By flow and generation; flow names may hold anything, so the directory is a hash that is told apart by it."""
        digest = hashlib.sha256(flow.name.encode()).hexdigest()[:16]
        return f"{self.storage}/checkpoints/{digest}/{self._generations[flow.target]}"

    @contextmanager
    def _configured(self, flow: Flow) -> Iterator[None]:
        before = {name: self.spark.conf.get(name, None) for name in flow.conf}
        for name, value in flow.conf.items():
            self.spark.conf.set(name, value)
        try:
            yield
        finally:
            for name, held in before.items():
                self.spark.conf.unset(name) if held is None else self.spark.conf.set(name, held)


def _follow(query: Any, counts: Counts) -> None:
    """To its end; counts come with each batch's progress. Raises what ended it."""
    query.awaitTermination()
    for progress in query.recentProgress:
        counts.add({name: row.asDict() for name, row in progress.observedMetrics.items()})


def _spec(dataset: Dataset, planned: Planned) -> TableSpec:
    return TableSpec(
        name=dataset.sql_name,
        kind=dataset.kind,
        schema=planned.schemas[dataset.name],
        comment=dataset.comment,
        properties=dataset.properties,
        partitioned_by=dataset.partitioned_by,
    )
