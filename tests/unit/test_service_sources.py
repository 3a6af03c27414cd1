"""A service that runs code from before an edit is noticed by the digest of its sources."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from local_estate import service_sources
from local_estate.paths import REPOSITORY, Paths
from local_estate.process import ServiceProcess

IMPORTED = """
import sys
import local_estate.api.server
from local_estate.api import services
services.load()
for name, module in sorted(sys.modules.items()):
    if name.split(".")[0] == "local_estate" and getattr(module, "__file__", None):
        print(module.__file__)
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for file in service_sources.files(REPOSITORY):
        target = tmp_path / file.relative_to(REPOSITORY)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return tmp_path


@pytest.fixture
def running(copy: Path) -> Iterator[ServiceProcess]:
    """What a service started from `copy` answers about itself."""
    health = json.dumps({"pid": 1, "sources": service_sources.digest(copy)}).encode()

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(health)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    paths = Paths(repository=copy, tools=copy / "tools", home=copy / "home")
    paths.home.mkdir()
    paths.endpoints.write_text(json.dumps({"pid": 1, "arm": f"http://127.0.0.1:{server.server_port}"}))
    yield ServiceProcess(paths)
    server.shutdown()


def test_the_service_imports_nothing_that_is_not_in_the_digest() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert set(map(Path, done.stdout.split())) <= set(service_sources.files(REPOSITORY))


@pytest.mark.parametrize("edited", ["local_estate/api/server.py", "local_estate/spark/scala/Caller.scala", "local_estate/tenancy.py"])
def test_an_edit_of_what_the_service_runs_makes_it_outdated(running: ServiceProcess, copy: Path, edited: str) -> None:
    assert not running.outdated()
    (copy / edited).write_text((copy / edited).read_text() + "\n")
    assert running.outdated()


def test_an_edit_of_a_command_does_not(running: ServiceProcess, copy: Path) -> None:
    (copy / "local_estate/cli.py").write_text("# edited")
    assert not running.outdated()


def test_where_nothing_runs_nothing_is_outdated(tmp_path: Path) -> None:
    assert not ServiceProcess(Paths(repository=REPOSITORY, tools=tmp_path, home=tmp_path)).outdated()
