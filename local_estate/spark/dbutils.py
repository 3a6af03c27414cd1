"""`dbutils` for tasks: secrets and widgets, files through the governed file system, task values. The rest is refused by name."""

from __future__ import annotations

import builtins
import json
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64decode
from collections import namedtuple
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_estate.spark.private_line import PrivateLine

if TYPE_CHECKING:
    from local_estate.spark.session import SessionFactory

FileInfo = namedtuple("FileInfo", ["path", "name", "size", "modificationTime"])
SecretMetadata = namedtuple("SecretMetadata", ["key"])
SecretScope = namedtuple("SecretScope", ["name"])


class DbutilsError(Exception):
    """What the workspace answered, in its own words."""


class _Refusing:
    _called = "dbutils"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotImplementedError(f"the local estate does not support {self._called}.{name}")


class DBUtils(_Refusing):
    def __init__(self, line: PrivateLine, factory: SessionFactory, directory: Path, argv: Sequence[str]) -> None:
        self.secrets = Secrets(line)
        self.fs = FileSystem(factory)
        self.widgets = Widgets(argv)
        self.jobs = Jobs(directory)


class Secrets(_Refusing):
    _called = "dbutils.secrets"

    def __init__(self, line: PrivateLine) -> None:
        self._line = line

    def _call(self, path: str, **query: str) -> dict[str, Any]:
        access = self._line.ask("credentials")
        address = f"{access['workspace_url'].rstrip('/')}/api/2.0/secrets/{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {access['token']}"})  # noqa: S310  the workspace's own URL
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310
                content: dict[str, Any] = json.load(reply)
                return content
        except urllib.error.HTTPError as error:
            said = json.loads(error.read() or b"{}")
            raise DbutilsError(f"{said.get('error_code', error.code)}: {said.get('message', error.reason)}") from None

    def get(self, scope: str, key: str) -> str:
        return self.getBytes(scope, key).decode()

    def getBytes(self, scope: str, key: str) -> bytes:
        return b64decode(self._call("get", scope=scope, key=key)["value"])

    def list(self, scope: str) -> builtins.list[SecretMetadata]:
        return [SecretMetadata(secret["key"]) for secret in self._call("list", scope=scope).get("secrets", [])]

    def listScopes(self) -> builtins.list[SecretScope]:
        return [SecretScope(scope["name"]) for scope in self._call("scopes/list").get("scopes", [])]


class FileSystem(_Refusing):
    """Paths as Databricks takes them: `/Volumes/…`, `dbfs:/Volumes/…`, `abfss://…`. Errors are those of the file system."""

    _called = "dbutils.fs"

    def __init__(self, factory: SessionFactory) -> None:
        self._factory = factory

    def _open(self, path: str) -> tuple[Any, Any]:
        session = self._factory.get()
        found = session._jvm.org.apache.hadoop.fs.Path(path)
        return found.getFileSystem(session._jsparkSession.sessionState().newHadoopConf()), found

    def ls(self, path: str) -> list[FileInfo]:
        files, found = self._open(path)
        listed = [_info(status) for status in files.listStatus(found)]
        return sorted(listed, key=lambda info: info.path)

    def mkdirs(self, path: str) -> bool:
        files, found = self._open(path)
        return bool(files.mkdirs(found))

    def rm(self, path: str, recurse: bool = False) -> bool:
        files, found = self._open(path)
        return bool(files.delete(found, recurse))

    def put(self, path: str, contents: str, overwrite: bool = False) -> bool:
        files, found = self._open(path)
        stream = files.create(found, overwrite)
        try:
            stream.write(bytearray(contents.encode()))
        finally:
            stream.close()
        return True

    def head(self, path: str, max_bytes: int = 65536) -> str:
        files, found = self._open(path)
        stream = files.open(found)
        try:
            return bytes(stream.readNBytes(max_bytes)).decode(errors="replace")
        finally:
            stream.close()


def _info(status: Any) -> FileInfo:
    name = status.getPath().getName()
    directory = status.isDirectory()
    return FileInfo(status.getPath().toString() + "/" * directory, name + "/" * directory, status.getLen(), status.getModificationTime())


class Widgets(_Refusing):
    """Parameters of the task: `--name=value` or `--name value`."""

    _called = "dbutils.widgets"

    def __init__(self, argv: Sequence[str]) -> None:
        self._values: dict[str, str] = {}
        pending = ""
        for argument in argv:
            if argument.startswith("--"):
                name, equals, value = argument[2:].partition("=")
                pending = "" if equals else name
                self._values[name] = value
            elif pending:
                self._values[pending] = argument
                pending = ""

    def get(self, name: str) -> str:
        if name not in self._values:
            raise DbutilsError(f"InputWidgetNotDefined: No input widget named {name} is defined")
        return self._values[name]

    def getAll(self) -> dict[str, str]:
        return dict(self._values)

    def text(self, name: str, defaultValue: str, label: str = "") -> None:
        self._values.setdefault(name, defaultValue)


class Jobs(_Refusing):
    _called = "dbutils.jobs"

    def __init__(self, directory: Path) -> None:
        self.taskValues = TaskValues(directory)


class TaskValues(_Refusing):
    """Written to task_values.json; what other tasks of the run set is in upstream_task_values.json, `{task_key: {key: value}}`."""

    _called = "dbutils.jobs.taskValues"

    def __init__(self, directory: Path) -> None:
        self._own = directory / "task_values.json"
        self._upstream = directory / "upstream_task_values.json"

    def set(self, key: str, value: Any) -> None:
        values = json.loads(self._own.read_text()) if self._own.exists() else {}
        draft = self._own.with_suffix(".draft")
        draft.write_text(json.dumps({**values, key: value}))
        draft.replace(self._own)

    def get(self, taskKey: str, key: str, default: Any = None, debugValue: Any = None) -> Any:
        values = json.loads(self._upstream.read_text()) if self._upstream.exists() else {}
        if key in values.get(taskKey, {}):
            return values[taskKey][key]
        if default is None:
            raise ValueError(f"No task value of task {taskKey} has the key {key}")
        return default
