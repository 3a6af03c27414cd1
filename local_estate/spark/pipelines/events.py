"""The update's events, one JSON object a line, for the service to put into the pipeline's event log."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Events:
    def __init__(self, file: Path) -> None:
        self._file = file.open("a", encoding="utf-8")
        self._writing = threading.Lock()

    def write(
        self, event_type: str, message: str, details: Any, *, level: str = "INFO", origin: Any = None, failure: BaseException | None = None
    ) -> None:
        event = {
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "event_type": event_type,
            "level": level,
            "message": message,
            "details": {event_type: details},
            "origin": origin or {},
        }
        if failure is not None:
            event["error"] = {"fatal": True, "exceptions": [{"class_name": type(failure).__name__, "message": str(failure)}]}
        with self._writing:
            self._file.write(json.dumps(event) + "\n")
            self._file.flush()

    def published(self, name: str) -> None:
        """Not for the log: the pipeline's deletion takes the table along."""
        with self._writing:
            self._file.write(json.dumps({"published": name}) + "\n")
            self._file.flush()

    def update(self, state: str) -> None:
        self.write("update_progress", f"Update is {state}.", {"state": state})

    def dataset(self, name: str, kind: str, columns: Any) -> None:
        details = {"dataset_type": {"VIEW": "VIEW"}.get(kind, kind), "schema": columns}
        self.write("dataset_definition", f"Dataset '{name}' defined as {kind}.", details, origin={"dataset_name": name})

    def flow_definition(self, flow: str, target: str, flow_type: str, inputs: list[str]) -> None:
        details = {"output_dataset": target, "flow_type": flow_type, "input_datasets": [{"name": name} for name in inputs]}
        self.write("flow_definition", f"Flow '{flow}' defined as {flow_type}.", details, origin={"flow_name": flow, "dataset_name": target})

    def flow(
        self,
        flow: str,
        target: str,
        status: str,
        *,
        metrics: dict[str, int] | None = None,
        data_quality: Any = None,
        failure: BaseException | None = None,
    ) -> None:
        details: dict[str, Any] = {"status": status}
        if metrics is not None:
            details["metrics"] = metrics
        if data_quality is not None:
            details["data_quality"] = data_quality
        words = {"COMPLETED": "has COMPLETED", "FAILED": "has FAILED", "SKIPPED": "is SKIPPED", "EXCLUDED": "is EXCLUDED"}
        said = f"Flow '{flow}' {words.get(status, f'is {status}')}."
        if failure is not None:
            said = f"{said[:-1]} with {str(failure).strip().splitlines()[0] if str(failure).strip() else type(failure).__name__}"
        level = {"FAILED": "ERROR", "SKIPPED": "WARN"}.get(status, "INFO")
        self.write("flow_progress", said, details, level=level, origin={"flow_name": flow, "dataset_name": target}, failure=failure)
