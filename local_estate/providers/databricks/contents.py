"""Files and folders: workspace directories, files and notebooks, and files in volumes. A change of content shows by its MD5."""

from __future__ import annotations

import base64
import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from local_estate.providers.changes import unchanged
from local_estate.providers.checking import Failure
from local_estate.providers.databricks.resource import DatabricksResource, Json
from local_estate.providers.failures import Refused, ServiceError
from local_estate.providers.kinds import Naming, Values
from local_estate.providers.wire import UNKNOWN, Secret

_LANGUAGES = {".py": "PYTHON", ".sql": "SQL", ".scala": "SCALA", ".r": "R"}


class Content(DatabricksResource):
    """Something with a path whose bytes come from `source` (a file on this machine) or `contentBase64`."""

    replaced = frozenset({"path"})
    input_only = frozenset({"source", "contentBase64", "md5"})

    def complete(self, inputs: Values, olds: Mapping[str, Any], naming: Naming) -> Values:
        digest = self._digest(inputs)
        return inputs if digest is None else {**inputs, "md5": digest}

    def _digest(self, inputs: Values) -> Any:
        """MD5 in hex, as the SDK's `md5` says; UNKNOWN while the content is; None when it cannot be read (a mistake, told there)."""
        source, encoded = inputs.get("source"), inputs.get("contentBase64")
        if source is UNKNOWN or encoded is UNKNOWN:
            return UNKNOWN
        try:
            content = self.content({"source": source, "contentBase64": encoded})
        except (OSError, ValueError, Refused):
            return None
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return Secret(digest) if isinstance(encoded, Secret) else digest

    def mistakes(self, inputs: Mapping[str, Any]) -> Sequence[Failure]:
        source, encoded = inputs.get("source"), inputs.get("contentBase64")
        if source is not None and encoded is not None:
            return [Failure(property="source", reason="'source' conflicts with 'contentBase64'")]
        if source is None and encoded is None and inputs.get("md5") is not None:
            return ()  # imported: what lies there is what is wanted
        if source is None and encoded is None:
            return [Failure(property="source", reason="one of 'source' and 'contentBase64' is required")]
        try:
            if source is not UNKNOWN and encoded is not UNKNOWN:
                self.content(dict(inputs))
        except OSError as error:
            return [Failure(property="source", reason=f"cannot be read: {error.strerror} ({source})")]
        except ValueError as error:
            return [Failure(property="contentBase64", reason=f"is no base64: {error}")]
        return ()

    @staticmethod
    def content(inputs: Mapping[str, Any]) -> bytes:
        source, encoded = (each.value if isinstance(each, Secret) else each for each in (inputs.get("source"), inputs.get("contentBase64")))
        if source is not None:
            return Path(source).read_bytes()
        if encoded is None:
            raise Refused("neither source nor contentBase64 is given", "INVALID_ARGUMENT")
        return base64.b64decode(encoded, validate=True)

    def normalise(self, path: str, value: Any) -> Any:
        # Where the bytes come from says nothing: a build directory may move and its wheel stay the same.
        if path in ("source", "contentBase64", "objectId", "remoteFileModified", "objectType"):
            return None
        return super().normalise(path, value)

    def name_of(self, inputs: Values) -> str:
        return str(inputs["path"])

    @abstractmethod
    def write(self, inputs: Values) -> None: ...

    def post(self, inputs: Values) -> str:
        self.write(inputs)
        return str(inputs["path"])

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        self.write(inputs)

    def _path(self, identifier: str, known: Mapping[str, Any]) -> str:
        return str(known.get("path") or identifier)

    def imported(self, identifier: str, outputs: Mapping[str, Any], inputs: Values) -> Values:
        kept: Values = {name: inputs[name] for name in ("path", "language", "format") if name in inputs}
        return {**kept, **({"md5": outputs["md5"]} if "md5" in outputs else {})}


class VolumeFile(Content):
    """`databricks.File`. Its digest is compared with what really lies there at each refresh."""

    def write(self, inputs: Values) -> None:
        self.session(inputs).request(
            "PUT",
            f"/api/2.0/fs/files{inputs['path']}",
            query={"overwrite": True},
            content=self.content(inputs),
            content_type="application/octet-stream",
        )

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        path = self._path(identifier, known)
        try:
            reply = self.session(known).request("GET", f"/api/2.0/fs/files{path}")
        except ServiceError as error:
            if error.missing:
                return None
            raise
        return {
            "path": path,
            "fileSize": len(reply.content),
            "modificationTime": reply.headers.get("last-modified", ""),
            "md5": hashlib.md5(reply.content, usedforsecurity=False).hexdigest(),
        }

    def outputs(self, identifier: str, shown: Json, known: Mapping[str, Any]) -> Values:
        kept = {name: known[name] for name in ("source", "contentBase64") if name in known}
        return {**kept, **shown, "remoteFileModified": False}

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        self.session(inputs).request("DELETE", f"/api/2.0/fs/files{self._path(identifier, outputs)}")


class _InWorkspace(Content):
    _root: ClassVar[str] = "/api/2.0/workspace"

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        path = self._path(identifier, known)
        shown = self.found(lambda: self.session(known).request("GET", f"{self._root}/get-status", query={"path": path}))
        if shown is None:
            return None
        if shown.get("object_type") != "DIRECTORY":
            query = {"path": path, "format": "SOURCE" if shown["object_type"] == "NOTEBOOK" else "AUTO"}
            exported = self.found(lambda: self.session(known).request("GET", f"{self._root}/export", query=query))
            if exported is not None:
                content = base64.b64decode(exported["content"])
                shown["md5"] = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return {**shown, "path": path}

    def outputs(self, identifier: str, shown: Json, known: Mapping[str, Any]) -> Values:
        found = super().outputs(identifier, shown, known)
        found["md5"] = shown.get("md5", found.get("md5"))
        plain = shown["path"].removeprefix("/Workspace")
        found |= {"objectId": shown["object_id"], "workspacePath": f"/Workspace{plain}"}
        if "url" in self.schema.outputs:
            found["url"] = f"/#workspace{plain}"
        return {name: value for name, value in found.items() if value is not None}

    def write(self, inputs: Values) -> None:
        # The folder above comes with the file, as upstream makes it.
        parent = str(inputs["path"]).rsplit("/", 1)[0]
        if parent:
            self.session(inputs).request("POST", f"{self._root}/mkdirs", body={"path": parent}, repeatable=True)
        body = {"path": inputs["path"], "overwrite": True, "content": base64.b64encode(self.content(inputs)).decode(), **self.how(inputs)}
        self.session(inputs).request("POST", f"{self._root}/import", body=body, repeatable=True)

    def how(self, inputs: Values) -> Json:
        return {"format": "RAW"}

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        body = {"path": self._path(identifier, outputs), "recursive": False}
        self.session(inputs).request("POST", f"{self._root}/delete", body=body, repeatable=True)


class WorkspaceFile(_InWorkspace):
    pass


class Notebook(_InWorkspace):
    input_only = frozenset({"source", "contentBase64", "md5", "format"})
    defaults: ClassVar[Mapping[str, Any]] = {"format": "SOURCE"}

    def complete(self, inputs: Values, olds: Mapping[str, Any], naming: Naming) -> Values:
        inputs = super().complete(inputs, olds, naming)
        source = inputs.get("source")
        if inputs.get("language") is None and isinstance(source, str) and (language := _LANGUAGES.get(Path(source).suffix.lower())):
            return {**inputs, "language": language}
        return inputs

    def mistakes(self, inputs: Mapping[str, Any]) -> Sequence[Failure]:
        found = [*super().mistakes(inputs)]
        if inputs.get("format") in (None, "SOURCE") and inputs.get("language") is None:
            found.append(Failure(property="language", reason="is required for content in SOURCE format"))
        return found

    def how(self, inputs: Values) -> Json:
        return {"format": inputs.get("format") or "SOURCE", **({"language": inputs["language"]} if inputs.get("language") else {})}


class Directory(_InWorkspace):
    input_only = frozenset({"deleteRecursive"})
    defaults: ClassVar[Mapping[str, Any]] = {"deleteRecursive": False}

    def complete(self, inputs: Values, olds: Mapping[str, Any], naming: Naming) -> Values:
        return inputs

    def mistakes(self, inputs: Mapping[str, Any]) -> Sequence[Failure]:
        return ()

    def normalise(self, path: str, value: Any) -> Any:
        return None if path == "objectId" else unchanged(path, DatabricksResource.normalise(self, path, value))

    def write(self, inputs: Values) -> None:
        self.session(inputs).request("POST", f"{self._root}/mkdirs", body={"path": inputs["path"]}, repeatable=True)

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        body = {"path": self._path(identifier, outputs), "recursive": bool({**outputs, **inputs}.get("deleteRecursive"))}
        self.session(inputs).request("POST", f"{self._root}/delete", body=body, repeatable=True)
