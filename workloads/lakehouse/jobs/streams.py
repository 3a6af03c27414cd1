"""Streams of the jobs: started so that no other run's is stopped for them, and waited for until they are at their end."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

_ANOTHER_RUN = "already active"


class StreamIsRunning(RuntimeError):
    """Another run has the stream of this checkpoint open."""


class StreamWasStopped(RuntimeError):
    """A stream ended before it had written what it had begun."""


def begin(spark: SparkSession, start: Callable[[], StreamingQuery], *, what: str) -> StreamingQuery:
    """Starts a stream with a checkpoint. Raises StreamIsRunning where another run of this cluster has it open.

    Of two clusters Spark lets one alone write a batch down in the checkpoint; the other's run fails and says so.
    """
    # By default Spark would stop the other run's stream, and that run would end as if it had come to its end.
    spark.conf.set("spark.sql.streaming.stopActiveRunOnRestart", "false")
    try:
        return start()
    except Exception as error:
        # An IllegalStateException of the JVM, for which PySpark has no class of its own.
        if _ANOTHER_RUN not in str(error):
            raise
        raise StreamIsRunning(
            f"{what}: another run is at it. One run at a time: wait until that run has ended (or cancel it), then start this one again; "
            "nothing was read or written"
        ) from None


def finish(spark: SparkSession, query: StreamingQuery, checkpoint: str, *, what: str) -> int:
    """Waits for the end of a stream that ends by itself, and says how many rows it read. Raises StreamWasStopped.

    A stream that somebody stops ends as quietly as one that has read everything. It leaves a batch that was begun and not committed.
    """
    query.awaitTermination()
    begun, committed = _last_batches(spark, checkpoint)
    if begun > committed:
        raise StreamWasStopped(
            f"{what}: the stream was stopped in batch {begun}, before that was written. Start the run again: it takes the batch up"
        )
    return progress(query)


def progress(query: StreamingQuery) -> int:
    """Rows the query read in this run, over its batches."""
    return sum(max(int(batch["numInputRows"]), 0) for batch in query.recentProgress)


def _last_batches(spark: SparkSession, checkpoint: str) -> tuple[int, int]:
    """The last batch that was begun and the last that was committed; -1 where there is none."""
    return _last(spark, f"{checkpoint.rstrip('/')}/offsets"), _last(spark, f"{checkpoint.rstrip('/')}/commits")


def _last(spark: SparkSession, log: str) -> int:
    """The greatest of the files of a log, which are named by batch."""
    try:
        found = spark.read.text(log).agg(F.max(F.col("_metadata.file_name").try_cast("bigint")).alias("last")).first()
    except AnalysisException as error:
        if error.getCondition() != "PATH_NOT_FOUND":
            raise
        return -1
    return -1 if found is None or found["last"] is None else int(found["last"])
