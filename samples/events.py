"""`python -m samples.events --client FILE`: contact events into their topic, repeats, latecomers and poison among them.

FILE holds the settings of a librdkafka client as JSON (docs/streaming.md). Prints how many messages there are and what the stream must make
of them. With `--describe` instead it prints the topic: its producer makes it, and here that is us.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lakehouse.contracts.registry import topic

TOPIC = "sfdc.contact_events"
# One contact's events keep their order by the message's key, so that the number is for good.
PARTITIONS = 4
_WINDOW = timedelta(minutes=30)
_ALONE = ("EMAIL_RECEIVED", "STORE_VISIT", "PORTAL_LOGIN")


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message of the topic; one without a value is a tombstone."""

    key: bytes
    value: bytes | None


@dataclass(kw_only=True)
class Expected:
    """messages = events + repeats + poison; `late` and `interactions` are among the events."""

    messages: int = 0
    events: int = 0
    repeats: int = 0
    poison: int = 0
    late: int = 0
    interactions: int = 0


def _without(event: Mapping[str, object], name: str) -> bytes:
    return _json({key: value for key, value in event.items() if key != name})


def _json(event: Mapping[str, object]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


# Every way to break the contract, made from a good event.
POISON: Mapping[str, Callable[[dict[str, object]], bytes | None]] = {
    "no JSON": lambda event: b"call started, I think",
    "cut off": lambda event: _json(event)[:-9],
    "an array": lambda event: b"[" + _json(event) + b"]",
    "no text": lambda event: _json(event).replace(b'"note":', b'"note\xff\xfe":'),
    "empty": lambda event: None,
    "nested too deep": lambda event: b'{"note":' * 5_000 + b"1" + b"}" * 5_000,
    "a number for an id": lambda event: _json({**event, "contact_id": 7}),
    "an object for a note": lambda event: _json({**event, "note": {"text": "hello"}}),
    "no id": lambda event: _without(event, "event_id"),
    "no contact": lambda event: _json({**event, "contact_id": "  "}),
    "an unknown type": lambda event: _json({**event, "event_type": "FAX_RECEIVED"}),
    "a time without offset": lambda event: _json({**event, "occurred_ts": "2025-06-02T10:00:00"}),
    "next year": lambda event: _json({**event, "occurred_ts": "2999-01-01T00:00:00Z"}),
    "a NUL": lambda event: _json({**event, "note": "a\0b"}),
}


# Of the messages of a large sample, so many break the contract.
_POISON = 0.005


def contact_events(count: int, *, seed: int = 1, contacts: int = 500, until: datetime | None = None) -> tuple[list[Message], Expected]:
    """About half an hour of events up to `until` (now), in the order they happened but for latecomers, which happened hours before."""
    pick = random.Random(seed)
    end = until or datetime.now(UTC)
    expected = Expected()
    timed: list[tuple[datetime, Message]] = []
    poison = list(POISON.values())
    # A contact that is on the phone does not call again: each call or chat has a contact of its own, so that its pair is beyond doubt.
    talkers = iter(range(contacts + 1, contacts + count + 1))

    def add(event: dict[str, object], sent: datetime) -> None:
        timed.append((sent, Message(key=str(event["contact_id"]).encode(), value=_json(event))))
        expected.events += 1
        if pick.random() < 0.04:
            timed.append((sent + timedelta(seconds=pick.randrange(300)), timed[-1][1]))
            expected.repeats += 1

    while len(timed) < count:
        sent = end - _WINDOW * pick.random()
        dice = pick.random()
        event = _event(f"{seed}-{len(timed)}", pick.randint(1, contacts), pick.choice(_ALONE), sent, pick)
        # Each kind once at least, and below the errorRate of the contract, or the stream would stop, as it should.
        if dice < 0.02 and expected.poison < max(len(poison), count * _POISON):
            broken = poison[expected.poison % len(poison)](event)
            timed.append((sent, Message(key=str(event["contact_id"]).encode(), value=broken)))
            expected.poison += 1
        elif dice < 0.05:
            add({**event, "occurred_ts": _iso(sent - timedelta(hours=pick.randint(2, 40)))}, sent)
            expected.late += 1
        elif dice < 0.25:
            channel, who = pick.choice(("CALL", "CHAT")), next(talkers)
            begun = sent - timedelta(seconds=pick.randint(20, 1200))
            add(_event(f"{seed}-{len(timed)}", who, f"{channel}_STARTED", begun, pick), begun)
            add(_event(f"{seed}-{len(timed)}", who, f"{channel}_ENDED", sent, pick), sent)
            expected.interactions += 1
        else:
            add(event, sent)
    timed.sort(key=lambda item: item[0])
    return [message for _, message in timed], replace(expected, messages=len(timed))


def _event(number: str, contact: int, kind: str, occurred: datetime, pick: random.Random) -> dict[str, object]:
    return {
        "event_id": f"E{number}",
        "contact_id": f"003MT{contact:010d}",
        "event_type": kind,
        "service_id": f"S{pick.randint(1, 900):07d}" if pick.random() < 0.3 else None,
        "note": "wants to be called back" if pick.random() < 0.2 else None,
        "occurred_ts": _iso(occurred),
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _topic() -> str:
    declared = topic(TOPIC).topic
    assert declared is not None  # noqa: S101  contracts of kind topic have one
    return declared.name


def produce(messages: Iterable[Message], client: Mapping[str, str | int | float | bool], *, rate: int = 0) -> None:
    """Sends the messages to the topic of the contract, `rate` a second or as fast as it takes them, and waits until the broker has all.

    Raises RuntimeError with the first refusal.
    """
    from confluent_kafka import Producer

    name, refused = _topic(), list[str]()
    producer = Producer({**client, "enable.idempotence": True, "linger.ms": 20})
    began = time.monotonic()
    for number, message in enumerate(messages):
        while rate and (early := began + number / rate - time.monotonic()) > 0:
            producer.poll(early)
        while True:
            try:
                producer.produce(
                    name,
                    key=message.key,
                    value=message.value,
                    on_delivery=lambda error, _: refused.append(str(error)) if error is not None else None,
                )
                break
            except BufferError:  # the client's queue is full
                producer.poll(1)
        producer.poll(0)
    left = producer.flush(60)
    if left or refused:
        raise RuntimeError(f"{left + len(refused)} messages did not reach {name}: {refused[0] if refused else 'no answer in 60 s'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--client", type=Path, help="JSON file with the settings of a librdkafka client")
    task.add_argument("--describe", action="store_true", help="print the topic's name and partitions as JSON, send nothing")
    parser.add_argument("--count", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=int, default=0, help="messages a second; as fast as the broker takes them without")
    parser.add_argument("--contacts", type=int, default=500, help="how many contacts of the samples the events are about")
    given = parser.parse_args()
    if given.describe:
        print(json.dumps({"name": _topic(), "partitions": PARTITIONS}))
        return
    messages, expected = contact_events(given.count, seed=given.seed, contacts=given.contacts)
    produce(messages, json.loads(given.client.read_text()), rate=given.rate)
    print(json.dumps(asdict(expected)))


if __name__ == "__main__":
    main()
