"""A pipeline on the data plane of the tests: its source, its updates, and what they left behind."""

from __future__ import annotations

import json
import textwrap
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_estate.paths import REPOSITORY
from local_estate.spark.runtime import TaskLaunch, TaskOutcome
from tests.spark.conftest import DataPlane

RUNNER = REPOSITORY / "local_estate" / "spark" / "pipelines" / "update.py"


@dataclass
class Update:
    outcome: TaskOutcome
    events: list[dict[str, Any]]

    @property
    def states(self) -> list[str]:
        return [each["details"]["update_progress"]["state"] for each in self.events if each["event_type"] == "update_progress"]

    def flow(self, table: str) -> dict[str, Any]:
        """The last word on the flow into a table."""
        ended = [
            each for each in self.events if each["event_type"] == "flow_progress" and each["origin"]["dataset_name"].endswith(f".{table}")
        ]
        return dict(ended[-1]["details"]["flow_progress"])

    def error(self, table: str) -> str:
        (failed,) = [
            each for each in self.events if each["level"] == "ERROR" and each["origin"].get("dataset_name", "").endswith(f".{table}")
        ]
        return str(failed["error"]["exceptions"][0]["message"])

    def expectations(self, table: str) -> dict[str, tuple[int, int]]:
        """(passed, failed) by name."""
        found = self.flow(table)["data_quality"]["expectations"]
        return {each["name"]: (each["passed_records"], each["failed_records"]) for each in found}


@dataclass
class Pipeline:
    """Runs as alice, who alone may use its storage."""

    plane: DataPlane
    source: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def update(self, **request: Any) -> Update:
        directory = self.plane.home / "runs" / uuid.uuid4().hex
        directory.mkdir(parents=True)
        (directory / "source.py").write_text("from pyspark import pipelines as dp\n" + textwrap.dedent(self.source))
        self._serve_storage()
        specification = {
            "pipeline_id": self.id,
            "update_id": directory.name,
            "catalog": "c",
            "schema": self.plane.schema,
            "files": [str(directory / "source.py")],
            "root_path": "",
            "full_refresh": False,
            "full_refresh_selection": [],
            "refresh_selection": [],
            "validate_only": False,
            "storage": f"dbfs:/pipelines/{self.id}",
            "events": str(directory / "events.jsonl"),
            **request,
        }
        (directory / "update.json").write_text(json.dumps(specification))
        task = self.plane.runtime.launch(
            TaskLaunch(
                session=self.plane.session("alice"),
                directory=directory,
                kind="spark_python",
                python_file=RUNNER,
                argv=(str(directory / "update.json"),),
                spark_conf={"mt.volume": self.plane.volume},
            )
        )
        self.plane.tasks.append(task)
        outcome = task.wait(240)
        assert outcome is not None, (directory / "stderr").read_text()
        lines = (directory / "events.jsonl").read_text().splitlines() if (directory / "events.jsonl").exists() else []
        # The runner also says which tables it made; the service keeps that, the log does not.
        return Update(outcome, [event for event in map(json.loads, lines) if "published" not in event])

    def _serve_storage(self) -> None:
        root = self.plane.home / "pipelines"

        def storage(_: Any, *, principal_id: str, workspace_id: int, path: str, operation: str) -> dict[str, str]:
            assert principal_id == "alice", path
            prefix = "/".join(path.split("/")[:3])
            local = root / prefix.rpartition("/")[2]
            local.mkdir(parents=True, exist_ok=True)
            rest = Path(path.removeprefix(prefix).lstrip("/"))
            return {
                "prefix": prefix,
                "local_prefix": str(local),
                "securable_type": "PIPELINE",
                "full_name": prefix,
                "path": path,
                "local_path": str(local / rest),
            }

        self.plane.governed.estate.answers["pipelines.storage"] = storage

    def rows(self, table: str, columns: str = "*", order: str = "1, 2") -> list[tuple[str | None, ...]]:
        return self.plane.sql("alice", f"SELECT {columns} FROM {{s}}.{table} ORDER BY {order}")
