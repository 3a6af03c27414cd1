"""Ports that somebody else took while the service was down, and two starts at once."""

from __future__ import annotations

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from local_estate.process import ServiceDidNotStart, ServiceProcess
from tests.api.estate_setup import Arm, ready_workspace
from tests.conftest import RunningEstate


def _ports(estate: RunningEstate) -> dict[str, int]:
    content = estate.endpoints
    urls = {"arm": content["arm"], "account": content["account"]} | {host: each["url"] for host, each in content["workspaces"].items()}
    return {name: urlsplit(url).port or 0 for name, url in urls.items()}


def test_an_untaken_port_is_kept_over_a_restart(estate: RunningEstate) -> None:
    before = _ports(estate)
    estate.process.stop()
    estate.process.start()
    assert _ports(estate) == before


def test_taken_ports_are_named_in_a_line_each_and_replaced_by_others(estate: RunningEstate) -> None:
    ready_workspace(estate)
    before = _ports(estate)
    estate.process.stop()
    strangers = [socket.create_server(("127.0.0.1", port)) for port in before.values()]
    try:
        estate.process.start()
    finally:
        for stranger in strangers:
            stranger.close()
    after = _ports(estate)
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    said = estate.process.log.read_text().splitlines()
    for port in before.values():
        line = f"port {port} is taken (Address already in use); asking the kernel for another"
        assert [each for each in said if line in each]
    for url in (estate.arm, estate.account, *(each["url"] for each in estate.endpoints["workspaces"].values())):
        assert httpx.get(f"{url}/api/estate/1.0/health").json()["pid"] == estate.endpoints["pid"]


def test_two_starts_at_once_are_one_service(estate: RunningEstate) -> None:
    estate.process.stop()
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(lambda _: ServiceProcess(estate.paths).start(), range(2))
    assert first["pid"] == second["pid"]
    assert Arm(estate=estate).request("GET", "/resourceGroups").status_code == 200


def test_a_service_that_holds_the_home_and_does_not_answer_is_named_with_its_fix(estate: RunningEstate) -> None:
    announced = estate.endpoints
    estate.paths.endpoints.unlink()
    with pytest.raises(ServiceDidNotStart, match=r"another local estate serves .* and does not answer; end it with `estate down`"):
        estate.process.start(timeout=5)
    estate.paths.endpoints.write_text(json.dumps(announced))


def test_stopping_spares_a_stranger_that_got_the_number_of_a_killed_service(estate: RunningEstate) -> None:
    announced = estate.endpoints
    estate.paths.endpoints.write_text(json.dumps({**announced, "pid": os.getpid()}))
    assert estate.process.stop() is False
    estate.paths.endpoints.write_text(json.dumps(announced))
    assert estate.process.stop() is True
