"""The broker belongs to its estate: what ends the estate ends it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil

from local_estate.kafka.broker import KafkaBroker
from local_estate.paths import REPOSITORY, Paths


def estate(home: Path, *arguments: str) -> str:
    own = {**os.environ, "ESTATE_HOME": str(home)}
    command = [sys.executable, "-m", "local_estate.cli", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_gone(pid: int) -> bool:
    """Its starter, this process, may not have reaped it yet."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_down_stops_the_broker_and_reset_takes_its_messages_too(tmp_path: Path) -> None:
    home = tmp_path / "estate"
    kafka = KafkaBroker(replace(Paths.from_environment(), home=home))
    first = kafka.start()
    assert kafka.start() == first
    assert estate(home, "down") == "stopped\n"
    assert kafka.running() is None
    assert estate(home, "down") == "nothing was running\n"

    second = kafka.start()
    # What clients know of it: a stream that runs on finds it again.
    assert (second.password, second.bootstrap_servers) == (first.password, first.bootstrap_servers)
    estate(home, "reset", "--yes")
    assert not home.exists()
    assert is_gone(second.pid)
