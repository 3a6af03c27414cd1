"""Expectations on rows: counted where they pass by, dropped or refused as declared. A condition that is null is not met."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from local_estate.spark.pipelines.errors import PipelineError

Action = Literal["keep", "drop", "fail"]
ATTRIBUTE = "_pipeline_expectations"
_REPORT_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Expectation:
    name: str
    condition: Any  # SQL text or a Column, as the source gave it
    action: Action

    @property
    def met(self) -> Column:
        given = F.expr(self.condition) if isinstance(self.condition, str) else self.condition
        return F.coalesce(given.cast("boolean"), F.lit(False))


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Where a plan counts, before and after rows are dropped. A stream's counts come with its progress, under these names."""

    dataset: str
    expectations: tuple[Expectation, ...]
    before: Observation
    after: Observation


def declare(function: Any, found: Iterable[Expectation]) -> Any:
    """Notes expectations on a query function; the decorator that makes it a dataset comes after. Raises PipelineError for anything else."""
    if not callable(function):
        raise PipelineError(
            "an expectation decorates the query function: put @dp.expect… below @dp.table, @dp.materialized_view or the like"
        )
    setattr(function, ATTRIBUTE, (*found, *getattr(function, ATTRIBUTE, ())))
    return function


def of_mapping(given: Mapping[str, Any] | None, action: Action) -> tuple[Expectation, ...]:
    return tuple(Expectation(name=name, condition=condition, action=action) for name, condition in (given or {}).items())


def check_names(dataset: str, found: Sequence[Expectation]) -> None:
    names = [each.name for each in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise PipelineError(f"dataset {dataset} declares the expectation {', '.join(twice)} twice")


def watched(rows: DataFrame, watch: Watch, flow: str) -> DataFrame:
    """The rows that may pass, with every row counted on the way. One pass over the data."""
    total = F.count(F.lit(1)).alias("rows")
    counts = [F.count_if(each.met).alias(f"passed_{position}") for position, each in enumerate(watch.expectations)]
    by_name = rows.isStreaming
    found = rows.observe(watch.before._name if by_name else watch.before, total, *counts)
    if failing := [each for each in watch.expectations if each.action == "fail"]:
        found = found.where(_all_met(failing, flow, rows.columns))
    if dropping := [each for each in watch.expectations if each.action == "drop"]:
        kept = F.lit(True)
        for each in dropping:
            kept = kept & each.met
        found = found.where(kept)
    return found.observe(watch.after._name if by_name else watch.after, total)


def _all_met(expectations: Sequence[Expectation], flow: str, columns: Sequence[str]) -> Column:
    broken = F.array_compact(F.array(*[F.when(~each.met, F.lit(each.name)) for each in expectations]))
    said = F.concat(
        F.lit(f"[EXPECTATION_VIOLATION.VERBOSITY_ALL] Flow '{flow}' failed to meet the expectation. Violated expectations: '"),
        F.concat_ws("', '", broken),
        F.lit("'. Input data: '"),
        F.to_json(F.struct(*[F.col(f"`{name}`") for name in columns])),
        F.lit("'."),
    )
    return F.when(F.size(broken) == 0, F.lit(True)).otherwise(F.raise_error(said).cast("boolean"))


class Counts:
    """The sums of what a flow's watches saw, over all its batches."""

    def __init__(self, watches: Sequence[Watch]) -> None:
        self._watches = watches
        self._sums: dict[str, dict[str, int]] = {}

    def add(self, observed: Mapping[str, Mapping[str, Any]]) -> None:
        """`{observation: {metric: value}}` of one batch."""
        for name, metrics in observed.items():
            held = self._sums.setdefault(name, {})
            for metric, value in metrics.items():
                held[metric] = held.get(metric, 0) + int(value or 0)

    def add_observed(self) -> None:
        """Of a batch that has been written. Raises PipelineError when Spark reported no counts."""
        for watch in self._watches:
            for observation in (watch.before, watch.after):
                deadline = time.monotonic() + _REPORT_SECONDS
                while not observation._jo.future().isCompleted():
                    if time.monotonic() > deadline:
                        raise PipelineError(f"Spark reported no row counts of {watch.dataset} within {_REPORT_SECONDS} s of writing it")
                    time.sleep(0.02)  # they arrive on another thread of the JVM, a moment after the write
                self.add({observation._name: observation.get})

    def _of(self, observation: Observation, metric: str = "rows") -> int:
        return self._sums.get(observation._name, {}).get(metric, 0)

    def output_rows(self, dataset: str) -> int:
        return sum(self._of(watch.after) for watch in self._watches if watch.dataset == dataset)

    def data_quality(self) -> dict[str, Any] | None:
        """As the event log has it; None where nothing is expected."""
        if not any(watch.expectations for watch in self._watches):
            return None
        expectations = []
        for watch in self._watches:
            for position, each in enumerate(watch.expectations):
                passed = self._of(watch.before, f"passed_{position}")
                failed = self._of(watch.before) - passed
                expectations.append({"name": each.name, "dataset": watch.dataset, "passed_records": passed, "failed_records": failed})
        dropped = sum(self._of(watch.before) - self._of(watch.after) for watch in self._watches)
        return {"dropped_records": dropped, "expectations": expectations}
