"""Metastores and their workspaces: of the account where the provider knows one (bodies are wrapped there), else of the workspace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from local_estate.providers.changes import in_no_order
from local_estate.providers.databricks.names import to_api
from local_estate.providers.databricks.resource import DatabricksResource, DualResource, Json
from local_estate.providers.databricks.unity_catalog import UC
from local_estate.providers.failures import Refused
from local_estate.providers.http import Session
from local_estate.providers.kinds import Values


class _OfAccountOrWorkspace(DualResource):
    def root(self, known: Mapping[str, Any]) -> str:
        return f"/api/2.0/accounts/{self.connection.account_id}" if self.on_account(known) else UC


class Metastore(_OfAccountOrWorkspace):
    autonamed = "name"
    input_only = frozenset({"forceDestroy", "api"})
    replaced = frozenset({"storageRoot"})  # upstream, a changed region is an update that sends nothing
    computed = frozenset({"owner", "storageRoot", "region", "deltaSharingOrganizationName", "defaultDataAccessConfigId"})
    derived = frozenset({"owner", "defaultDataAccessConfigId"})
    created: ClassVar[frozenset[str]] = frozenset({"name", "region", "storageRoot"})
    changed: ClassVar[frozenset[str]] = frozenset(
        {
            "name",
            "deltaSharingScope",
            "deltaSharingRecipientTokenLifetimeInSeconds",
            "deltaSharingOrganizationName",
            "externalAccessEnabled",
            "privilegeModelVersion",
            "storageRootCredentialId",
        }
    )
    defaults: ClassVar[Mapping[str, Any]] = {
        "deltaSharingScope": "INTERNAL",
        "externalAccessEnabled": False,
        "privilegeModelVersion": "1.0",
    }

    def normalise(self, path: str, value: Any) -> Any:
        if path == "storageRoot" and isinstance(value, str):
            return value.rstrip("/")
        return super().normalise(path, value)

    def _wrapped(self, known: Mapping[str, Any], body: Json) -> Json:
        return {"metastore_info": body} if self.on_account(known) else body

    def named(self, inputs: Values) -> Sequence[str]:
        listed = self.session(inputs).request("GET", f"{self.root(inputs)}/metastores").json.get("metastores") or []
        return [each["metastore_id"] for each in listed if each["name"].lower() == str(inputs["name"]).lower()]

    def post(self, inputs: Values) -> str:
        body = self._wrapped(inputs, to_api(self.schema, inputs, self.created))
        made = self.session(inputs).request("POST", f"{self.root(inputs)}/metastores", body=body).json
        return str(made.get("metastore_info", made)["metastore_id"])

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        shown = self.found(lambda: self.session(known).request("GET", f"{self.root(known)}/metastores/{identifier}"))
        return None if shown is None else shown.get("metastore_info", shown)

    def finish(self, identifier: str, inputs: Values) -> None:
        given = {name: value for name, value in inputs.items() if name in self.changed - {"name"}}
        if given:
            self._put(identifier, inputs, to_api(self.schema, given))
        if inputs.get("owner"):
            self._put(identifier, inputs, {"owner": inputs["owner"]})

    def _put(self, identifier: str, inputs: Values, body: Json) -> None:
        method = "PUT" if self.on_account(inputs) else "PATCH"
        self.session(inputs).request(method, f"{self.root(inputs)}/metastores/{identifier}", body=self._wrapped(inputs, body))

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        changed = {name: value for name, value in inputs.items() if name in self.changed and outputs.get(name) != value}
        if changed:
            body = to_api(self.schema, changed)
            if "name" in body:
                body["new_name"] = body.pop("name")
            self._put(identifier, inputs, body)
        if inputs.get("owner") and outputs.get("owner") != inputs["owner"]:
            self._put(identifier, inputs, {"owner": inputs["owner"]})

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        force = bool({**outputs, **inputs}.get("forceDestroy"))
        self.session(inputs).request("DELETE", f"{self.root(inputs)}/metastores/{identifier}", query={"force": True} if force else None)

    def outputs(self, identifier: str, shown: Json, known: Mapping[str, Any]) -> Values:
        found = super().outputs(identifier, shown, known)
        # The service appends the metastore's id to the root.
        if "storageRoot" in known and str(found.get("storageRoot", "")).startswith(str(known["storageRoot"]).rstrip("/")):
            found["storageRoot"] = known["storageRoot"]
        elif str(found.get("storageRoot", "")).endswith(f"/{identifier}"):
            found["storageRoot"] = found["storageRoot"].removesuffix(f"/{identifier}")
        return found


class MetastoreAssignment(_OfAccountOrWorkspace):
    replaced = frozenset({"workspaceId", "metastoreId"})
    input_only = frozenset({"api"})
    defaults: ClassVar[Mapping[str, Any]] = {"defaultCatalogName": "main"}

    def name_of(self, inputs: Values) -> str:
        return f"{inputs['workspaceId']}|{inputs['metastoreId']}"

    def _path(self, identifier: str, known: Mapping[str, Any]) -> str:
        workspace, _, metastore = identifier.partition("|")
        if not metastore:
            raise Refused(f"'{identifier}' is no id of a metastore assignment; expected WORKSPACE_ID|METASTORE_ID", "INVALID_ARGUMENT")
        if self.on_account(known):
            return f"{self.root(known)}/workspaces/{workspace}/metastores/{metastore}"
        return f"{UC}/workspaces/{workspace}/metastore"

    def post(self, inputs: Values) -> str:
        identifier = self.name_of(inputs)
        self._put(identifier, inputs)
        return identifier

    def _put(self, identifier: str, inputs: Values) -> None:
        given = frozenset({"workspaceId", "metastoreId", "defaultCatalogName"})
        body = to_api(self.schema, inputs, given)
        wrapped = {"metastore_assignment": body} if self.on_account(inputs) else body
        self.session(inputs).request("PUT", self._path(identifier, inputs), body=wrapped)

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        workspace, _, metastore = identifier.partition("|")
        of_account = self.on_account(known)
        path = f"{self.root(known)}/workspaces/{workspace}/metastore" if of_account else f"{UC}/current-metastore-assignment"
        shown = self.found(lambda: self.session(known).request("GET", path))
        assignment = (shown or {}).get("metastore_assignment", shown)
        return assignment if assignment and assignment["metastore_id"] == metastore else None

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        self._put(identifier, inputs)

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        self.session(inputs).request("DELETE", self._path(identifier, inputs), query={"metastore_id": identifier.partition("|")[2]})


class MwsPermissionAssignment(DatabricksResource):
    """What a principal may do in a workspace: USER or ADMIN."""

    replaced = frozenset({"workspaceId", "principalId", "permissions"})

    def session(self, inputs: Mapping[str, Any]) -> Session:
        return self.connection.account()

    def _root(self, workspace: str) -> str:
        return f"/api/2.0/accounts/{self.connection.account_id}/workspaces/{workspace}/permissionassignments"

    def normalise(self, path: str, value: Any) -> Any:
        return in_no_order(value) if path == "permissions" and isinstance(value, list) else super().normalise(path, value)

    def name_of(self, inputs: Values) -> str:
        return f"{inputs['workspaceId']}|{inputs['principalId']}"

    def post(self, inputs: Values) -> str:
        path = f"{self._root(inputs['workspaceId'])}/principals/{inputs['principalId']}"
        self.session(inputs).request("PUT", path, body={"permissions": inputs["permissions"]})
        return self.name_of(inputs)

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        workspace, _, principal = identifier.partition("|")
        shown = self.found(lambda: self.session(known).request("GET", self._root(workspace)))
        for each in (shown or {}).get("permission_assignments") or ():
            if str(each["principal"]["principal_id"]) == principal and each["permissions"]:
                return {"workspace_id": workspace, "principal_id": principal, "permissions": sorted(each["permissions"])}
        return None

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        self.post(inputs)

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        workspace, _, principal = identifier.partition("|")
        self.session(inputs).request("DELETE", f"{self._root(workspace)}/principals/{principal}")
