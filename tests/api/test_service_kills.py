"""The service killed at seeded points while two clients write: what it acknowledged is there afterwards."""

from __future__ import annotations

import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import httpx
import pytest

from tests.api.estate_setup import Arm
from tests.conftest import RunningEstate

KILLS = 5
WRITERS = 2


@pytest.mark.parametrize("seed", [1, 2])
def test_every_acknowledged_write_survives_seeded_kills(estate: RunningEstate, seed: int) -> None:
    points = random.Random(seed)
    names = (f"group-{number}" for number in count())
    sent: set[str] = set()
    acknowledged: list[str] = []
    turn = threading.Lock()

    def write(until: int, pid: int) -> None:
        """Until the service is gone. Whoever gets the last answer kills it, most often in the midst of the other one's request."""
        while True:
            with turn:
                name = next(names)
                sent.add(name)
            try:
                reply = Arm(estate=estate).request("PUT", f"/resourceGroups/{name}", {"location": "a"})
            except httpx.TransportError:
                return
            assert reply.status_code == 201, reply.text
            with turn:
                acknowledged.append(name)
                if len(acknowledged) == until:
                    os.kill(pid, signal.SIGKILL)

    for _ in range(KILLS):
        until, pid = len(acknowledged) + points.randint(1, 40), int(estate.endpoints["pid"])
        with ThreadPoolExecutor(WRITERS) as writers:
            list(writers.map(lambda _, until=until, pid=pid: write(until, pid), range(WRITERS)))
        os.waitpid(pid, 0)
        estate.process.start()
    listed = {each["name"] for each in Arm(estate=estate).request("GET", "/resourceGroups").json()["value"]}
    assert set(acknowledged) <= listed <= sent
