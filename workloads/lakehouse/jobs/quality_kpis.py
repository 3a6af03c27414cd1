"""Measures every dataset against what its contract promises and records the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pyspark.sql import SparkSession

from lakehouse import merge
from lakehouse.contracts import Kind, contract, load_contracts
from lakehouse.contracts.monitors import Monitor, monitor
from lakehouse.jobs.parameters import parse
from lakehouse.jobs.session import session
from lakehouse.names import Catalogs
from lakehouse.quality.kpis import Kpi, Result, Window, kpis, missed
from lakehouse.quality.measures import Freshness, measure
from lakehouse.schema import from_values
from lakehouse.streaming.latency import delays

KPIS = "platform.quality_kpis"
# Kinds of datasets that come by no landing file, and what times their rows.
FRESHNESS: Mapping[Kind, Freshness] = {Kind.STREAM: delays}


def main() -> None:
    parameters = parse("quality_kpis", kpis=True)
    spark = session()
    end = datetime.now(UTC)
    window = Window(begin=end - timedelta(days=parameters.window_days), end=end)
    found = kpis(monitors(), measure(spark, parameters.catalogs, window, FRESHNESS))
    record(spark, parameters.catalogs, found, window, run_id=parameters.run_id)
    for kpi in found:
        print(kpi)
    counts = Counter(kpi.result for kpi in found)
    told = ", ".join(f"{counts[result]} {result}" for result in Result)
    print(f"{len(found)} figures of {parameters.window_days} days: {told}")
    if parameters.enforce and (poor := missed(found)):
        raise SystemExit(f"quality_kpis: {len(poor)} objectives are missed. {'; '.join(map(str, poor))}. See docs/quality.md")


def monitors() -> list[Monitor]:
    return [watched for dataset in load_contracts() if (watched := monitor(dataset))]


def record(spark: SparkSession, catalogs: Catalogs, found: Sequence[Kpi], window: Window, *, run_id: str) -> None:
    """Figures of a run once, however often its task is tried."""
    values = [
        {
            "run_id": run_id,
            "dataset": kpi.dataset.name,
            "kpi": kpi.name,
            "layer": str(kpi.dataset.layer),
            "owner": kpi.dataset.owner,
            "value": kpi.value,
            "objective": kpi.objective,
            "sense": str(kpi.sense),
            "gate": kpi.gate,
            "result": str(kpi.result),
            "rows": kpi.rows,
            "runs": kpi.runs,
            "note": kpi.note or None,
            "measured_from": window.begin.isoformat(),
            "measured_to": window.end.isoformat(),
        }
        for kpi in found
    ]
    dataset = contract(KPIS)
    merge.insert_missing(from_values(spark, dataset, values), catalogs.table(dataset), dataset.key)


if __name__ == "__main__":
    main()
