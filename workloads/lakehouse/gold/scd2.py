"""dim_customer_scd2: contiguous versions by business time, computed anew for the customers whose history grew.

The history table holds every valid version once, in any order of arrival. Versions are therefore a function of it: late rows land
between their neighbours, and computing them twice gives the same rows.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakehouse import merge
from lakehouse.contracts import contract
from lakehouse.gold.surrogate import surrogate_key
from lakehouse.names import TableName
from lakehouse.schema import column_names

KEEPS = "_keeps"
END_OF_TIME = "9999-12-31 00:00:00"
# What makes two versions differ. The hashes of e-mail and phone follow from them.
TRACKED = ("first_name", "last_name", "email", "phone", "amdm_addr_id", "sfdc_contact_id", "is_deleted")


def refresh_versions(grown: DataFrame, history: TableName, target: TableName) -> None:
    """Brings the target to what all of history says of the customers in `grown` (`customer_id`, any number of rows each)."""
    keys = grown.select("customer_id").localCheckpoint(eager=False)  # counting them makes it
    whole = grown.sparkSession.read.table(history.dotted)
    if keys.count() > merge.FEW:
        write_versions(customer_versions(whole.join(keys, "customer_id", "left_semi")), target)
    else:
        theirs = whole.join(F.broadcast(keys), "customer_id", "left_semi")
        write_versions(merge.few(customer_versions(theirs)), target)


def customer_versions(history: DataFrame) -> DataFrame:
    """All of a customer's history rows → one row a business time, in the columns of the contract plus `_keeps`.

    `_keeps` is false where a version repeats the one before it: it is no version then, and leaves the table if it was one. Of two rows of
    one business time the one delivered later counts, as in silver.
    """
    in_time = Window.partitionBy("customer_id").orderBy("updated_ts")
    # The same partitions and an order that goes on from the other: Spark shuffles and sorts once for both.
    with_ties = Window.partitionBy("customer_id").orderBy("updated_ts", *map(F.desc, (*merge.DELIVERY, "_row_hash")))
    tied = F.coalesce(F.col("updated_ts") == F.lag("updated_ts").over(with_ties), F.lit(False))
    tracked = F.sha2(F.to_json(F.struct(*TRACKED)), 256)
    ordered = history.withColumn("_tied", tied).where("NOT _tied").withColumn("row_hash", tracked)
    kept = ordered.withColumn(KEEPS, ~F.coalesce(F.col("row_hash") == F.lag("row_hash").over(in_time), F.lit(False)))
    next_kept = F.first(F.when(F.col(KEEPS), F.col("updated_ts")), ignorenulls=True).over(in_time.rowsBetween(1, Window.unboundedFollowing))
    dated = kept.withColumn("_next", next_kept).withColumns(
        {
            "effective_from": F.col("updated_ts"),
            "effective_to": F.coalesce("_next", F.lit(END_OF_TIME).cast("timestamp")),
            "is_current": F.col("_next").isNull(),
        }
    )
    keyed = dated.withColumns(
        {"customer_sk": surrogate_key("customer_id"), "customer_version_sk": surrogate_key("customer_id", "effective_from")}
    )
    return keyed.select(*column_names(contract("customer.dim_customer_scd2")), KEEPS)


def write_versions(versions: DataFrame, target: TableName) -> None:
    """Brings the target to `versions` for the customers in it; rows that are right stay untouched.

    Every target row of these customers has its business time in the history, so no row has to be looked for in the target first.
    """
    merge.run(
        versions,
        f"MERGE INTO {target} t USING {{source}} s ON t.customer_id = s.customer_id AND t.effective_from = s.effective_from "
        f"WHEN MATCHED AND NOT s.{KEEPS} THEN DELETE "
        "WHEN MATCHED AND (t.row_hash <> s.row_hash OR t.effective_to <> s.effective_to OR t.is_current <> s.is_current) THEN UPDATE SET * "
        f"WHEN NOT MATCHED AND s.{KEEPS} THEN INSERT *",
    )


def forget_versions(versions: DataFrame, touched: DataFrame, target: TableName) -> None:
    """Deletes the target's versions of the customers in `touched` whose business time is no longer in `versions`.

    Only a backfill takes history back, so that the daily merge need not look for such rows.
    """
    there = versions.sparkSession.read.table(target.dotted).join(touched, "customer_id", "left_semi")
    gone = there.join(versions, ["customer_id", "effective_from"], "left_anti").select("customer_id", "effective_from")
    merge.run(
        gone.localCheckpoint(),
        f"MERGE INTO {target} t USING {{source}} s ON t.customer_id = s.customer_id AND t.effective_from = s.effective_from "
        "WHEN MATCHED THEN DELETE",
    )
