"""Tasks as processes: libraries, results, cancellation, and what happens when the JVM is killed."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
import zipfile
from pathlib import Path

import psutil
import pytest

from local_estate.api.kernel.errors import ApiError
from local_estate.paths import Paths
from local_estate.spark import jvm as jvm_module
from local_estate.spark.jvm import Jvm, JvmDidNotStart
from local_estate.spark.runtime import RunningTask, SparkRuntime, SqlFailed, TaskLaunch
from local_estate.spark.task import JVM_ENDED
from tests.spark.conftest import DataPlane


def _wheel(folder: Path, files: dict[str, str], *, entry_points: str = "", requires: str = "", spoil: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / "tiny_job-1.0-py3-none-any.whl"
    content = {
        **files,
        "tiny_job-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: tiny-job\nVersion: 1.0\n{requires}",
        "tiny_job-1.0.dist-info/entry_points.txt": entry_points,
    }
    digests = {
        name: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=") for name, text in content.items()
    }
    record = "".join(f"{name},sha256={digest},{len(content[name])}\n" for name, digest in digests.items())
    record += "tiny_job-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text + ("# changed" if spoil and name.endswith(".py") else ""))
        archive.writestr("tiny_job-1.0.dist-info/RECORD", record)
    return wheel


def _launch(
    plane: DataPlane, *wheels: Path, entry_point: str = "main", argv: tuple[str, ...] = (), runtime: SparkRuntime | None = None
) -> tuple[RunningTask, Path]:
    directory = plane.home / "runs" / uuid.uuid4().hex
    launch = TaskLaunch(
        session=plane.session("alice"),
        directory=directory,
        kind="python_wheel",
        package_name="tiny_job",
        entry_point=entry_point,
        wheels=wheels,
        argv=argv,
    )
    task = (runtime or plane.runtime).launch(launch)
    plane.tasks.append(task)
    return task, directory


def test_a_pure_python_wheel_runs_without_a_jvm(plane: DataPlane, tmp_path: Path) -> None:
    source = "import sys\ndef main():\n    print(sys.argv, 'pyspark' in sys.modules)\n"
    wheel = _wheel(tmp_path, {"tiny_job/__init__.py": source}, entry_points="[console_scripts]\nmain = tiny_job:main\n")
    cold = SparkRuntime(Paths(repository=Path.cwd(), tools=tmp_path / "tools", home=tmp_path / "home"))
    task, directory = _launch(plane, wheel, argv=("--day", "1"), runtime=cold)
    outcome = task.wait(60)
    assert outcome is not None
    assert outcome.succeeded, outcome
    assert (directory / "stdout").read_text().strip() == "['tiny_job', '--day', '1'] False"
    assert cold.health() == {"status": "stopped"}
    assert "token-of" not in "".join(file.read_text(errors="replace") for file in directory.iterdir() if file.is_file())


def test_a_function_of_the_package_is_an_entry_point_too(plane: DataPlane, tmp_path: Path) -> None:
    task, directory = _launch(plane, _wheel(tmp_path, {"tiny_job/__init__.py": "def go():\n    print('went')\n"}), entry_point="go")
    outcome = task.wait(60)
    assert outcome is not None
    assert outcome.succeeded, outcome
    assert (directory / "stdout").read_text() == "went\n"


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("missing", "does not exist"),
        ("garbage", "not a readable wheel"),
        ("tampered", "RECORD"),
        ("needs", "nowhere-to-be-found"),
        ("other", "tiny_job"),
    ],
)
def test_a_wheel_that_cannot_be_installed_fails_there_and_says_why(plane: DataPlane, tmp_path: Path, broken: str, words: str) -> None:
    requires = "Requires-Dist: nowhere-to-be-found>=1\n" if broken == "needs" else ""
    wheel = _wheel(tmp_path, {"tiny_job/__init__.py": "def main(): ..."}, requires=requires, spoil=broken == "tampered")
    if broken == "missing":
        wheel.unlink()
    elif broken == "garbage":
        wheel.write_bytes(b"no zip")
    task, _ = _launch(plane, *([] if broken == "other" else [wheel]))
    outcome = task.wait(60)
    assert outcome is not None
    assert outcome.failed_at == "library_install"
    assert words in outcome.error


def test_a_failure_carries_its_last_line_and_the_trace_of_the_code(plane: DataPlane) -> None:
    outcome, _ = plane.run("alice", "def inner():\n    raise ValueError('no customers today')\ninner()")
    assert (outcome.succeeded, outcome.failed_at, outcome.error) == (False, "run", "ValueError: no customers today")
    assert "in inner" in outcome.error_trace
    assert "task_runner" not in outcome.error_trace


def test_a_udf_of_a_wheel_runs_in_the_workers(plane: DataPlane, tmp_path: Path) -> None:
    source = """
def shout(text):
    return text.upper() + "!"

def main():
    from pyspark.sql import SparkSession, functions as F
    spark = SparkSession.builder.appName("x").getOrCreate()
    assert SparkSession.getActiveSession() is not None
    print(spark.range(1).select(F.udf(shout)(F.lit("hi"))).first()[0])
    spark.stop()
    print(spark.range(3).count())
"""
    task, directory = _launch(plane, _wheel(tmp_path, {"tiny_job/__init__.py": source}))
    outcome = task.wait(120)
    assert outcome is not None
    assert outcome.succeeded, outcome.error_trace
    assert (directory / "stdout").read_text().split() == ["HI!", "3"]


def test_dbutils_works_over_the_governed_file_system(plane: DataPlane) -> None:
    source = """
    import json
    from databricks.sdk.runtime import dbutils, spark
    dbutils.fs.mkdirs(f"{V}/box")
    dbutils.fs.put(f"{V}/box/a.txt", "hello")
    listed = [(info.name, info.size, info.path) for info in dbutils.fs.ls(f"{V}/box")]
    print(dbutils.fs.head(f"{V}/box/a.txt"), listed == [("a.txt", 5, f"dbfs:{V}/box/a.txt")])
    dbutils.fs.rm(f"{V}/box", True)
    try:
        dbutils.fs.ls(f"{V}/box")
    except Exception as error:
        print("gone" if "FileNotFound" in str(error) else error)
    print(dbutils.widgets.get("day"), spark.range(2).count())
    dbutils.jobs.taskValues.set("rows", 7)
    try:
        dbutils.notebook.run("x")
    except NotImplementedError as error:
        print(error)
    """
    printed = plane.succeed("alice", source, "--day=2").splitlines()
    assert printed == ["hello True", "gone", "2 2", "the local estate does not support dbutils.notebook"]


def test_a_cancelled_task_takes_its_processes_and_its_spark_jobs_with_it(plane: DataPlane) -> None:
    task, directory = plane.start(
        "alice",
        """
        from pyspark.sql import SparkSession, functions as F
        spark = SparkSession.builder.getOrCreate()
        print("started", flush=True)
        stuck = F.udf(lambda x: __import__("time").sleep(600))
        spark.range(1).select(stuck("id")).collect()
        """,
    )
    deadline = threading.Event()
    for _ in range(1200):
        if "started" in (directory / "stdout").read_text():
            break
        deadline.wait(0.05)
    task.cancel()
    outcome = task.wait(20)
    assert outcome is not None
    assert not outcome.succeeded
    assert not psutil.pid_exists(task.pid)
    assert plane.runtime.health()["sessions"] == 0


def test_a_killed_jvm_fails_the_running_task_in_one_line_and_the_next_use_heals(plane: DataPlane) -> None:
    plane.sql("alice", "CREATE TABLE {s}.t AS SELECT 1 AS id")
    task, directory = plane.start(
        "alice",
        """
        from pyspark.sql import SparkSession, functions as F
        spark = SparkSession.builder.getOrCreate()
        print("started", flush=True)
        spark.range(1).select(F.udf(lambda x: __import__("time").sleep(600))("id")).collect()
        """,
    )
    waiting = threading.Event()
    for _ in range(1200):
        if "started" in (directory / "stdout").read_text():
            break
        waiting.wait(0.05)
    first = plane.runtime.health()["pid"]
    os.kill(first, signal.SIGKILL)
    outcome = task.wait(60)
    assert outcome is not None
    assert (outcome.succeeded, outcome.error) == (False, JVM_ENDED)
    assert plane.sql("alice", "SELECT * FROM {s}.t") == [("1",)]
    assert plane.runtime.health()["pid"] != first


def test_a_crash_between_files_and_name_heals(plane: DataPlane) -> None:
    """The files of a staged table are there, its name is not: it is invisible, and CREATE works."""
    staged = plane.governed.uc("alice", "POST", "staging-tables", {"name": "t", "catalog_name": "c", "schema_name": plane.schema})
    log = plane.home / "adls/accone/lake" / staged["staging_location"].split("/", 3)[3] / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text('{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}\n')
    assert plane.sql("alice", "SHOW TABLES IN {s}") == []
    with pytest.raises(SqlFailed, match="TABLE_OR_VIEW_NOT_FOUND"):
        plane.sql("alice", "SELECT * FROM {s}.t")
    plane.sql("alice", "CREATE TABLE {s}.t AS SELECT 1 AS id")
    assert plane.sql("alice", "SELECT * FROM {s}.t") == [("1",)]


def test_a_jvm_killed_between_the_files_and_the_name_of_a_table_heals(plane: DataPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """kill -9 when the registration arrives: Delta has committed the files, Unity Catalog has not taken the name."""
    committed: list[int] = []

    def kill(method: str, path: str) -> None:
        if (method, path) == ("POST", "/api/2.1/unity-catalog/tables"):
            committed.append(len(list((plane.home / "adls").rglob("_delta_log/00000000000000000000.json"))))
            victim = psutil.Process(plane.runtime.health()["pid"])
            victim.kill()
            victim.wait(20)
            raise ApiError("TEMPORARILY_UNAVAILABLE", "nobody is left to read this")

    before = len(list((plane.home / "adls").rglob("_delta_log/00000000000000000000.json")))
    monkeypatch.setattr(plane.api, "before", kill)
    with pytest.raises(SqlFailed, match="the Spark JVM ended while the statement ran; run it again"):
        plane.sql("alice", "CREATE TABLE {s}.t AS SELECT 1 AS id")
    assert committed == [before + 1]
    monkeypatch.undo()
    assert plane.sql("alice", "SHOW TABLES IN {s}") == []
    plane.sql("alice", "CREATE TABLE {s}.t AS SELECT 2 AS id")
    assert plane.sql("alice", "SELECT * FROM {s}.t") == [("2",)]


def test_a_jvm_that_would_not_enforce_refuses_to_start(plane: DataPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = jvm_module.spark_configuration
    tools = Path(os.environ.get("ESTATE_TOOLS") or ".tools").absolute()
    unenforced = (
        ("spark.sql.extensions", "mt.estate.Missing,io.delta.sql.DeltaSparkSessionExtension,mt.estate.EstateSqlExtensions"),
        ("spark.hadoop.fs.file.impl", "org.apache.hadoop.fs.LocalFileSystem"),
    )
    for key, value in unenforced:
        monkeypatch.setattr(jvm_module, "spark_configuration", lambda scratch, key=key, value=value: {**real(scratch), key: value})
        with pytest.raises(JvmDidNotStart, match="refused to start"):
            Jvm(Paths(repository=Path.cwd(), tools=tools, home=tmp_path), heap="1g")


def test_the_jvm_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    tools = os.environ.get("ESTATE_TOOLS") or str(Path(".tools").absolute())
    source = """
import os, signal
from local_estate.api.kernel.errors import ApiError
from local_estate.paths import Paths
from local_estate.spark.jvm import Jvm
print(Jvm(Paths.from_environment(), heap='1g').pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {**os.environ, "ESTATE_TOOLS": tools, "ESTATE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", source], env=environment, capture_output=True, text=True, timeout=120)
    pid = int(done.stdout)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(timeout=20)
    assert not psutil.pid_exists(pid)


def test_the_control_server_wants_its_secret(plane: DataPlane) -> None:
    plane.runtime.start()
    url = plane.runtime.jvm()._http.base_url
    import httpx

    assert httpx.get(f"{url}/health", trust_env=False).status_code == 403
    assert json.loads(httpx.get(f"{url}/health", headers={"X-Estate-Secret": "guess"}, trust_env=False).text) == {"error": "wrong secret"}
