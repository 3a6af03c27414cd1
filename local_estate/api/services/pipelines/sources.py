"""What an update needs before it runs, seen with the rights of whom it runs as: clusters within their policy, source files, libraries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document

_SECRET = re.compile(r"\{\{secrets/([^/{}]+)/([^/{}]+)\}\}")


@dataclass(frozen=True, kw_only=True)
class Sources:
    files: tuple[Path, ...]
    wheels: tuple[Path, ...]
    requirements: tuple[str, ...]
    root: Path | None
    configuration: Mapping[str, str] = field(default_factory=dict)


def gather(estate: Estate, update: Document) -> Sources:
    """Raises ApiError as the principal the pipeline runs as would see it."""
    found = _Finder(estate, update)
    specification = update["config"]
    for cluster in specification.get("clusters") or []:
        found.check_cluster(cluster)
    files: list[Path] = []
    wheels: list[Path] = []
    requirements: list[str] = []
    for library in specification.get("libraries") or []:
        if "whl" in library:
            wheels.append(found.file(library["whl"]))
        else:
            files += found.sources(library["file"]["path"] if "file" in library else library["glob"]["include"])
    for dependency in (specification.get("environment") or {}).get("dependencies") or []:
        if dependency.endswith(".whl"):
            wheels.append(found.file(dependency))
        else:
            requirements.append(dependency)
    if not files:
        raise ApiError("INVALID_PARAMETER_VALUE", "The pipeline has no source files; add them to libraries as file or glob.")
    root = specification.get("root_path")
    return Sources(
        files=tuple(dict.fromkeys(files)),
        wheels=tuple(wheels),
        requirements=tuple(requirements),
        root=found.workspace(root) if root else None,
        configuration={name: found.revealed(value) for name, value in (specification.get("configuration") or {}).items()},
    )


class _Finder:
    def __init__(self, estate: Estate, update: Document) -> None:
        self._estate = estate
        self._named = {"principal_id": update["run_as_id"], "workspace_id": update["workspace_id"]}
        self._who = update["run_as_name"]

    def workspace(self, path: str) -> Path:
        return Path(self._estate.ask("workspace_files.local_path", path=path, **self._named))

    def file(self, path: str) -> Path:
        path = path.removeprefix("dbfs:")
        if not path.startswith("/Volumes/"):
            return self.workspace(path)
        found = Path(self._estate.ask("volumes.local_path", path=path, operation="READ", **self._named))
        if not found.is_file():
            raise ApiError("RESOURCE_DOES_NOT_EXIST", f"The file {path} does not exist.")
        return found

    def sources(self, path: str) -> list[Path]:
        """A file, or all Python and SQL files of a folder, in the order of their paths."""
        found = self.workspace(path.removesuffix("/**"))
        if not path.endswith("/**"):
            return [found]
        return sorted(each for each in found.rglob("*") if each.suffix in (".py", ".sql") and each.is_file())

    def check_cluster(self, cluster: Mapping[str, Any]) -> None:
        if not cluster.get("policy_id"):
            if not self._estate.ask("identity.is_workspace_admin", **self._named):
                raise ApiError(
                    "PERMISSION_DENIED",
                    f"{self._who} is not authorized to create clusters without a policy. Name a cluster policy in the cluster's policy_id.",
                )
            return
        self._estate.ask(
            "compute.evaluate_policy",
            policy_id=cluster["policy_id"],
            spec={name: value for name, value in cluster.items() if name not in ("label", "policy_id", "apply_policy_default_values")},
            apply_defaults=bool(cluster.get("apply_policy_default_values")),
            cluster_type="dlt",
            **self._named,
        )

    def revealed(self, value: str) -> str:
        """`{{secrets/scope/key}}` with the principal's rights."""

        def secret(match: re.Match[str]) -> str:
            found: bytes = self._estate.ask("secrets.get", scope=match[1], key=match[2], **self._named)
            return found.decode()

        return _SECRET.sub(secret, value)
