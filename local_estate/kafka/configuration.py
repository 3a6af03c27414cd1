"""`server.properties` of the broker: one node that is broker and controller, on loopback, nothing without a password."""

from __future__ import annotations

import os
from pathlib import Path

NODE = 1
CLIENT = "lakehouse"
_BROKER = "broker"


def login(user: str, password: str) -> str:
    """The JAAS entry of a client, as `sasl.jaas.config` takes it."""
    return f'org.apache.kafka.common.security.plain.PlainLoginModule required username="{user}" password="{password}";'


def server_properties(data: Path, *, broker_port: int, controller_port: int, password: str) -> str:
    """The broker signs in to itself with the clients' password: whoever reads the file is the owner of the estate."""
    users = f'user_{_BROKER}="{password}" user_{CLIENT}="{password}";'
    entry = f"{login(_BROKER, password)[:-1]} {users}"
    settings = {
        "process.roles": "broker,controller",
        "node.id": NODE,
        "controller.quorum.voters": f"{NODE}@127.0.0.1:{controller_port}",
        "listeners": f"CLIENTS://127.0.0.1:{broker_port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"CLIENTS://127.0.0.1:{broker_port}",
        "listener.security.protocol.map": "CLIENTS:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "CLIENTS",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.clients.plain.sasl.jaas.config": entry,
        "listener.name.controller.plain.sasl.jaas.config": entry,
        "log.dirs": data,
        # As Event Hubs on its standard tier: a topic is made on purpose, holds messages for days and takes at most 1 MiB in one.
        "auto.create.topics.enable": "false",
        "log.retention.hours": 168,
        "message.max.bytes": 1_048_588,
        # One node keeps one copy.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "num.network.threads": 2,
        "num.io.threads": 2,
        "log.cleaner.dedupe.buffer.size": 8_388_608,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def write_private(file: Path, content: str) -> None:
    """Readable by its owner only, from its first byte on, and there as a whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_suffix(".draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(content)
    draft.replace(file)
