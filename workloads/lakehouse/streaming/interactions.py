"""Starts and ends of calls and chats, joined as they come: the one place where the stream has to remember.

Both sides wait for each other in Spark's state, and the watermark says for how long: an event may come in LATE_AFTER behind the newest, an
end up to LONGEST after its start. What is later than that is in the events table all the same, and Spark counts it.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakehouse import merge
from lakehouse.contracts import DatasetContract
from lakehouse.names import TableName
from lakehouse.schema import column_names

LATE_AFTER = "1 hour"
LONGEST = "INTERVAL 4 HOURS"
_STARTED, _ENDED = "_STARTED", "_ENDED"


def interactions(events: DataFrame) -> DataFrame:
    """Events (a stream, or a table) → every end with every start of the contact and channel that it may belong to."""

    def side(suffix: str, word: str, *more: str) -> DataFrame:
        of_kind = events.where(F.col("event_type").endswith(suffix)).withWatermark("occurred_ts", LATE_AFTER)
        return of_kind.select(
            F.col("event_id").alias(f"{word}_event_id"),
            F.col("contact_id").alias(f"_{word}_contact"),
            F.replace("event_type", F.lit(suffix), F.lit("")).alias(f"_{word}_channel"),
            F.col("occurred_ts").alias(f"{word}_ts"),
            *more,
        )

    started, ended = side(_STARTED, "started"), side(_ENDED, "ended", "customer_id")
    together = (
        (F.col("_started_contact") == F.col("_ended_contact"))
        & (F.col("_started_channel") == F.col("_ended_channel"))
        & (F.col("ended_ts") >= F.col("started_ts"))
        & (F.col("ended_ts") <= F.col("started_ts") + F.expr(LONGEST))
    )
    return started.join(ended, together).select(
        "ended_event_id",
        "started_event_id",
        F.col("_ended_contact").alias("contact_id"),
        F.col("_ended_channel").alias("channel"),
        "customer_id",
        "started_ts",
        "ended_ts",
        (F.unix_seconds("ended_ts") - F.unix_seconds("started_ts")).alias("seconds"),
    )


def last_starts(pairs: DataFrame) -> DataFrame:
    """One row an end, with the last of its starts: an earlier one lost its own end."""
    order = Window.partitionBy("ended_event_id").orderBy(F.desc("started_ts"), F.desc("started_event_id"))
    return pairs.withColumn("_nearest", F.row_number().over(order)).where("_nearest = 1").drop("_nearest")


def write_interactions(pairs: DataFrame, target: TableName, dataset: DatasetContract, *, run_id: str) -> None:
    """By key, and only for a later start: a batch that is tried again changes nothing, and the order of batches does not matter."""
    stamped = last_starts(pairs).withColumns(
        {"_warnings": F.array().cast("array<string>"), "_processed_ts": F.current_timestamp(), "_run_id": F.lit(run_id)}
    )
    later = "(s.started_ts > t.started_ts OR (s.started_ts = t.started_ts AND s.started_event_id > t.started_event_id))"
    merge.upsert(stamped.select(*column_names(dataset)), target, dataset.key, when=later)
