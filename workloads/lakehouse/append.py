"""Appends of a stream's micro-batches that happen once, however often a batch is tried."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame

from lakehouse.names import TableName


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """A batch of a stream. `stream_id` lives as long as the checkpoint: a new checkpoint is a new stream that starts from 0 again."""

    stream_id: str
    batch_id: int


def append_once(rows: DataFrame, target: TableName, batch: MicroBatch) -> None:
    """Delta keeps stream and batch with the commit and passes over a batch it has."""
    writer = rows.write.format("delta").mode("append").option("txnAppId", batch.stream_id).option("txnVersion", batch.batch_id)
    writer.saveAsTable(target.dotted)
