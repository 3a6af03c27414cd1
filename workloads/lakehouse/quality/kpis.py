"""The acceptance figures (blueprint, section 21): what was measured of each dataset, beside what its contract promises.

No engine here. A figure that hangs on too little is not measured, which is neither met nor missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lakehouse.contracts import DatasetContract
from lakehouse.contracts.monitors import Measure, Monitor, Sense, Threshold

# Of fewer rows a single bad one would miss a pass rate of 99 % by itself, and twenty are the least that have a 95th percentile.
ROWS_FOR_A_RATE = 100
ROWS_FOR_A_PERCENTILE = 20
PERCENTILE = 0.95


class Result(StrEnum):
    """How a figure stands to its objective."""

    MET = "met"
    # A target that is missed while the gate holds: work for the owner, nothing that stops.
    BELOW_TARGET = "below target"
    MISSED = "missed"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """What one run made of the rows it judged for a dataset."""

    run_id: str
    rows_in: int
    rows_quarantined: int


@dataclass(frozen=True, kw_only=True)
class Delay:
    """`rows` that were readable `seconds` after they had arrived; of rows that are not readable yet, how long they have waited so far."""

    rows: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What is known of a dataset in the time looked at: its runs, and the rows of each of its files.

    `delays` is None where nobody can tell; `last` is when it was last delivered, ever.
    """

    delivered: Sequence[Delivered] = ()
    files: Sequence[int] = ()
    delays: Sequence[Delay] | None = ()
    last: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Window:
    """The time that figures are about."""

    begin: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True)
class Kpi:
    """A figure of a dataset. `value` is None exactly where it was not measured; `note` says why, or what it is of.

    With a `gate` the objective is a target: between the two the figure is below target, past the gate it is missed.
    """

    dataset: DatasetContract
    name: str
    value: float | None
    objective: float
    sense: Sense
    rows: int
    runs: int
    note: str = ""
    gate: float | None = None

    @property
    def result(self) -> Result:
        if self.value is None:
            return Result.NOT_MEASURED
        if self._holds(self.value, self.objective):
            return Result.MET
        return Result.BELOW_TARGET if self.gate is not None and self._holds(self.value, self.gate) else Result.MISSED

    def _holds(self, value: float, bound: float) -> bool:
        return value >= bound if self.sense is Sense.AT_LEAST else value <= bound

    @property
    def standing(self) -> str:
        """The result in words, with the bounds where there are two."""
        if self.gate is None or self.result in (Result.MET, Result.NOT_MEASURED):
            return str(self.result)
        if self.result is Result.MISSED:
            return f"below the gate {self.gate:g}"
        return f"below the target {self.objective:g}, above the gate {self.gate:g}"

    def __str__(self) -> str:
        said = f"not measured, {self.note}" if self.value is None else f"{self.value:.6g} ({self.standing})"
        return f"{self.dataset.name} {self.name}: {said}, objective {self.sense} {self.objective:g}"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A value with what it hangs on; without a value, why there is none."""

    value: float | None = None
    rows: int = 0
    runs: int = 0
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class MatchRate:
    """A join as gold measured it last; `match_pct` is None where no row referred."""

    dataset: DatasetContract
    join: str
    rows: int
    match_pct: float | None
    objective: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Everything that figures are computed from. A dataset that is not in `observed` has never been run."""

    window: Window
    observed: Mapping[str, Observed] = field(default_factory=dict)
    match_rates: Sequence[MatchRate] = ()


def kpis(monitors: Iterable[Monitor], measured: Measured) -> list[Kpi]:
    """Every threshold of every monitor, then the match rates."""
    found = [_kpi(one, threshold, measured) for one in monitors for threshold in one.thresholds]
    return [*found, *map(_match, measured.match_rates)]


def missed(found: Iterable[Kpi]) -> list[Kpi]:
    """What was measured and does not meet its objective, targets included."""
    return [kpi for kpi in found if kpi.result in (Result.BELOW_TARGET, Result.MISSED)]


def percentile(delays: Sequence[Delay]) -> float:
    """The least delay within which PERCENTILE of the rows were there; by rows, not by deliveries."""
    needed = PERCENTILE * sum(delay.rows for delay in delays)
    seen = 0
    for delay in sorted(delays, key=lambda delay: delay.seconds):
        seen += delay.rows
        if seen >= needed:
            return delay.seconds
    raise ValueError("no rows have no percentile")


def _kpi(watched: Monitor, threshold: Threshold, measured: Measured) -> Kpi:
    observed = measured.observed.get(watched.dataset.name)
    figure = Figure(note="never run") if observed is None else _FIGURES[threshold.measure](observed, measured.window)
    return Kpi(
        dataset=watched.dataset,
        name=threshold.measure,
        value=figure.value,
        objective=threshold.objective,
        sense=threshold.sense,
        gate=threshold.gate,
        rows=figure.rows,
        runs=figure.runs,
        note=figure.note,
    )


def _pass_rate(observed: Observed, _: Window) -> Figure:
    rows, runs = sum(run.rows_in for run in observed.delivered), len(observed.delivered)
    if rows < ROWS_FOR_A_RATE:
        return Figure(rows=rows, runs=runs, note=_too_few(rows, ROWS_FOR_A_RATE))
    held = sum(run.rows_quarantined for run in observed.delivered)
    return Figure(value=100 * (1 - held / rows), rows=rows, runs=runs)


def _error_rate(observed: Observed, _: Window) -> Figure:
    """Of the worst run, for the objective is about a batch."""
    large = [run for run in observed.delivered if run.rows_in >= ROWS_FOR_A_RATE]
    if not large:
        most = max((run.rows_in for run in observed.delivered), default=0)
        return Figure(rows=most, runs=len(observed.delivered), note=_too_few(most, ROWS_FOR_A_RATE))
    worst = max(large, key=lambda run: run.rows_quarantined / run.rows_in)
    value = 100 * worst.rows_quarantined / worst.rows_in
    return Figure(value=value, rows=sum(run.rows_in for run in large), runs=len(large), note=f"worst run {worst.run_id}")


def _freshness(observed: Observed, _: Window) -> Figure:
    if observed.delays is None:
        return Figure(note="nothing measures it for this kind of dataset")
    rows = sum(delay.rows for delay in observed.delays)
    if rows < ROWS_FOR_A_PERCENTILE:
        return Figure(rows=rows, runs=len(observed.delays), note=_too_few(rows, ROWS_FOR_A_PERCENTILE))
    return Figure(value=percentile(observed.delays), rows=rows, runs=len(observed.delays))


def _fewest(observed: Observed, _: Window) -> Figure:
    return _volume(observed, min)


def _most(observed: Observed, _: Window) -> Figure:
    return _volume(observed, max)


def _volume(observed: Observed, extreme: Callable[[Sequence[int]], int]) -> Figure:
    if not observed.files:
        return Figure(note="no delivery")
    return Figure(value=float(extreme(observed.files)), rows=sum(observed.files), runs=len(observed.files))


def _silence(observed: Observed, window: Window) -> Figure:
    """How long ago the latest delivery came, however long that is: no data must not look like good data."""
    if observed.last is None:
        return Figure(note="never delivered")
    return Figure(value=(window.end - observed.last).total_seconds(), runs=1, note=f"last at {observed.last.isoformat(timespec='seconds')}")


_FIGURES = {
    Measure.PASSED: _pass_rate,
    Measure.ERROR_RATE: _error_rate,
    Measure.FRESHNESS: _freshness,
    Measure.FEWEST_ROWS: _fewest,
    Measure.MOST_ROWS: _most,
    Measure.SILENCE: _silence,
}


def _match(rate: MatchRate) -> Kpi:
    return Kpi(
        dataset=rate.dataset,
        name=f"match_pct.{rate.join}",
        value=rate.match_pct,
        objective=rate.objective,
        sense=Sense.AT_LEAST,
        rows=rate.rows,
        runs=1,
        note="" if rate.match_pct is not None else "no row refers",
    )


def _too_few(rows: int, needed: int) -> str:
    return f"{rows} rows, it takes {needed}"
