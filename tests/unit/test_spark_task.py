"""What a task says of a JVM that is going away."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from local_estate.paths import Paths
from local_estate.spark.jvm import JvmGone
from local_estate.spark.runtime import Session, TaskLaunch
from local_estate.spark.task import JVM_ENDED, TaskProcess


class Leaving:
    """A JVM between its kill and its end: connections are refused, its parent still finds it alive."""

    alive = True

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        raise JvmGone("the Spark JVM (pid 1) does not answer: ConnectError")


class Runtime:
    def open_session(self, session: Session, conf: object) -> tuple[Leaving, dict[str, Any]]:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            return Leaving(), {"session_id": "s", "gateway_port": nobody.getsockname()[1], "gateway_secret": "x"}


def test_a_task_that_is_refused_by_a_killed_jvm_not_yet_gone_says_that_it_ended(tmp_path: Path) -> None:
    file = tmp_path / "job.py"
    file.write_text("print('began', flush=True)\nspark.range(1).count()\n")
    session = Session(principal="alice", token="t", workspace_url="http://127.0.0.1:1")
    launch = TaskLaunch(session=session, directory=tmp_path / "run", kind="spark_python", python_file=file)
    outcome = TaskProcess(Paths.from_environment(), Runtime(), launch).wait(60)  # type: ignore[arg-type]
    assert outcome is not None
    assert (outcome.succeeded, outcome.error) == (False, JVM_ENDED)
    assert "ConnectionRefusedError" in (outcome.error_trace or ""), outcome
