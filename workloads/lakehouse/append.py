"""Appends of a stream's micro-batches that happen once, however often a batch is tried."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from lakehouse.names import TableName


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """A batch of a stream. `stream_id` lives as long as the checkpoint: a new checkpoint is a new stream that starts from 0 again."""

    stream_id: str
    batch_id: int


def stream_id(spark: SparkSession, checkpoint: str) -> str:
    """The id of the stream that has this checkpoint. Spark writes it down before the first batch."""
    kept = spark.read.text(f"{checkpoint.rstrip('/')}/metadata").first()
    if kept is None:
        raise ValueError(f"{checkpoint}: the file `metadata` is empty, so this stream has no id; start it with a new checkpoint")
    return str(json.loads(kept["value"])["id"])


def append_once(rows: DataFrame, target: TableName, batch: MicroBatch) -> None:
    """Delta keeps stream and batch with the commit and passes over a batch it has."""
    writer = rows.write.format("delta").mode("append").option("txnAppId", batch.stream_id).option("txnVersion", batch.batch_id)
    writer.saveAsTable(target.dotted)
