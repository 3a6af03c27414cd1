"""What the file backend holds: stacks, the locks of running commands, operations a killed one left open."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Lock:
    pid: int
    hostname: str
    timestamp: str

    @property
    def alive(self) -> bool:
        """A lock of another machine counts as alive: nobody here can tell."""
        if self.hostname != socket.gethostname():
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


@dataclass(frozen=True, kw_only=True)
class PendingOperation:
    kind: str
    urn: str


def is_counted(resource: Mapping[str, Any]) -> bool:
    """Whether a resource of the state is one of those that the engine counts in `up` and `preview`: the stack itself, components and
    declared providers among them; what is only read, and providers that the engine adds by itself, are not."""
    added = resource["type"].startswith("pulumi:providers:") and resource["urn"].rsplit("::", 1)[-1].startswith("default")
    return not resource.get("external") and not added


@dataclass(frozen=True)
class StateBackend:
    """`root` is the directory of `PULUMI_BACKEND_URL`."""

    root: Path
    project: str

    def checkpoint(self, stack: str) -> Path:
        return self.root / ".pulumi" / "stacks" / self.project / f"{stack}.json"

    def names(self) -> list[str]:
        """Every stack the backend holds."""
        return sorted(file.stem for file in (self.root / ".pulumi" / "stacks" / self.project).glob("*.json"))

    def exists(self, stack: str) -> bool:
        return self.checkpoint(stack).exists()

    def locks(self, stack: str) -> list[Lock]:
        return [lock for file in self._lock_files(stack) if (lock := _read_lock(file)) is not None]

    def _lock_files(self, stack: str) -> Iterator[Path]:
        yield from sorted((self.root / ".pulumi" / "locks" / "organization" / self.project / stack).glob("*.json"))

    def mend_attributes(self) -> list[Path]:
        """Removes `<stack>.json.attrs` files that a killed engine left empty or cut, and says which; the state itself is whole.

        They repeat what the backend can do without (content type and checksum), but one that is no JSON makes every command fail with
        `failed to load checkpoint: EOF`. A stack that a living process holds is left alone.
        """
        stacks = self.root / ".pulumi" / "stacks" / self.project
        return [file for file in sorted(stacks.glob("*.attrs")) if not self._held(file) and _cut(file)]

    def _held(self, attributes: Path) -> bool:
        return any(lock.alive for lock in self.locks(attributes.name.partition(".json")[0]))

    def pending(self, stack: str) -> list[PendingOperation]:
        operations = (self._deployment(stack)).get("pending_operations") or []
        return [PendingOperation(kind=each["type"], urn=each["resource"]["urn"]) for each in operations]

    def resources(self, stack: str) -> list[dict[str, Any]]:
        """As the checkpoint has them; secrets are ciphertext there."""
        return list(self._deployment(stack).get("resources") or [])

    def newest_backup(self, stack: str) -> Path | None:
        folder = self.root / ".pulumi" / "backups" / self.project / stack
        return max(folder.glob(f"{stack}.*.json"), key=lambda file: file.stat().st_mtime, default=None)

    def _deployment(self, stack: str) -> dict[str, Any]:
        """Empty when the stack is new, or its checkpoint unreadable (the engine then says so itself)."""
        try:
            content = json.loads(self.checkpoint(stack).read_text())
        except (OSError, ValueError):
            return {}
        latest: dict[str, Any] = (content.get("checkpoint") or {}).get("latest") or {}
        return latest


def _cut(file: Path) -> bool:
    """Whether it was no JSON; then it is gone."""
    try:
        json.loads(file.read_text())
    except ValueError:
        file.unlink(missing_ok=True)
        return True
    except OSError:
        pass  # gone since it was listed
    return False


def _read_lock(file: Path) -> Lock | None:
    try:
        content = json.loads(file.read_text())
        return Lock(pid=int(content["pid"]), hostname=str(content["hostname"]), timestamp=str(content.get("timestamp", "")))
    except (OSError, ValueError, KeyError):
        return None  # gone since it was listed, or half-written
