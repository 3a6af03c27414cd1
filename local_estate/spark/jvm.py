"""The warm JVM as a child process, and the loopback calls to the control server inside it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

import httpx

from local_estate.paths import Paths
from local_estate.spark.jars import pyspark_home
from local_estate.spark.launch import Launch

LOGGING = Path(__file__).parent / "log4j2.properties"
_REFUSED = 78  # what ControlServer.scala's self-test exits with
COMPILE_PLANS = "ESTATE_SPARK_COMPILE_PLANS"

# Writing, compiling and warming Java for each plan takes a laptop's day of data longer than interpreting the plan does (bench: silver
# 50 s against 32 s). From about a million rows a day the compiled plan wins: $ESTATE_SPARK_COMPILE_PLANS=1. Results are the same.
_INTERPRETED = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",  # planning every stage again has nothing to gain from two partitions
}


class JvmDidNotStart(Exception):
    """The JVM ended before it listened; the message carries its last lines."""


class JvmRefusedToStart(JvmDidNotStart):
    """Its self-test found that it would not govern."""


class JvmGone(Exception):
    """The JVM ended or was killed while it was being spoken to."""


class ControlRefused(Exception):
    """The control server answered with an error: `{error_class, sql_state, message}`."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error.get("message", error)))
        self.error = error


class Jvm:
    """One started JVM. It ends when this process closes its input, so also when this process is killed."""

    def __init__(self, paths: Paths, *, heap: str) -> None:
        self._secret = secrets.token_urlsafe(32)
        self._log = paths.logs / "spark.log"
        self._log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        paths.adls.mkdir(parents=True, exist_ok=True)
        state = paths.home / "spark"
        state.mkdir(exist_ok=True, mode=0o700)
        self._scratch = tempfile.TemporaryDirectory(dir=state, prefix="jvm-", ignore_cleanup_errors=True)
        launch = Launch.of(paths)
        try:
            address = self._start(launch, paths, heap, cached=launch.has_cache)
        except JvmDidNotStart as ended:
            if isinstance(ended, JvmRefusedToStart) or not launch.has_cache:
                self._scratch.cleanup()
                raise
            # A damaged cache can end a JVM where a foreign one only warns. It can be made again; a start that fails for it cannot.
            launch.cache.unlink(missing_ok=True)
            self._note("the JVM did not start with its ahead-of-time cache, which is deleted; starting again without")
            address = self._start(launch, paths, heap, cached=False)
        # A statement may take as long as it needs; its death shows as a closed connection.
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{address['port']}",
            headers={"X-Estate-Secret": self._secret},
            timeout=httpx.Timeout(30.0, read=None, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            trust_env=False,
        )

    def _start(self, launch: Launch, paths: Paths, heap: str, *, cached: bool) -> dict[str, Any]:
        scratch = Path(self._scratch.name)
        properties = (f"-Djava.io.tmpdir={scratch}", f"-Destate.home={paths.home}", f"-Dlog4j2.configurationFile={LOGGING}")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*launch.command(heap, *properties, cached=cached), "mt.estate.ControlServer"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=java_environment(),
                cwd=scratch,
                start_new_session=True,
            )
        self.pid = self._process.pid
        return self._hand_over(spark_configuration(scratch))

    def _hand_over(self, configuration: dict[str, str]) -> dict[str, Any]:
        line = b""
        if self._process.stdin and self._process.stdout:
            with contextlib.suppress(OSError):
                self._process.stdin.write(json.dumps({"secret": self._secret, "conf": configuration}).encode() + b"\n")
                self._process.stdin.flush()
                line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            kind = JvmRefusedToStart if code == _REFUSED else JvmDidNotStart
            raise kind(f"the Spark JVM ended with {code} before it listened; the end of {self._log}:\n{self._tail()}")
        address: dict[str, Any] = json.loads(line)
        return address

    def _note(self, line: str) -> None:
        with self._log.open("a") as log:
            log.write(f"{line}\n")

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-12:])

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON answer. Raises ControlRefused with the server's error, JvmGone when there is nobody to answer."""
        try:
            reply = self._http.request(method, path, json=body)
        except httpx.TransportError as error:
            # A killed process loses its connections before it is gone, and who asks next must not find it alive.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=10)
            raise JvmGone(f"the Spark JVM (pid {self.pid}) does not answer: {type(error).__name__}") from None
        content = reply.json()
        if reply.status_code >= 300:
            refusal = content["error"]
            raise ControlRefused(refusal if isinstance(refusal, dict) else {"message": str(refusal)})
        return content

    def close(self) -> None:
        self._http.close()
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        # Files may still be closing on other threads of this process.
        threading.Thread(target=self._scratch.cleanup, daemon=False).start()


def java_environment() -> dict[str, str]:
    """What the JVM and its Python workers inherit: nothing that names a credential."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "JAVA_HOME"}}
    return {**kept, "SPARK_HOME": str(pyspark_home()), "PYSPARK_PIN_THREAD": "true", "SPARK_LOCAL_IP": "127.0.0.1"}


def spark_configuration(scratch: Path) -> dict[str, str]:
    """Small data on few cores; the governance of every session."""
    governance = {
        "spark.sql.extensions": "mt.estate.EstateExtensions,io.delta.sql.DeltaSparkSessionExtension,mt.estate.EstateSqlExtensions",
        "spark.sql.catalog.spark_catalog": "mt.estate.NamelessCatalog",
        "spark.hadoop.fs.defaultFS": "dbfs:///",
        "spark.hadoop.fs.dbfs.impl": "mt.estate.DbfsFileSystem",
        "spark.hadoop.fs.abfss.impl": "mt.estate.AbfssFileSystem",
        "spark.hadoop.fs.file.impl": "mt.estate.GuardedLocalFileSystem",
        "spark.hadoop.fs.AbstractFileSystem.dbfs.impl": "mt.estate.DbfsContext",
        "spark.hadoop.fs.AbstractFileSystem.abfss.impl": "mt.estate.AbfssContext",
        "spark.delta.logStore.abfss.impl": "mt.estate.EstateLogStore",
        "spark.delta.logStore.dbfs.impl": "mt.estate.EstateLogStore",
    }
    size = {
        "spark.master": f"local[{max(4, os.cpu_count() or 1)}]",
        "spark.scheduler.mode": "FAIR",
        "spark.sql.sources.default": "delta",
        "spark.sql.shuffle.partitions": "2",
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
        "spark.sql.ui.retainedExecutions": "10",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    place = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": f"file:{scratch}/warehouse",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.session.timeZone": "UTC",
        "spark.eventLog.enabled": "false",
    }
    return {**governance, **size, **place, **(_INTERPRETED if os.environ.get(COMPILE_PLANS) != "1" else {})}
