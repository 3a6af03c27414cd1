"""Starts and stops the service process, and says where it listens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_estate import service_sources
from local_estate.paths import Paths

MODULE = "local_estate.api.server"

# Exit codes of a service that did not come to serve: its last line says why, or another one already holds the home.
EXPLAINED = 3
HELD = 4


class ServiceDidNotStart(Exception):
    """The service ended before it listened; the message carries the end of its log."""


@dataclass(frozen=True)
class ServiceProcess:
    """The one service of `paths.home`; `start` finds a running one or starts it detached."""

    paths: Paths

    @property
    def log(self) -> Path:
        return self.paths.logs / "service.log"

    def endpoints(self) -> dict[str, Any] | None:
        """The announced endpoints if the process that wrote them answers, else None."""
        return self._answering()[0]

    def outdated(self) -> bool:
        """Whether the service that runs was started from other sources than there are now. False where none runs."""
        endpoints, health = self._answering()
        return endpoints is not None and health.get("sources") != service_sources.digest(self.paths.repository)

    def _answering(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        try:
            content: dict[str, Any] = json.loads(self.paths.endpoints.read_text())
            with urllib.request.urlopen(content["arm"] + "/api/estate/1.0/health", timeout=5) as reply:  # noqa: S310  loopback
                health: dict[str, Any] = json.load(reply)
            return (content if health["pid"] == content["pid"] else None), health
        except (OSError, ValueError, KeyError, urllib.error.URLError):
            return None, {}

    def start(self, *, timeout: float = 60, environment: dict[str, str] | None = None) -> dict[str, Any]:
        if running := self.endpoints():
            return running
        process = self._spawn(environment or {})
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if running := self.endpoints():
                return running
            # One that is held was started by somebody else a moment ago; its endpoints are as good.
            if process.poll() not in (None, HELD):
                raise ServiceDidNotStart(self._last_words(process.returncode))
            time.sleep(0.05)  # the process announces itself in a file; nothing can be waited on across processes
        if process.poll() == HELD:
            raise ServiceDidNotStart(f"another local estate serves {self.paths.home} and does not answer; end it with `estate down`")
        process.terminate()
        raise ServiceDidNotStart(f"the local estate did not listen within {timeout:.0f} s; the end of {self.log}:\n{self._tail()}")

    def _spawn(self, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        """Raises ServiceDidNotStart where nothing can be written: the service could not even log that."""
        probe = self.paths.home / "service.probe"
        try:
            self.paths.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
            probe.write_bytes(bytes(65536))
            probe.unlink(missing_ok=True)
            log = self.log.open("ab")
        except OSError as error:
            probe.unlink(missing_ok=True)
            problem = f"the local estate cannot write below {self.paths.home}: {error.strerror}"
            raise ServiceDidNotStart(f"{problem}. Free some space there, or name another place in $ESTATE_HOME") from None
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", MODULE],
                cwd=self.paths.repository,
                env={
                    **os.environ,
                    "PYTHONDONTWRITEBYTECODE": "",  # thousands of modules; see the Makefile
                    "ESTATE_HOME": str(self.paths.home),
                    "ESTATE_TOOLS": str(self.paths.tools),
                    **environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self, *, timeout: float = 30) -> bool:
        """True when a process was there to stop."""
        try:
            pid = int(json.loads(self.paths.endpoints.read_text())["pid"])
            if not _is_service(pid):
                return False
            os.kill(pid, signal.SIGTERM)
        except (OSError, ValueError, KeyError):
            return False
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if not _alive(pid):
                return True
            time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
        return True

    def _last_words(self, code: int) -> str:
        if code == EXPLAINED:
            return self._tail(1)
        return f"the local estate ended with {code}; the end of {self.log}:\n{self._tail()}"

    def _tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""


def _is_service(pid: int) -> bool:
    """A killed service leaves its number in the file, and that may have gone to a stranger since."""
    import psutil  # every other command does without

    try:
        return MODULE in psutil.Process(pid).cmdline()
    except psutil.Error:
        return False


def _alive(pid: int) -> bool:
    try:
        # A child of this process stays a zombie until it is reaped; reaping answers for it.
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
