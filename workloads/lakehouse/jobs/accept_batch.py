"""Records that a run of silver beyond its objective is accepted as it is, so that the marts may be published."""

from __future__ import annotations

from pyspark.sql import functions as F

from lakehouse import merge
from lakehouse.contracts import Kind, contract, of_system
from lakehouse.jobs.parameters import parse
from lakehouse.jobs.session import session
from lakehouse.quality.breaker import ACCEPTED, poor_runs


def main() -> None:
    parameters = parse("accept_batch", system=True, acceptance=True)
    catalogs, silver, spark = parameters.catalogs, of_system(parameters.system, Kind.SILVER), session()
    runs = {run.run_id: run for run in poor_runs(spark, catalogs, {parameters.system: silver})}
    if parameters.batch_run_id not in runs:
        held = "; ".join(map(str, runs.values())) or "none"
        raise SystemExit(f"accept_batch: no run {parameters.batch_run_id} of {silver.name} is held back. Held back: {held}")
    accepted = spark.range(1).select(
        F.lit(silver.name).alias("dataset"),
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
