"""Fixtures that start the real service on a directory of the test's own."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest

from local_estate import tenancy
from local_estate.paths import REPOSITORY, Paths
from local_estate.process import ServiceProcess

# A machine that is busy makes the first example of a property late, which says nothing about the property.
hypothesis.settings.register_profile("estate", deadline=None)
hypothesis.settings.load_profile("estate")


@dataclass(frozen=True)
class RunningEstate:
    """A service of its own: `arm`, `account` and `workspace()` are base URLs."""

    paths: Paths
    process: ServiceProcess

    @property
    def endpoints(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.paths.endpoints.read_text())
        return found

    @property
    def arm(self) -> str:
        return str(self.endpoints["arm"])

    @property
    def account(self) -> str:
        return str(self.endpoints["account"])

    @property
    def deployer_secret(self) -> str:
        return str(json.loads(self.paths.credentials.read_text())["deployer"]["client_secret"])

    def entra_token(self, resource: str) -> str:
        reply = httpx.post(
            f"{self.arm}/{tenancy.TENANT_ID}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": tenancy.DEPLOYER_CLIENT_ID,
                "client_secret": self.deployer_secret,
                "scope": f"{resource}/.default",
            },
        )
        reply.raise_for_status()
        return str(reply.json()["access_token"])

    def fault(self, **fault: Any) -> None:
        httpx.post(f"{self.arm}/api/estate/1.0/faults", json=fault).raise_for_status()


def start_estate(home: Path) -> RunningEstate:
    tools = Path(os.environ.get("ESTATE_TOOLS") or REPOSITORY / ".tools").absolute()
    paths = Paths(repository=REPOSITORY, tools=tools, home=home)
    process = ServiceProcess(paths)
    process.start(environment={"ESTATE_FAULTS": "1"})
    return RunningEstate(paths, process)


@pytest.fixture
def estate() -> Iterator[RunningEstate]:
    """A fresh estate for one test."""
    with tempfile.TemporaryDirectory(prefix="estate-") as home:
        running = start_estate(Path(home))
        yield running
        running.process.stop()


@pytest.fixture(scope="module")
def shared_estate() -> Iterator[RunningEstate]:
    """One estate for the tests of a file; they must not depend on each other's objects."""
    with tempfile.TemporaryDirectory(prefix="estate-") as home:
        running = start_estate(Path(home))
        yield running
        running.process.stop()
