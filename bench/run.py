"""`make bench`: medians with the machine's facts, as a table and as build/bench.json. Names select what is measured; all without one."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import jobs, schemas, stacks
from bench.measure import Report
from local_estate.paths import REPOSITORY, Paths
from local_estate.process import ServiceProcess

Benchmark = Callable[[Report, Paths], None]

BENCHMARKS: dict[str, Benchmark] = {
    "up": stacks.measure_up,
    "day": jobs.measure_day,
    "job-start": jobs.measure_job_start,
    "bronze": jobs.measure_bronze,
    "schemas": schemas.measure,
    "memory": stacks.measure_memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    report = Report()
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        paths = Paths(repository=REPOSITORY, tools=Paths.from_environment().tools, home=Path(home))
        try:
            stacks.first_up(report, paths)
            for name in names:
                BENCHMARKS[name](report, paths)
        finally:
            ServiceProcess(paths).stop()
    report.write(REPOSITORY / "build" / "bench.json")
    report.show()


if __name__ == "__main__":
    main()
