"""Takes the new landing files of one system into its bronze table."""

from __future__ import annotations

from lakehouse import merge
from lakehouse.contracts import Kind, of_system
from lakehouse.ingest.bronze import bronze_rows, landing_stream
from lakehouse.ingest.unreadable_files import listing, unreadable_files
from lakehouse.jobs.parameters import parse
from lakehouse.jobs.session import session
from lakehouse.jobs.streams import begin, finish


def main() -> None:
    parameters = parse("bronze", system=True)
    spark = session()
    catalogs = parameters.catalogs
    bronze, silver, quarantine = (of_system(parameters.system, kind) for kind in (Kind.BRONZE, Kind.SILVER, Kind.QUARANTINE))
    landing = catalogs.landing(parameters.system)

    rows = bronze_rows(landing_stream(spark, bronze, landing), bronze, run_id=parameters.run_id)
    checkpoint, what = catalogs.checkpoint(bronze), catalogs.table(bronze).dotted
    stream = rows.writeStream.outputMode("append").option("checkpointLocation", checkpoint).trigger(availableNow=True)
    taken = finish(spark, begin(spark, lambda: stream.toTable(what), what=what), checkpoint, what=what)
    print(f"{what}: {taken} rows taken in from {landing}")

    unreadable = unreadable_files(listing(spark, landing), bronze, silver, run_id=parameters.run_id)
    found = unreadable.collect()
    if found:
        merge.insert_missing(unreadable, catalogs.table(quarantine), ["quarantine_id"])
        for row in found:
            print(f"quarantined {row['source_file']}: {', '.join(row['errors'])}")


if __name__ == "__main__":
    main()
