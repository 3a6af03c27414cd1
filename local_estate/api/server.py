"""The service process: `python -m local_estate.api.server`. One event loop, several loopback ports, one per face and workspace."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NoReturn

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from local_estate import full_disk
from local_estate.api import services
from local_estate.api.kernel.app import Application
from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.faults import Faults
from local_estate.api.kernel.identity import Credentials, Tokens
from local_estate.api.kernel.routing import Face, Router
from local_estate.api.kernel.store import Store, StoreOutdated
from local_estate.paths import Paths
from local_estate.process import EXPLAINED, HELD
from local_estate.spark.runtime import SparkRuntime

log = logging.getLogger("estate")

PORT = "kernel.port"  # documents: the port a face had last, tried first at the next start


class Server:
    """Owns the sockets. Ports come from the kernel; the last ones are tried first so that addresses seldom change."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._store = Store(paths.store)
        credentials = Credentials.load_or_create(paths.credentials)
        self._faces: dict[int, tuple[Face, int | None]] = {}
        self._listeners: dict[int, asyncio.Server] = {}
        self._workspaces: dict[str, dict[str, Any]] = {}
        self._announced: dict[str, dict[str, Any]] | None = None  # the workspaces in `endpoints.json`, None before there is one
        self._loop: asyncio.AbstractEventLoop
        self._protocol: Callable[[], asyncio.Protocol]
        self.estate = Estate(
            paths=paths,
            store=self._store,
            tokens=Tokens(credentials.signing_key),
            deployer_secret=credentials.deployer_secret,
            faults=Faults(),
            spark=SparkRuntime(paths),
            open_workspace=self._open_workspace,
            close_workspace=self._close_workspace,
            base_url=self.base_url,
        )

    async def run(self) -> None:
        self._loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, stop.set)
        loaded = services.load()
        for service in loaded:
            self.estate.answers.update(service.provides)
        application = Application(self.estate, Router(loaded), self._faces)
        config = uvicorn.Config(application, http="h11", log_config=None, access_log=False, lifespan="off", timeout_keep_alive=30)
        config.load()
        state = uvicorn.server.ServerState()
        self._protocol = lambda: H11Protocol(config=config, server_state=state, app_state={}, _loop=self._loop)
        for face in (Face.ARM, Face.ACCOUNT, Face.CONSOLE):
            await self._listen(face, None)
        # Services restore what they own first (the workspaces open their ports), then run their background work.
        stops = [await asyncio.to_thread(service.start, self.estate) for service in loaded if service.start]
        self._write_endpoints()
        log.info("listening; endpoints in %s", self._paths.endpoints)
        await stop.wait()
        self.estate.stopping.set()
        for listener in self._listeners.values():
            listener.close()
        for stopping in reversed(stops):
            await asyncio.to_thread(stopping)
        await asyncio.to_thread(self.estate.spark.close)
        application.close()
        self._paths.endpoints.unlink(missing_ok=True)

    def base_url(self, face: Face, workspace_id: int | None) -> str:
        for port, speaks in self._faces.items():
            if speaks == (face, workspace_id):
                return f"http://127.0.0.1:{port}"
        raise LookupError(f"no port speaks {face.value} for workspace {workspace_id}")

    async def _listen(self, face: Face, workspace_id: int | None) -> int:
        key = f"{face.value}/{workspace_id or ''}"
        stored = self._store.read.get(PORT, key)
        sock = _bind(stored["port"] if stored else 0)
        port: int = sock.getsockname()[1]
        with self._store.transaction() as transaction:
            transaction.put(PORT, key, {"port": port})
        self._faces[port] = (face, workspace_id)
        self._listeners[port] = await self._loop.create_server(self._protocol, sock=sock, backlog=256)
        return port

    def _open_workspace(self, workspace_id: int, host: str, resource_id: str) -> str:
        """From a request or background thread: opens (or finds) the workspace's port and announces it."""
        if host not in self._workspaces:
            opening: Future[int] = asyncio.run_coroutine_threadsafe(self._listen(Face.WORKSPACE, workspace_id), self._loop)
            url = f"http://127.0.0.1:{opening.result(timeout=10)}"
            self._workspaces[host] = {"url": url, "workspace_id": str(workspace_id), "resource_id": resource_id}
        if self._announced is not None and self._announced != self._workspaces:
            self._write_endpoints()
        return str(self._workspaces[host]["url"])

    def _close_workspace(self, workspace_id: int) -> None:
        self._workspaces = {host: entry for host, entry in self._workspaces.items() if entry["workspace_id"] != str(workspace_id)}
        for port, speaks in list(self._faces.items()):
            if speaks == (Face.WORKSPACE, workspace_id):
                self._loop.call_soon_threadsafe(self._listeners.pop(port).close)
        self._write_endpoints()

    def _write_endpoints(self) -> None:
        content = {
            "pid": os.getpid(),
            **{face.value: self.base_url(face, None) for face in (Face.ARM, Face.ACCOUNT, Face.CONSOLE)},
            "workspaces": self._workspaces,
        }
        draft = self._paths.endpoints.with_suffix(".draft")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(content, file, indent=2)
        draft.replace(self._paths.endpoints)
        self._announced = dict(self._workspaces)


def _bind(preferred: int) -> socket.socket:
    for port in (preferred, 0):
        # The protocol must be named: asyncio turns Nagle's algorithm off only then, and with it every reply waits 40 ms for an ACK.
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError as error:
            sock.close()
            if port == 0:
                raise
            log.warning("port %d is taken (%s); asking the kernel for another", port, error.strerror)
            continue
        sock.setblocking(False)
        return sock
    raise AssertionError("unreachable: port 0 either binds or raises")


def main() -> None:
    paths = Paths.from_environment()
    paths.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    logging.basicConfig(
        level=os.environ.get("ESTATE_LOG", "INFO"),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    lock = open(paths.home / "service.lock", "w")  # noqa: SIM115  held until the process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _leave(HELD, f"another local estate already serves {paths.home}; stop it with `estate down`")
    paths.endpoints.unlink(missing_ok=True)  # of a killed one
    try:
        asyncio.run(Server(paths).run())
    except StoreOutdated as outdated:
        _leave(EXPLAINED, str(outdated))
    except (OSError, sqlite3.OperationalError) as error:
        if said := full_disk.explained(error, paths.home):
            _leave(EXPLAINED, said)
        raise


def _leave(code: int, said: str) -> NoReturn:
    print(said, file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
