"""How a job reaches its topic: options of Spark's Kafka source, kept as one secret.

Address, protocol and credentials change together when a namespace moves or a key is rotated, so they are one value. The class that signs in
also goes by another name on Databricks (`kafkashaded.org.apache.kafka…`) than in Apache's client: it belongs to the place, not to the code.
"""

from __future__ import annotations

import json

from pyspark.sql import DataFrame, SparkSession

from lakehouse.contracts import DatasetContract

# Of a million a day, so that a first run over a week's backlog keeps its memory, and a batch its time.
MESSAGES_A_BATCH = 200_000
_ADDRESS = "kafka.bootstrap.servers"
# What a secret may say: where and as whom. What is read, and from where on, is the job's own business.
_ALLOWED = ("kafka.", "databricks.serviceCredential")


class BadConnection(ValueError):
    """The secret is not what the source needs; the message names it and never its content."""


def kafka_options(secret: str, *, name: str) -> dict[str, str]:
    """The secret `name`, a JSON object such as `{"kafka.bootstrap.servers": …, "kafka.security.protocol": "SASL_SSL", …}`."""
    try:
        found = json.loads(secret)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise BadConnection(f"secret {name} is no JSON object of texts; see docs/streaming.md, The connection")
    if unknown := [option for option in found if not option.startswith(_ALLOWED)]:
        raise BadConnection(f"secret {name} sets {sorted(unknown)[0]!r}; only options that start with {' or '.join(_ALLOWED)} belong there")
    if not found.get(_ADDRESS):
        raise BadConnection(f"secret {name} lacks {_ADDRESS!r}, the address of the broker or of the Event Hubs namespace")
    return found


def topic_stream(
    spark: SparkSession, topic: DatasetContract, options: dict[str, str], *, messages_a_batch: int = MESSAGES_A_BATCH
) -> DataFrame:
    """The messages of a topic: from its beginning at first, afterwards from where the checkpoint says.

    A gap stops the stream: messages that the topic no longer has were never read, and somebody should know (docs/runbooks/the-stream.md).
    """
    if topic.topic is None:
        raise ValueError(f"{topic.name} is no topic")
    reader = spark.readStream.format("kafka").options(**options).option("subscribe", topic.topic.name)
    reader = reader.option("startingOffsets", "earliest").option("failOnDataLoss", "true")
    return reader.option("maxOffsetsPerTrigger", messages_a_batch).load()
