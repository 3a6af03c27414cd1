"""Records that a run that was held back is accepted as it is: one beyond its objective, or one that a rule of severity stop stopped."""

from __future__ import annotations

from pyspark.sql import functions as F

from lakehouse import merge
from lakehouse.contracts import Kind, contract, load_contracts, of_system
from lakehouse.jobs.parameters import parse
from lakehouse.jobs.session import session
from lakehouse.quality.breaker import PoorRun, poor_runs
from lakehouse.quality.stop import ACCEPTED, StoppedRun, stopped_runs

# Kinds of tables that batches of a stream fill.
_FILLED = (Kind.SILVER, Kind.STREAM)


def main() -> None:
    parameters = parse("accept_batch", system=True, acceptance=True)
    catalogs, silver, spark = parameters.catalogs, of_system(parameters.system, Kind.SILVER), session()
    filled = {dataset.name: dataset for dataset in load_contracts() if dataset.system == parameters.system and dataset.kind in _FILLED}
    poor: list[PoorRun | StoppedRun] = [*poor_runs(spark, catalogs, {parameters.system: silver})]
    runs = {run.run_id: run for run in [*poor, *stopped_runs(spark, catalogs, filled)]}
    if parameters.batch_run_id not in runs:
        held = "; ".join(map(str, runs.values())) or "none"
        raise SystemExit(f"accept_batch: no run {parameters.batch_run_id} of {parameters.system} is held back. Held back: {held}")
    accepted = spark.range(1).select(
        F.lit(runs[parameters.batch_run_id].dataset.name).alias("dataset"),
        F.lit(parameters.batch_run_id).alias("run_id"),
        F.lit(parameters.reason).alias("reason"),
        F.lit(parameters.run_id).alias("accepted_run_id"),
        F.current_timestamp().alias("accepted_ts"),
    )
    dataset = contract(ACCEPTED)
    merge.insert_missing(accepted, catalogs.table(dataset), dataset.key)
    print(f"accepted: {runs[parameters.batch_run_id]}. Reason: {parameters.reason}")


if __name__ == "__main__":
    main()
