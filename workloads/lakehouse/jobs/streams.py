"""What a finished stream says of itself."""

from __future__ import annotations

from pyspark.sql.streaming import StreamingQuery


def progress(query: StreamingQuery) -> int:
    """Rows the query read in this run, over its batches."""
    return sum(max(int(batch["numInputRows"]), 0) for batch in query.recentProgress)
