"""A job: the wheel's history of customers against a MERGE as one would write it by hand. Arguments: catalog, keys, rounds.

Both start from the same versions and take the same changes of 5 % of the keys, each into a table of its own. Prints seconds as JSON.
"""

import json
import sys
import time
from collections.abc import Callable
from functools import partial

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import contract
from lakehouse.ddl import create_table
from lakehouse.gold.scd2 import TRACKED, customer_versions, refresh_versions
from lakehouse.names import TableName
from lakehouse.schema import column_names

CHANGED = 0.05
HISTORY, VERSIONS = contract("cmdm.customer_history"), contract("customer.dim_customer_scd2")
spark = SparkSession.builder.getOrCreate()


def table(catalog: str, name: str) -> TableName:
    return TableName(catalog=catalog, schema="bench", table=name)


def changes(keys: int, number: int) -> DataFrame:
    """Rows of customer_history: all keys for round 0, then 5 % of them, others every round."""
    every = round(1 / CHANGED)
    ids = spark.range(keys) if number == 0 else spark.range(keys).where(F.col("id") % every == number % every)
    told = {
        "customer_id": F.format_string("CU%09d", "id"),
        "first_name": F.concat(F.lit("Given"), F.col("id") % 1000),
        "last_name": F.concat(F.lit("Family"), F.col("id") % 5000),
        "email": F.concat(F.lit("c"), F.col("id"), F.lit("@example.com.au")),
        "phone": F.format_string("04%08d", (F.col("id") * 7 + number) % 100_000_000),
        "amdm_addr_id": F.format_string("AD%09d", "id"),
        "sfdc_contact_id": F.format_string("SF%09d", "id"),
        "is_deleted": F.lit(False),
        "change_type": F.lit("UPDATE" if number else "INSERT"),
        "updated_ts": F.lit(f"2025-06-{number + 1:02d} 00:00:00").cast("timestamp"),
        "_row_hash": F.sha2(F.concat_ws("|", F.col("id"), F.lit(number)), 256),
        "_run_id": F.lit("bench"),
        "_source_file": F.lit("bench.csv"),
        "_ingest_ts": F.current_timestamp(),
    }
    columns = [
        told[column.name].alias(column.name) if column.name in told else F.lit(None).cast(column.physical_type).alias(column.name)
        for column in HISTORY.columns
    ]
    return ids.select(*columns)


def by_hand(new: DataFrame, target: TableName) -> None:
    """Changed keys twice: once to close the current row, once with no key to be inserted. It knows neither late rows nor ties."""
    rows = new.withColumns(
        {
            "row_hash": F.sha2(F.to_json(F.struct(*TRACKED)), 256),
            "effective_from": F.col("updated_ts"),
            "effective_to": F.lit("9999-12-31 00:00:00").cast("timestamp"),
            "is_current": F.lit(True),
            "customer_sk": F.sha2("customer_id", 256),
            "customer_version_sk": F.sha2(F.concat_ws("|", "customer_id", "updated_ts"), 256),
        }
    ).select(*column_names(VERSIONS))
    staged = rows.withColumn("_key", F.col("customer_id")).unionByName(rows.withColumn("_key", F.lit(None).cast("string")))
    names = column_names(VERSIONS)
    spark.sql(
        f"MERGE INTO {target} t USING {{staged}} s ON t.customer_id = s._key AND t.is_current "
        "WHEN MATCHED AND t.row_hash <> s.row_hash THEN UPDATE SET is_current = false, effective_to = s.effective_from "
        f"WHEN NOT MATCHED AND s._key IS NULL THEN INSERT ({', '.join(names)}) VALUES ({', '.join(f's.{name}' for name in names)})",
        staged=staged,
    )


def seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main(catalog: str, keys: int, rounds: int) -> None:
    history, mine, hand = (table(catalog, name) for name in (f"history_{keys}", f"ours_{keys}", f"by_hand_{keys}"))
    for name, dataset in ((history, HISTORY), (mine, VERSIONS), (hand, VERSIONS)):
        spark.sql(f"DROP TABLE IF EXISTS {name}")
        spark.sql(create_table(dataset, name))
    changes(keys, 0).write.mode("append").saveAsTable(history.dotted)
    first = customer_versions(spark.read.table(history.dotted)).drop("_keeps")
    for name in (mine, hand):
        first.write.mode("append").saveAsTable(name.dotted)
    found: dict[str, list[float]] = {"ours": [], "by_hand": []}
    # Plans are compiled and the JVM warms up in the first round, which is not counted. Who goes second finds a warmer or a fuller
    # machine, so of an even number of rounds each goes first in half.
    for number in range(1, rounds + 2):
        changes(keys, number).write.mode("append").saveAsTable(history.dotted)
        new = spark.read.table(history.dotted).where(F.col("updated_ts") == f"2025-06-{number + 1:02d} 00:00:00")
        work = [("ours", partial(refresh_versions, new, history, mine)), ("by_hand", partial(by_hand, new, hand))]
        for which, do in work if number % 2 else reversed(work):
            found[which].append(seconds(do))
    found = {which: took[1:] for which, took in found.items()}
    rows = {name: spark.read.table(target.dotted).where("is_current").count() for name, target in (("ours", mine), ("by_hand", hand))}
    if set(rows.values()) != {keys}:
        raise RuntimeError(f"{keys} keys, but current rows are {rows}")
    for name in (history, mine, hand):
        spark.sql(f"DROP TABLE {name}")
    print("FOUND " + json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
