"""A real Kafka broker (KRaft, one node) for the streams of a local estate: what Event Hubs is to the cloud."""
