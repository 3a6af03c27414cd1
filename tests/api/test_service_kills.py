"""The service killed at random moments while a client writes: what it acknowledged is there afterwards."""

from __future__ import annotations

import json
import os
import random
import signal
import threading

import httpx
import pytest

from tests.api.estate_setup import SUBSCRIPTION
from tests.conftest import RunningEstate

KILLS = 5


@pytest.mark.parametrize("seed", [1, 2])
def test_every_acknowledged_write_survives_seeded_kills(estate: RunningEstate, seed: int) -> None:
    moments = random.Random(seed)
    acknowledged: list[str] = []
    number = 0
    for _ in range(KILLS):
        headers = {"authorization": f"Bearer {estate.entra_token('https://management.azure.com')}"}
        pid = int(json.loads(estate.paths.endpoints.read_text())["pid"])
        killer = threading.Timer(moments.uniform(0.05, 0.4), os.kill, (pid, signal.SIGKILL))
        killer.start()
        base = estate.arm + SUBSCRIPTION
        try:
            while True:
                name = f"group-{number}"
                number += 1
                reply = httpx.put(f"{base}/resourceGroups/{name}?api-version=1", json={"location": "a"}, headers=headers)
                if reply.status_code == 201:
                    acknowledged.append(name)
        except httpx.HTTPError:
            killer.join()
        estate.process.start()
    headers = {"authorization": f"Bearer {estate.entra_token('https://management.azure.com')}"}
    listed = httpx.get(f"{estate.arm}{SUBSCRIPTION}/resourceGroups?api-version=1", headers=headers).json()["value"]
    assert len(acknowledged) > KILLS
    assert set(acknowledged) <= {each["name"] for each in listed}
