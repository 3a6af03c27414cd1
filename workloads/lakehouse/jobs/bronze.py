"""Takes the new landing files of one system into its bronze table, and gives every landed file its receipt."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pyspark.sql import SparkSession

from lakehouse import merge
from lakehouse.contracts import DatasetContract, Kind, of_system
from lakehouse.ingest import receipts
from lakehouse.ingest.bronze import bronze_rows, landing_stream
from lakehouse.ingest.headers import Header, first_line, judge, required_columns
from lakehouse.ingest.unreadable_files import unreadable_files
from lakehouse.jobs.parameters import parse
from lakehouse.jobs.session import session
from lakehouse.jobs.streams import begin, finish
from lakehouse.names import Catalogs


def main() -> None:
    parameters = parse("bronze", system=True)
    for line in take_in(session(), parameters.catalogs, parameters.system, run_id=parameters.run_id):
        print(line)


def take_in(spark: SparkSession, catalogs: Catalogs, system: str, *, run_id: str) -> list[str]:
    """Bronze, quarantine of whole files, receipts; a run that ends in between is simply run again. Returns what there is to say."""
    bronze, silver = of_system(system, Kind.BRONZE), of_system(system, Kind.SILVER)
    landing, started = catalogs.landing(system), time.time_ns() // 1000
    files = receipts.listing(_folder, landing)
    had = receipts.known(spark, catalogs, system)
    new = receipts.unseen(files, had)
    headers = _headers(spark, new, bronze, silver)
    problems = {path: header.problem for path, header in headers.items() if header.problem}

    rows = bronze_rows(landing_stream(spark, bronze, landing), bronze, run_id=run_id, problems=problems)
    checkpoint, what = catalogs.checkpoint(bronze), catalogs.table(bronze).dotted
    stream = rows.writeStream.outputMode("append").option("checkpointLocation", checkpoint).trigger(availableNow=True)
    read = finish(spark, begin(spark, lambda: stream.toTable(what), what=what), checkpoint, what=what)
    said = [f"{what}: {read} rows taken in from {landing}"]
    if not new and not read:
        return said
    landed_from = min((file.version.modified for file in new), default=started)
    found = receipts.taken(spark.read.table(what), landed_from=landed_from, since=started)
    made = receipts.receipts(files, had, found, headers, bronze)
    unreadable = unreadable_files(spark, made, bronze, silver, run_id=run_id)
    if unreadable is not None:
        merge.insert_missing(unreadable, catalogs.table(of_system(system, Kind.QUARANTINE)), ["quarantine_id"])
    # Last: what has a receipt is not looked at again.
    receipts.record(spark, made, bronze, catalogs, run_id=run_id)
    if made:
        said.append(receipts.told(made))
    return said + [str(receipt) for receipt in made if receipt.outcome is not receipts.Outcome.TAKEN or receipt.reason]


def _folder(path: str) -> Iterable[Any]:
    """Only a Databricks task has `dbutils`."""
    from databricks.sdk.runtime import dbutils

    return list(dbutils.fs.ls(path))


def _headers(spark: SparkSession, new: Sequence[receipts.Landed], bronze: DatasetContract, silver: DatasetContract) -> Mapping[str, Header]:
    """The headers of the new CSV files by path. Files without a line have none."""
    if bronze.landing is None or bronze.landing.format != "csv":
        return {}
    needed = required_columns(silver)
    paths = [file.version.path for file in new if file.bytes and file.version.path.endswith(".csv")]
    lines = {path: first_line(spark, path) for path in paths}
    return {path: judge(line, bronze, needed) for path, line in lines.items() if line is not None}


if __name__ == "__main__":
    main()
