"""A pytest plugin that keeps what each test took, apart by set-up, call and tear-down, in `build/test-durations.json`.

Under xdist the controller hears of every worker's tests. Files that took longest go first, so that none of them is begun last.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from local_estate.paths import REPOSITORY

FILE = REPOSITORY / "build" / "test-durations.json"
_PHASES = ("setup", "call", "teardown")

Durations = dict[str, dict[str, float]]  # by test: seconds of each phase


class Recorder:
    def __init__(self, kept: Path) -> None:
        self._kept = kept
        self._took: Durations = defaultdict(dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._took[report.nodeid][report.when] = round(report.duration, 3)

    def pytest_sessionfinish(self) -> None:
        write(self._kept, self._took)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(FILE), "durations-recorder")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workers must agree on an order, and all read the same file, which is written when they have ended."""
    took = by_file(read(FILE))
    items.sort(key=lambda item: -took.get(_file(item.nodeid), 0.0))  # stable: tests of a file, and files never seen, stay as they were


def read(kept: Path) -> Durations:
    try:
        found: Durations = json.loads(kept.read_text())["tests"]
    except (OSError, ValueError, KeyError):
        return {}
    return found


def write(kept: Path, took: Mapping[str, Mapping[str, float]]) -> None:
    """Adds to what is kept; a file whose tests ran loses those that are no more."""
    ran = {_file(test) for test in took}
    tests: dict[str, Any] = {test: phases for test, phases in read(kept).items() if test in took or _file(test) not in ran}
    tests.update({test: dict(phases) for test, phases in took.items()})
    files = {file: round(seconds, 1) for file, seconds in sorted(by_file(tests).items(), key=lambda entry: -entry[1])}
    kept.parent.mkdir(parents=True, exist_ok=True)
    draft = kept.with_suffix(".draft")
    draft.write_text(json.dumps({"files": files, "tests": dict(sorted(tests.items()))}, indent=1))
    draft.replace(kept)


def by_file(tests: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    seconds: dict[str, float] = defaultdict(float)
    for test, phases in tests.items():
        seconds[_file(test)] += sum(phases.values())
    return dict(seconds)


def slowest(tests: Mapping[str, Mapping[str, float]], *, count: int = 15) -> list[str]:
    """Lines for the end of a run: the tests and the files that took longest, and where their time went."""
    order = sorted(tests, key=lambda test: -sum(tests[test].values()))[:count]
    lines = [f"{sum(tests[test].values()):7.1f} s  ({_spelt(tests[test])})  {test}" for test in order]
    files = sorted(by_file(tests).items(), key=lambda entry: -entry[1])[:count]
    return ["slowest tests:", *lines, "slowest files:", *(f"{seconds:7.1f} s  {file}" for file, seconds in files)]


def _spelt(phases: Mapping[str, float]) -> str:
    return ", ".join(f"{phase} {phases.get(phase, 0.0):.1f}" for phase in _PHASES)


def _file(test: str) -> str:
    return test.split("::", 1)[0]
