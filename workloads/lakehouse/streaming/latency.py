"""How long messages take to become readable: from Kafka's time of a message to the Delta commit that made its row readable.

Both are in the tables: `produced_ts` of the event, and the commit's time in the table's change feed. Two clocks meet here, that of the
producer and that of who commits; a difference between them is in every figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import DatasetContract, contract
from lakehouse.names import Catalogs, TableName
from lakehouse.quality.kpis import Delay, Window
from lakehouse.schema import declared_names

PRODUCED = "produced_ts"
SECONDS = "seconds"
_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Of `rows` that became readable, in seconds after their message was produced."""

    rows: int
    p50: float
    p95: float
    most: float


def latency(spark: SparkSession, catalogs: Catalogs, dataset: DatasetContract, *, within: timedelta = _DAY) -> Latency | None:
    """Raises ValueError for a dataset whose rows come from no message, so that nobody takes None for it."""
    found = _times(spark, catalogs, dataset, datetime.now(UTC) - within)
    return None if found is None else summary(found)


def delays(spark: SparkSession, catalogs: Catalogs, dataset: DatasetContract, window: Window) -> list[Delay]:
    """The same over a window, for the acceptance figures: rows by the whole seconds they took, so that there are few of them."""
    found = _times(spark, catalogs, dataset, window.begin)
    if found is None:
        return []
    took = F.greatest(F.ceil(SECONDS), F.lit(0)).alias("took")
    counted = found.groupBy(took).agg(F.count("*").alias("rows")).collect()
    return [Delay(rows=int(row["rows"]), seconds=float(row["took"])) for row in counted]


def _times(spark: SparkSession, catalogs: Catalogs, dataset: DatasetContract, since: datetime) -> DataFrame | None:
    """`seconds` of each row that came since then; None where no commit did."""
    produced = _produced(dataset)
    committed = _committed(spark, catalogs.table(dataset), since)
    if committed is None:
        return None
    for column, source in produced.items():
        if source is not None:
            events = spark.read.table(catalogs.table(source).dotted)
            committed = committed.join(events.select(F.col(source.key[0]).alias(column), F.col(PRODUCED).alias(f"_{column}")), column)
    times = [F.col(f"_{column}" if source else column) for column, source in produced.items()]
    return seconds(committed, F.greatest(*times) if len(times) > 1 else times[0])


def seconds(committed: DataFrame, produced: SparkColumn) -> DataFrame:
    """Rows of a change feed → `seconds` of each row that came, or came anew."""
    came = committed.where(F.col("_change_type").isin("insert", "update_postimage"))
    return came.select(((F.unix_micros("_commit_timestamp") - F.unix_micros(produced)) / 1e6).alias(SECONDS))


def summary(rows: DataFrame) -> Latency | None:
    found = rows.agg(
        F.count(SECONDS).alias("rows"), F.percentile(SECONDS, F.array(F.lit(0.5), F.lit(0.95))).alias("p"), F.max(SECONDS).alias("most")
    ).first()
    if found is None or not found["rows"]:
        return None
    return Latency(rows=int(found["rows"]), p50=float(found["p"][0]), p95=float(found["p"][1]), most=float(found["most"]))


def _produced(dataset: DatasetContract) -> dict[str, DatasetContract | None]:
    """Columns that tell when a row's messages were produced: its own (None), or keys of its events, the last of which counts."""
    if PRODUCED in declared_names(dataset):
        return {PRODUCED: None}
    events = contract(dataset.source) if dataset.source else None
    if events is None or PRODUCED not in declared_names(events):
        raise ValueError(f"{dataset.name} is filled from no topic: neither it nor its source has a column {PRODUCED}")
    of = f"{events.name}.{events.key[0]}"
    return {column.name: events for column in dataset.declared_columns if of in column.references}


def _committed(spark: SparkSession, table: TableName, since: datetime) -> DataFrame | None:
    """The change feed since then. Asked for what is after the last commit, Delta would refuse."""
    last = spark.sql(f"DESCRIBE HISTORY {table} LIMIT 1").select(F.unix_micros("timestamp").alias("at")).first()
    if last is None or last["at"] < since.timestamp() * 1e6:
        return None
    feed = spark.read.option("readChangeFeed", "true").option("startingTimestamp", since.isoformat())
    return feed.table(table.dotted)
