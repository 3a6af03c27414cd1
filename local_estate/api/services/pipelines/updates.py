"""Updates: one at a time for each pipeline, each a process on the data plane whose events go into the pipeline's log as they come."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

import local_estate.spark
from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.routing import Face
from local_estate.api.kernel.store import Document
from local_estate.api.services.pipelines import models, sources
from local_estate.api.services.pipelines.models import ENDED, TABLE, UPDATE
from local_estate.spark.runtime import RunningTask, Session, TaskLaunch

log = logging.getLogger("estate.pipelines")
_RUNNER = Path(local_estate.spark.__file__ or "").parent / "pipelines" / "update.py"
_TOKEN_SECONDS = 24 * 3600
_POLL_SECONDS = 0.25
INTERRUPTED = "The local estate ended while this update was active; start it again."


class Updates:
    """All active updates of this estate. Threads that wait for `changed` see every state."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self.changed = threading.Condition()
        self._running: dict[str, RunningTask] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._closing = False

    # --- what callers ask for

    def start(self, pipeline: Document, request: Mapping[str, Any], cause: str) -> Document:
        """The new update. Raises ApiError RESOURCE_CONFLICT while another is active."""
        with self._estate.store.transaction() as transaction:
            if other := models.active(transaction, pipeline["pipeline_id"]):
                raise ApiError(
                    "RESOURCE_CONFLICT", f"An active update {other['update_id']} already exists for pipeline {pipeline['pipeline_id']}."
                )
            update: Document = {
                "pipeline_id": pipeline["pipeline_id"],
                "workspace_id": pipeline["workspace_id"],
                "update_id": str(uuid.uuid4()),
                "cause": cause,
                "state": "WAITING_FOR_RESOURCES",
                "creation_time": self._estate.clock.now_ms(),
                "full_refresh": bool(request.get("full_refresh")),
                "full_refresh_selection": list(request.get("full_refresh_selection") or []),
                "refresh_selection": list(request.get("refresh_selection") or []),
                "validate_only": bool(request.get("validate_only")),
                "config": pipeline["spec"],
                "run_as_id": pipeline["run_as_id"],
                "run_as_name": pipeline["run_as_name"],
            }
            models.put_update(transaction, update)
            created = {
                "timestamp": models.instant(update["creation_time"]),
                "event_type": "create_update",
                "level": "INFO",
                "message": f"Update {update['update_id'][:6]} started by {cause}.",
                "details": {
                    "create_update": {"cause": cause, "full_refresh": update["full_refresh"], "validate_only": update["validate_only"]}
                },
            }
            models.add_event(transaction, pipeline, update["update_id"], created)
            models.add_event(transaction, pipeline, update["update_id"], models.progress(self._estate, "WAITING_FOR_RESOURCES"))
        thread = threading.Thread(target=self._run, args=(update,), name=f"pipeline-update-{update['update_id'][:6]}", daemon=True)
        self._threads[update["update_id"]] = thread
        thread.start()
        return update

    def stop(self, pipeline_id: str, update_id: str = "") -> None:
        """Asks the active update to end; nothing where there is none, or it is not the one that is meant."""
        active = models.active(self._estate.store.read, pipeline_id)
        if active is None or (update_id and active["update_id"] != update_id):
            return
        self._move(active, "STOPPING", event=models.progress(self._estate, "STOPPING"))
        running = self._running.get(active["update_id"])
        if running is not None:
            # Ending a process tree and its Spark session takes time that whoever asks for it should not wait.
            threading.Thread(target=running.cancel, name="stop-update", daemon=True).start()

    def wait(self, pipeline_id: str, update_id: str) -> Document:
        """The update once it has ended."""
        with self.changed:
            while (found := models.load_update(self._estate.store.read, pipeline_id, update_id))["state"] not in ENDED:
                self.changed.wait(1)
        return found

    # --- one update

    def _run(self, update: Document) -> None:
        try:
            state, error, trace = self._execute(update)
        except ApiError as refused:
            state, error, trace = "FAILED", refused.message, ""
        except Exception as failure:
            log.exception("update %s", update["update_id"])
            state, error, trace = "FAILED", f"{type(failure).__name__}: {failure}", ""
        finally:
            self._running.pop(update["update_id"], None)
        if self._closing:
            return  # the next start says that it was interrupted
        if self._state(update) == "STOPPING":
            state, error, trace = "CANCELED", "", ""
        with contextlib.suppress(ApiError):  # its pipeline was deleted meanwhile
            self._move(
                update, state, event=models.progress(self._estate, state, cause=error.strip().split("\n")[0], error=error, trace=trace)
            )
        self._threads.pop(update["update_id"], None)

    def _execute(self, update: Document) -> tuple[str, str, str]:
        estate, workspace_id = self._estate, int(update["workspace_id"])
        principal = estate.ask("identity.principal", id=update["run_as_id"])
        if principal is None or not principal.get("active", True):
            return "FAILED", f"The principal {update['run_as_name']} that the pipeline runs as does not exist or is not active.", ""
        found = sources.gather(estate, update)
        directory = estate.paths.runs / f"pipeline-{update['update_id']}"
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        events = directory / "events.jsonl"
        specification = {
            **{name: update[name] for name in ("pipeline_id", "update_id", "full_refresh", "validate_only")},
            **{name: update[name] for name in ("full_refresh_selection", "refresh_selection")},
            "catalog": update["config"]["catalog"],
            "schema": update["config"]["schema"],
            "files": [str(file) for file in found.files],
            "root_path": str(found.root) if found.root else "",
            "storage": f"dbfs:/pipelines/{update['pipeline_id']}",
            "events": str(events),
        }
        (directory / "update.json").write_text(json.dumps(specification))
        token = estate.tokens.oauth(principal_id=update["run_as_id"], workspace_id=workspace_id, seconds=_TOKEN_SECONDS)
        session = Session(principal=update["run_as_name"], token=token, workspace_url=estate.base_url(Face.WORKSPACE, workspace_id))
        running: RunningTask = estate.spark.launch(
            TaskLaunch(
                session=session,
                directory=directory,
                kind="spark_python",
                python_file=_RUNNER,
                argv=(str(directory / "update.json"),),
                wheels=found.wheels,
                requirements=found.requirements,
                spark_conf=found.configuration,
                environment={"PYTHONDONTWRITEBYTECODE": "1"},  # sources lie in the workspace's own files
            )
        )
        self._running[update["update_id"]] = running
        self._note_process(update, running.pid)
        if self._state(update) == "STOPPING":  # asked before there was anything to stop
            running.cancel()
        taken = 0
        while (outcome := running.wait(_POLL_SECONDS)) is None:
            taken = self._take_events(update, events, taken)
        self._take_events(update, events, taken)
        if outcome.succeeded:
            return "COMPLETED", "", ""
        return "FAILED", outcome.error, outcome.error_trace

    def _take_events(self, update: Document, file: Path, taken: int) -> int:
        """Puts the lines after the first `taken` bytes into the log, in one transaction; returns how far that is."""
        if not file.exists():
            return taken
        with file.open("rb") as written:
            written.seek(taken)
            content = written.read()
        whole = content[: content.rfind(b"\n") + 1]
        if not whole:
            return taken
        pipeline = models.find(self._estate.store.read, update["pipeline_id"])
        if pipeline is None:
            return taken
        state = ""
        with self._estate.store.transaction() as transaction:
            for event in map(json.loads, whole.decode().splitlines()):
                if name := event.get("published"):
                    transaction.put(TABLE, f"{update['pipeline_id']}|{name}", {"name": name})
                    continue
                models.add_event(transaction, pipeline, update["update_id"], event)
                state = (event["details"].get("update_progress") or {}).get("state", state)
        if state:
            self._move(update, state)
        return taken + len(whole)

    # --- the stored update

    def _state(self, update: Document) -> str:
        with contextlib.suppress(ApiError):
            return str(models.load_update(self._estate.store.read, update["pipeline_id"], update["update_id"])["state"])
        return "STOPPING"  # it was deleted with its pipeline

    def _note_process(self, update: Document, pid: int) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self._change(update, pid=pid, pid_started=psutil.Process(pid).create_time())

    def _move(self, update: Document, state: str, *, event: Document | None = None) -> None:
        """A stopping update only ends; what its process still says of its progress comes too late."""
        with self._estate.store.transaction() as transaction:
            stored = models.load_update(transaction, update["pipeline_id"], update["update_id"])
            if stored["state"] in ENDED or (stored["state"] == "STOPPING" and state not in ENDED):
                return
            models.put_update(transaction, {**stored, "state": state})
            pipeline = models.find(transaction, update["pipeline_id"])
            if event is not None and pipeline is not None:
                models.add_event(transaction, pipeline, update["update_id"], event)
        with self.changed:
            self.changed.notify_all()

    def _change(self, update: Document, **fields: Any) -> None:
        with self._estate.store.transaction() as transaction:
            stored = models.load_update(transaction, update["pipeline_id"], update["update_id"])
            models.put_update(transaction, {**stored, **fields})

    # --- the service's own end and beginning

    def recover(self) -> None:
        """What was active when the service ended is over; processes it left are killed."""
        reader = self._estate.store.read
        for _, update in reader.find(UPDATE):
            if update["state"] in ENDED:
                continue
            _reap(update)
            stopped = update["state"] == "STOPPING"
            state, said = ("CANCELED", "") if stopped else ("FAILED", INTERRUPTED)
            self._move(update, state, event=models.progress(self._estate, state, cause=said, error=said))

    def close(self) -> None:
        self._closing = True
        for running in list(self._running.values()):
            running.cancel()
        for thread in list(self._threads.values()):
            thread.join(timeout=10)


def _reap(update: Mapping[str, Any]) -> None:
    """A process id alone proves nothing after a restart: the start time must match too."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(int(update["pid"])) if update.get("pid") else None
        if process is not None and abs(process.create_time() - float(update["pid_started"])) <= 0.05:
            for each in [*process.children(recursive=True), process]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
