"""Topics of a broker: made on purpose, as in Event Hubs."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from local_estate.kafka.broker import Broker

# A broker that has just begun to listen may still be electing itself.
_PATIENCE = 30.0


def create_topic(broker: Broker, name: str, *, partitions: int) -> bool:
    """False when it was there. Raises KafkaException."""
    client = AdminClient(broker.librdkafka())
    made = client.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=1)], request_timeout=_PATIENCE)
    try:
        made[name].result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise
    return True
