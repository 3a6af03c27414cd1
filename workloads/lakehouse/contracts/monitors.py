"""What is watched of a dataset, and against which figures: derived from its contract, so that a promise and its check are said once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from lakehouse.contracts.dataset import DatasetContract, Kind

# What every dataset with rules works towards (blueprint, section 21); `errorRate` in the contract is where publishing stops.
PASS_RATE_PCT = 99.0
# A stream is always on, so nobody promises how often it runs.
_STREAM_EVERY = timedelta(hours=1)
# A topic has its nights; a day without a message is a producer, or a stream, that stopped.
_STREAM_SILENT_AFTER = timedelta(days=1)
# Their rows are judged one by one, so a share of them passes.
_JUDGED = (Kind.SILVER, Kind.STREAM)


class Sense(StrEnum):
    """On which side of its objective a figure is good."""

    AT_LEAST = "at least"
    AT_MOST = "at most"


class Measure(StrEnum):
    """What is measured of a dataset."""

    PASSED = "pass_rate_pct"
    ERROR_RATE = "error_rate_pct"
    FRESHNESS = "freshness_p95_seconds"
    FEWEST_ROWS = "rows_fewest"
    MOST_ROWS = "rows_most"
    SILENCE = "silence_seconds"


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A figure and what it is held to. Where the objective is a target, `gate` is the figure past which publishing stops."""

    measure: Measure
    sense: Sense
    objective: float
    gate: float | None = None

    def __str__(self) -> str:
        gate = "" if self.gate is None else f" (gate {self.gate:g})"
        return f"{self.measure} {self.sense} {self.objective:g}{gate}"


@dataclass(frozen=True, kw_only=True)
class Monitor:
    """A dataset, how often it has to be looked at, and its thresholds in the order of Measure."""

    dataset: DatasetContract
    every: timedelta
    thresholds: tuple[Threshold, ...]


def monitor(dataset: DatasetContract) -> Monitor | None:
    """None for a dataset that promises nothing that can be measured; tables that a job derives for others promise nothing."""
    promised = dataset.objectives
    found: list[tuple[Measure, Sense, float]] = []
    if dataset.kind in _JUDGED and promised.error_rate_pct is not None:
        found.append((Measure.PASSED, Sense.AT_LEAST, PASS_RATE_PCT))
        found.append((Measure.ERROR_RATE, Sense.AT_MOST, promised.error_rate_pct))
    if promised.freshness is not None and dataset.kind not in (Kind.TOPIC, Kind.OPERATIONS):
        found.append((Measure.FRESHNESS, Sense.AT_MOST, promised.freshness.total_seconds()))
    if promised.rows is not None:
        found.append((Measure.FEWEST_ROWS, Sense.AT_LEAST, promised.rows[0]))
        found.append((Measure.MOST_ROWS, Sense.AT_MOST, promised.rows[1]))
    if promised.frequency is not None and dataset.kind in (Kind.BRONZE, Kind.SILVER):
        # A delivery may take as long as the last one was quick, and the next is due only then.
        silence = promised.frequency + (promised.freshness or timedelta())
        found.append((Measure.SILENCE, Sense.AT_MOST, silence.total_seconds()))
    elif dataset.kind is Kind.STREAM:
        found.append((Measure.SILENCE, Sense.AT_MOST, (promised.frequency or _STREAM_SILENT_AFTER).total_seconds()))
    if not found:
        return None
    gates = {Measure.PASSED: 100 - promised.error_rate_pct} if promised.error_rate_pct is not None else {}
    thresholds = tuple(
        Threshold(measure=measure, sense=sense, objective=objective, gate=gates.get(measure)) for measure, sense, objective in found
    )
    return Monitor(dataset=dataset, every=promised.frequency or _STREAM_EVERY, thresholds=thresholds)
