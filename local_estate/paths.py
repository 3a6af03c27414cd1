"""Where the local estate keeps its tools and its state. The only module that knows these names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Paths:
    """Every directory and file of one local estate; `repository` is the checkout whose program it deploys."""

    repository: Path
    tools: Path
    home: Path

    @classmethod
    def from_environment(cls) -> Paths:
        """`$ESTATE_TOOLS` and `$ESTATE_HOME` override `.tools` and `.estate` in the checkout."""
        return cls(
            repository=REPOSITORY,
            tools=Path(os.environ.get("ESTATE_TOOLS") or REPOSITORY / ".tools").absolute(),
            home=Path(os.environ.get("ESTATE_HOME") or REPOSITORY / ".estate").absolute(),
        )

    @property
    def endpoints(self) -> Path:
        return self.home / "endpoints.json"

    @property
    def credentials(self) -> Path:
        return self.home / "credentials.json"

    @property
    def store(self) -> Path:
        return self.home / "store.db"

    @property
    def adls(self) -> Path:
        return self.home / "adls"

    @property
    def workspace_files(self) -> Path:
        return self.home / "workspace-files"

    @property
    def runs(self) -> Path:
        return self.home / "runs"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def pulumi_state(self) -> Path:
        return self.home / "pulumi"

    @property
    def pulumi_home(self) -> Path:
        return self.tools / "pulumi-home"

    @property
    def jars(self) -> Path:
        return self.tools / "jars"
