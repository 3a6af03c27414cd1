"""One warm JVM and one metastore for all tests of the data plane; each test has a schema of its own."""

from __future__ import annotations

import os
import tempfile
import textwrap
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from local_estate.paths import REPOSITORY, Paths
from local_estate.spark.runtime import RunningTask, Session, SparkRuntime, SqlRequest, SqlResult, TaskLaunch, TaskOutcome
from tests.api.governed_fixtures import ROOT, Governed, governed
from tests.spark.metadata_fixture import WorkspaceApi, token_of


@dataclass
class DataPlane:
    """`alice` is an engineer with every privilege on the schema, `bob` an analyst with none."""

    runtime: SparkRuntime
    api: WorkspaceApi
    governed: Governed
    home: Path
    schema: str = ""
    volume: str = ""
    tasks: list[RunningTask] = field(default_factory=list)

    def session(self, principal: str) -> Session:
        return Session(principal=principal, token=token_of(principal), workspace_url=self.api.url)

    def sql(self, principal: str, statement: str, **named: object) -> list[tuple[str | None, ...]]:
        return list(self.result(principal, statement, **named).rows)

    def result(self, principal: str, statement: str, **named: object) -> SqlResult:
        text = statement.replace("{s}", f"c.{self.schema}")
        return self.runtime.execute_sql(SqlRequest(session=self.session(principal), statement=text, **named))  # type: ignore[arg-type]

    def start(self, principal: str, source: str, *arguments: str, conf: Mapping[str, str] | None = None) -> tuple[RunningTask, Path]:
        """A Python-file task whose source sees `S` (the schema) and `V` (the volume's path)."""
        directory = self.home / "runs" / uuid.uuid4().hex
        directory.mkdir(parents=True)
        file = directory / "job.py"
        file.write_text(f"S = 'c.{self.schema}'\nV = '/Volumes/c/{self.schema}/v'\n" + textwrap.dedent(source))
        launch = TaskLaunch(
            session=self.session(principal),
            directory=directory,
            kind="spark_python",
            python_file=file,
            argv=arguments,
            spark_conf=conf or {},
        )
        task = self.runtime.launch(launch)
        self.tasks.append(task)
        return task, directory

    def run(self, principal: str, source: str, *arguments: str, conf: Mapping[str, str] | None = None) -> tuple[TaskOutcome, str]:
        task, directory = self.start(principal, source, *arguments, conf=conf)
        outcome = task.wait(240)
        assert outcome is not None, (directory / "stderr").read_text()
        return outcome, (directory / "stdout").read_text()

    def succeed(self, principal: str, source: str, *arguments: str) -> str:
        outcome, printed = self.run(principal, source, *arguments)
        assert outcome.succeeded, outcome.error_trace or outcome.error
        return printed

    def grant(self, kind: str, name: str, principal: str, *privileges: str) -> None:
        self.governed.grant(kind, name, principal, *privileges)

    def revoke(self, kind: str, name: str, principal: str, *privileges: str) -> None:
        changes = [{"principal": principal, "remove": list(privileges)}]
        self.governed.uc("admin", "PATCH", f"permissions/{kind}/{name}", {"changes": changes})

    def land(self, name: str, content: str | bytes) -> Path:
        """A file in the volume, as if a source system had put it there."""
        location = self.governed.uc("admin", "GET", f"volumes/c.{self.schema}.v")["storage_location"]
        directory = self.home / "adls" / "accone" / "lake" / location.removeprefix(f"{ROOT}/")
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file


@pytest.fixture(scope="session")
def warm() -> Iterator[DataPlane]:
    with tempfile.TemporaryDirectory(prefix="estate-spark-") as folder:
        home = Path(folder)
        metastore = governed(home)
        api = WorkspaceApi(metastore)
        paths = Paths(repository=REPOSITORY, tools=Path(os.environ.get("ESTATE_TOOLS") or REPOSITORY / ".tools").absolute(), home=home)
        runtime = SparkRuntime(paths, heap="2g")
        metastore.grant("catalog", "c", "engineers", "USE_CATALOG")
        yield DataPlane(runtime=runtime, api=api, governed=metastore, home=home)
        runtime.close()
        api.close()
        metastore.estate.store.close()


@pytest.fixture
def plane(warm: DataPlane) -> Iterator[DataPlane]:
    schema = f"s_{uuid.uuid4().hex[:8]}"
    warm.governed.uc("admin", "POST", "schemas", {"name": schema, "catalog_name": "c"})
    warm.governed.uc("admin", "POST", "volumes", {"name": "v", "catalog_name": "c", "schema_name": schema, "volume_type": "MANAGED"})
    warm.grant("schema", f"c.{schema}", "engineers", "ALL_PRIVILEGES")
    made = replace(warm, schema=schema, volume=f"/Volumes/c/{schema}/v", tasks=[])
    yield made
    for task in made.tasks:
        task.cancel()
