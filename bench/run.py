"""`make bench`: medians with the machine's facts, as a table and as build/bench.json. Names select what is measured; all without one."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from bench import jobs, lakehouse, schemas, stacks, streaming
from bench.measure import Report
from local_estate.paths import REPOSITORY, Paths

RESULTS = REPOSITORY / "build" / "bench.json"
Benchmark = Callable[[Report, Paths], None]

BENCHMARKS: dict[str, Benchmark] = {
    "up": stacks.measure_up,
    "day": jobs.measure_day,
    "job-start": jobs.measure_job_start,
    "bronze": jobs.measure_bronze,
    "stream": streaming.measure,
    "schemas": schemas.measure,
    "memory": stacks.measure_memory,
    "scd2": lakehouse.measure_scd2,
    "silver": lakehouse.measure_silver,
}


# What needs an estate of its own, or none: run by themselves, after the others.
ALONE: dict[str, Callable[[Report], None]] = {
    "million": lakehouse.measure_million,
    "cold": stacks.measure_cold,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join([*BENCHMARKS, *ALONE])}")
    names = parser.parse_args().names or [*BENCHMARKS, *ALONE]
    if unknown := set(names) - {*BENCHMARKS, *ALONE}:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join([*BENCHMARKS, *ALONE])}")
    report = Report(target=RESULTS)
    if chosen := [name for name in names if name in BENCHMARKS]:
        with stacks.own_estate() as paths:
            stacks.first_up(report, paths)
            for name in chosen:
                BENCHMARKS[name](report, paths)
    for name in names:
        if name in ALONE:
            ALONE[name](report)
    report.show()


if __name__ == "__main__":
    main()
