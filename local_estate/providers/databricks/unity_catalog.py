"""Unity Catalog objects: named, POSTed once, changed by PATCH, owners set by a PATCH of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from local_estate.providers.databricks.names import snake, to_api
from local_estate.providers.databricks.resource import DatabricksResource, Json
from local_estate.providers.failures import ServiceError
from local_estate.providers.kinds import Values

UC = "/api/2.1/unity-catalog"


class UnityObject(DatabricksResource):
    """`collection`: its path below the API. `created` and `changed`: inputs of POST and PATCH; `finished`: PATCHed right after the POST."""

    autonamed = "name"
    collection: ClassVar[str]
    created: ClassVar[frozenset[str]]
    changed: ClassVar[frozenset[str]]
    finished: ClassVar[frozenset[str]] = frozenset({"owner"})
    steering: ClassVar[frozenset[str]] = frozenset()  # sent with POST and PATCH, never shown (skip_validation)
    computed = frozenset(
        {
            "owner",
            "metastoreId",
            "browseOnly",
            "effectivePredictiveOptimizationFlag",
            "effectiveFileEventQueue",
            "provisioningInfo",
            "storageRoot",
            "storageLocation",
        }
    )
    derived = computed - {"storageRoot", "storageLocation"}
    forced_changes = False  # whether PATCH takes `force`

    def full_name(self, known: Mapping[str, Any]) -> str:
        return str(known["name"]).lower()

    def _path(self, identifier: str, known: Mapping[str, Any]) -> str:
        # A renamed object keeps its id in Pulumi's state, so its address comes from what it is called now.
        full_name = self.full_name(known) if known.get("name") else identifier
        return f"{UC}/{self.collection}/{full_name}"

    def named(self, inputs: Values) -> Sequence[str]:
        return [self.full_name(inputs)] if self.show(self.full_name(inputs), inputs) is not None else []

    def name_of(self, inputs: Values) -> str:
        return self.full_name(inputs)

    def normalise(self, path: str, value: Any) -> Any:
        if path in ("name", "catalogName", "schemaName", "credentialName") and isinstance(value, str):
            return value.lower()
        if path in ("url", "storageRoot", "storageLocation") and isinstance(value, str):
            return value.rstrip("/")
        return super().normalise(path, value)

    def post(self, inputs: Values) -> str:
        self.session(inputs).request("POST", f"{UC}/{self.collection}", body=to_api(self.schema, inputs, self.created | self.steering))
        return self.full_name(inputs)

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        shown: Json | None = self.found(lambda: self.session(known).request("GET", self._path(identifier, known)))
        return shown

    def finish(self, identifier: str, inputs: Values) -> None:
        for name in sorted(self.finished):
            if inputs.get(name):
                self.session(inputs).request("PATCH", self._path(identifier, inputs), body={snake(name): inputs[name]})

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        address = self._path(identifier, outputs)
        recorded = {**outputs, **before}
        changed = {name: value for name, value in inputs.items() if name in self.changed and recorded.get(name) != value}
        # What the program no longer says goes back to nothing, where nothing is a value; an owner stays.
        gone: Values = {name: {} if isinstance(before[name], dict) else "" for name in ("comment", "properties") if name in before}
        body = {**{name: value for name, value in gone.items() if name not in inputs}, **to_api(self.schema, changed)}
        if body:
            if self.forced_changes and inputs.get("forceUpdate"):
                body["force"] = True
            steering = to_api(self.schema, inputs, self.steering)
            self.session(inputs).request("PATCH", address, body={**body, **steering})
        moved = self._renamed(identifier, address, inputs, outputs)
        if inputs.get("owner") and outputs.get("owner") != inputs["owner"]:
            self.session(inputs).request("PATCH", moved, body={"owner": inputs["owner"]})

    def _renamed(self, identifier: str, address: str, inputs: Values, outputs: Values) -> str:
        wanted = self._path(identifier, inputs)
        if wanted == address:
            return address
        self.session(inputs).request("PATCH", address, body={"new_name": inputs["name"]})
        return wanted

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        force = bool({**outputs, **inputs}.get("forceDestroy"))
        self.session(inputs).request("DELETE", self._path(identifier, outputs), query={"force": True} if force else None)

    def outputs(self, identifier: str, shown: Json, known: Mapping[str, Any]) -> Values:
        found = super().outputs(identifier, shown, known)
        for name in ("storageRoot",):
            # The service appends an id to a metastore's root; the program's own word stays what it said.
            if name in known and str(found.get(name, "")).startswith(str(known[name]).rstrip("/")):
                found[name] = known[name]
        return found


class StorageCredential(UnityObject):
    collection = "storage-credentials"
    created = frozenset({"name", "comment", "azureManagedIdentity", "azureServicePrincipal", "readOnly"})
    changed = frozenset({"comment", "azureManagedIdentity", "azureServicePrincipal", "readOnly", "isolationMode"})
    finished = frozenset({"owner", "isolationMode"})
    steering = frozenset({"skipValidation"})
    input_only = frozenset({"skipValidation", "forceDestroy", "forceUpdate"})
    replaced = frozenset({"name"})
    defaults: ClassVar[Mapping[str, Any]] = {"readOnly": False, "isolationMode": "ISOLATION_MODE_OPEN"}
    forced_changes = True

    def normalise(self, path: str, value: Any) -> Any:
        if path == "azureManagedIdentity.credentialId":
            return None
        if path.startswith("azureManagedIdentity.") and isinstance(value, str):
            return value.lower()
        return super().normalise(path, value)

    def outputs(self, identifier: str, shown: Json, known: Mapping[str, Any]) -> Values:
        return {**super().outputs(identifier, shown, known), "storageCredentialId": str(shown.get("id", ""))}


class ExternalLocation(UnityObject):
    collection = "external-locations"
    created = frozenset(
        {"name", "url", "credentialName", "comment", "readOnly", "fallback", "enableFileEvents", "fileEventQueue", "encryptionDetails"}
    )
    changed = (created | {"isolationMode"}) - {"name"}
    finished = frozenset({"owner", "isolationMode"})
    steering = frozenset({"skipValidation"})
    input_only = frozenset({"skipValidation", "forceDestroy", "forceUpdate"})
    replaced = frozenset({"name"})
    defaults: ClassVar[Mapping[str, Any]] = {
        "readOnly": False,
        "fallback": False,
        "enableFileEvents": False,
        "isolationMode": "ISOLATION_MODE_OPEN",
    }
    forced_changes = True


class Catalog(UnityObject):
    collection = "catalogs"
    created = frozenset(
        {
            "name",
            "comment",
            "properties",
            "options",
            "storageRoot",
            "connectionName",
            "providerName",
            "shareName",
            "customMaxRetentionHours",
        }
    )
    changed = frozenset({"comment", "properties", "options", "isolationMode", "enablePredictiveOptimization", "customMaxRetentionHours"})
    finished = frozenset({"owner", "isolationMode", "enablePredictiveOptimization"})
    input_only = frozenset({"forceDestroy"})
    replaced = frozenset({"storageRoot", "connectionName", "providerName", "shareName"})
    defaults: ClassVar[Mapping[str, Any]] = {"isolationMode": "OPEN", "enablePredictiveOptimization": "INHERIT", "browseOnly": False}

    def finish(self, identifier: str, inputs: Values) -> None:
        # As upstream does: a catalog of ours holds the schemas the program names and no `default`.
        try:
            self.session(inputs).request("DELETE", f"{UC}/schemas/{self.full_name(inputs)}.default")
        except ServiceError as error:
            if not error.missing:
                raise
        super().finish(identifier, inputs)


class Schema(UnityObject):
    collection = "schemas"
    created = frozenset({"name", "catalogName", "comment", "properties", "storageRoot"})
    changed = frozenset({"comment", "properties", "enablePredictiveOptimization"})
    finished = frozenset({"owner", "enablePredictiveOptimization"})
    input_only = frozenset({"forceDestroy"})
    replaced = frozenset({"name", "catalogName", "storageRoot"})
    defaults: ClassVar[Mapping[str, Any]] = {"enablePredictiveOptimization": "INHERIT"}

    def full_name(self, known: Mapping[str, Any]) -> str:
        return f"{known['catalogName']}.{known['name']}".lower()


class Volume(UnityObject):
    collection = "volumes"
    created = frozenset({"name", "catalogName", "schemaName", "volumeType", "storageLocation", "comment"})
    changed = frozenset({"comment"})
    replaced = frozenset({"catalogName", "schemaName", "volumeType", "storageLocation"})

    def full_name(self, known: Mapping[str, Any]) -> str:
        return f"{known['catalogName']}.{known['schemaName']}.{known['name']}".lower()

    def normalise(self, path: str, value: Any) -> Any:
        return value.upper() if path == "volumeType" and isinstance(value, str) else super().normalise(path, value)

    def outputs(self, identifier: str, shown: Json, known: Mapping[str, Any]) -> Values:
        found = super().outputs(identifier, shown, known)
        return {**found, "volumePath": f"/Volumes/{found['catalogName']}/{found['schemaName']}/{found['name']}"}
