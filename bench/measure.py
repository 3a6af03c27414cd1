"""Timing, machine facts and the table."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """`samples` in `unit`; `aim` as the issue words it; `compared` names the comparison of the same run and its median.

    When, at which load and how fast the machine was then (see `machine`), the report adds.
    """

    name: str
    unit: str
    samples: tuple[float, ...]
    aim: str = ""
    compared: str = ""
    note: str = ""
    at: str = ""
    load: float = 0.0
    loop_ms: int = 0

    @property
    def median(self) -> float:
        return statistics.median(self.samples)


@dataclass
class Report:
    """Writes every measurement to `target` as it is made, so that a run that breaks off leaves what it has found."""

    target: Path
    measurements: list[Measurement] = field(default_factory=list)
    console: Console = field(default_factory=lambda: Console(highlight=False))

    def add(self, measurement: Measurement) -> Measurement:
        facts = machine()
        measurement = replace(measurement, **{name: facts[name] for name in ("at", "load", "loop_ms")})
        self.measurements.append(measurement)
        self.console.print(f"{measurement.name}: {measurement.median:,.2f} {measurement.unit} {measurement.compared}", markup=False)
        self._write()
        return measurement

    def timed(self, name: str, run: Callable[[], Any], *, times: int = 3, aim: str = "", compared: str = "", note: str = "") -> Measurement:
        samples = tuple(seconds(run) for _ in range(times))
        return self.add(Measurement(name=name, unit="s", samples=samples, aim=aim, compared=compared, note=note))

    def _write(self) -> None:
        """Replaces what was measured again, and keeps the rest with the time it was measured at."""
        target = self.target
        target.parent.mkdir(parents=True, exist_ok=True)
        rows = [{**vars(each), "samples": list(each.samples), "median": each.median} for each in self.measurements]
        measured = {row["name"] for row in rows}
        kept = json.loads(target.read_text())["measurements"] if target.exists() else []
        rows = [*(row for row in kept if row["name"] not in measured), *rows]
        target.write_text(json.dumps({"machine": machine(), "measurements": rows}, indent=2) + "\n")

    def show(self) -> None:
        table = Table(title="Benchmark " + json.dumps(machine()), title_justify="left")
        for column in ("what", "median", "unit", "runs", "aim", "compared with", "note"):
            table.add_column(column, justify="right" if column in {"median", "runs"} else "left")
        for each in self.measurements:
            median = f"{each.median:,.2f}"
            table.add_row(each.name, median, each.unit, str(len(each.samples)), each.aim, each.compared, each.note)
        self.console.print(table)


def seconds(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def machine() -> dict[str, Any]:
    """`loop_ms` is what a fixed loop takes: a guest on a busy host is slower at times, and seconds compare only where it is the same."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load": round(os.getloadavg()[0], 2),
        "loop_ms": round(1000 * seconds(lambda: sum(range(5_000_000)))),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
