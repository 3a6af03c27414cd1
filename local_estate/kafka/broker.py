"""Starts, finds and stops the broker of an estate. Who needs it starts it, `estate up` does not (docs/decisions/0009); `down` stops it."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from local_estate.kafka.configuration import CLIENT, login, server_properties, write_private
from local_estate.paths import Paths
from local_estate.spark.jars import find_jdk, resolve_jars

HERE = Path(__file__).parent
LOCK = HERE / "kafka.lock"
MAIN = "kafka.Kafka"
_FORMAT = "kafka.tools.StorageTool"
_PORT_TAKEN = "Address already in use"


class BrokerDidNotStart(Exception):
    """The broker ended, or did not listen in time; the message carries the end of its log."""


class BrokerPortTaken(BrokerDidNotStart):
    """Somebody else has the port at which clients know the broker; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Broker:
    """A running broker and how to sign in to it."""

    pid: int
    bootstrap_servers: str
    user: str
    password: str = field(repr=False)

    def client_properties(self) -> dict[str, str]:
        """What a Java client sets."""
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.jaas.config": login(self.user, self.password),
        }

    def spark_options(self) -> dict[str, str]:
        """What Spark's Kafka source and sink take: the secret that the stream's job reads."""
        return {f"kafka.{name}": value for name, value in self.client_properties().items()}

    def librdkafka(self) -> dict[str, str | int | float | bool]:
        """What a client of confluent-kafka sets."""
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": "sasl_plaintext",
            "sasl.mechanism": "PLAIN",
            "sasl.username": self.user,
            "sasl.password": self.password,
        }


@dataclass(frozen=True)
class KafkaBroker:
    """The one broker of `paths.home`; its messages stay when it stops, and so does its port: a stream that runs on finds it again."""

    paths: Paths

    @property
    def folder(self) -> Path:
        return self.paths.home / "kafka"

    @property
    def log(self) -> Path:
        return self.paths.logs / "kafka.log"

    @property
    def _announcement(self) -> Path:
        return self.folder / "broker.json"

    def running(self) -> Broker | None:
        """The broker that was announced, if its process lives. A killed one's number may have gone to a stranger."""
        try:
            broker = Broker(**json.loads(self._announcement.read_text()))
            command = psutil.Process(broker.pid).cmdline()
        except (OSError, ValueError, TypeError, psutil.Error):
            return None
        return broker if MAIN in command and str(self._properties) in command else None

    def start(self, *, timeout: float = 60) -> Broker:
        """Finds the running broker or starts one, detached. Raises BrokerDidNotStart (BrokerPortTaken is one), jars.ToolMissing."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(self.folder / "start.lock"):
            if found := self.running():
                return found
            for attempt in (1, 2, 3):
                try:
                    return self._start(timeout)
                except BrokerPortTaken:
                    raise
                except BrokerDidNotStart as error:
                    # Between our asking the kernel for a free port and the broker's taking it, somebody else may have.
                    if attempt == 3 or _PORT_TAKEN not in str(error):
                        raise
        raise AssertionError("unreachable")

    def stop(self, *, timeout: float = 30) -> bool:
        """True when there was one to stop."""
        found = self.running()
        if found is None:
            return False
        process = psutil.Process(found.pid)
        process.terminate()
        if not _ends(process, timeout):
            process.kill()
            _ends(process, timeout)
        self._announcement.unlink(missing_ok=True)
        return True

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _start(self, timeout: float) -> Broker:
        kept = self._kept_port()
        free_port, controller_port = _free_ports()
        broker_port = kept or free_port
        password = self._password()
        data = self.folder / "data"
        properties = server_properties(data, broker_port=broker_port, controller_port=controller_port, password=password)
        write_private(self._properties, properties)
        self.paths.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (data / "meta.properties").exists():
            self._format()
        with self.log.open("ab") as log:
            at = log.tell()
            process = subprocess.Popen(
                [*self._java(), MAIN, str(self._properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                cwd=self.folder,
                start_new_session=True,
            )
        self._wait(process, broker_port, at, timeout)
        write_private(self._port, str(broker_port))
        broker = Broker(pid=process.pid, bootstrap_servers=f"127.0.0.1:{broker_port}", user=CLIENT, password=password)
        write_private(self._announcement, json.dumps(asdict(broker)))
        return broker

    @property
    def _port(self) -> Path:
        return self.folder / "port"

    def _kept_port(self) -> int | None:
        """The port of the first start, None before it. Raises BrokerPortTaken where somebody has it."""
        if not self._port.exists():
            return None
        port = int(self._port.read_text())
        with socket.socket() as asked:
            asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                asked.bind(("127.0.0.1", port))
            except OSError as error:
                raise BrokerPortTaken(
                    f"port {port}, at which streams know the Kafka broker of {self.paths.home}, is taken by another process: "
                    f"{error.strerror}. Fix: end that process. Or delete {self._port}: the broker takes a free port, and each running "
                    "stream has to be started again after `estate stream` has put the new address into its secret"
                ) from None
        return port

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = [*self._java(), _FORMAT, "format", "--cluster-id", cluster, "--config", str(self._properties)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=_environment())
        if done.returncode != 0:
            raise BrokerDidNotStart(f"{self.folder} cannot be made Kafka's storage: {(done.stdout + done.stderr).strip()[-800:]}")

    def _java(self) -> list[str]:
        jdk = find_jdk(self.paths)
        jars = resolve_jars(self.paths, jdk, LOCK)
        # Small and soon started; a broker of one laptop's events never needs the optimising compiler.
        options = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"]
        return [str(jdk.java), *options, "-cp", os.pathsep.join(map(str, jars))]

    def _password(self) -> str:
        """Made once: the secret that clients hold stays good over restarts."""
        file = self.folder / "password"
        if not file.exists():
            write_private(file, secrets.token_urlsafe(24))
        return file.read_text()

    def _wait(self, process: subprocess.Popen[bytes], port: int, at: int, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not _listens(port):
            if process.poll() is not None:
                raise BrokerDidNotStart(f"the Kafka broker ended with {process.returncode}; the end of {self.log}:\n{self._said(at)}")
            if time.monotonic() > deadline:
                process.kill()
                process.wait()
                raise BrokerDidNotStart(f"the Kafka broker did not listen within {timeout:.0f} s; the end of {self.log}:\n{self._said(at)}")
            time.sleep(0.05)  # another process's port: there is nothing to be told by

    def _said(self, at: int) -> str:
        with self.log.open("rb") as file:
            file.seek(at)
            return "\n".join(file.read().decode(errors="replace").splitlines()[-15:])


def _ends(process: psutil.Process, timeout: float) -> bool:
    """Within the time. Whoever started it may live on and not have reaped it."""
    deadline = time.monotonic() + timeout
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)  # not our child: there is nothing to be told by
    return True


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        for opened in (first, second):
            opened.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _environment() -> dict[str, str]:
    """Nothing that names a credential."""
    return {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "JAVA_HOME"}}


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Two starts at once make one broker."""
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
