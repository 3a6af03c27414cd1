"""Who may do what: grants on securables, object permissions, workspace bindings, secret scopes and their ACLs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from local_estate.providers.changes import in_no_order
from local_estate.providers.checking import Failure
from local_estate.providers.databricks.names import snake
from local_estate.providers.databricks.resource import DatabricksResource, Json
from local_estate.providers.databricks.unity_catalog import UC
from local_estate.providers.failures import Refused, ServiceError
from local_estate.providers.kinds import Values
from local_estate.providers.wire import UNKNOWN


def _privilege(value: Any) -> Any:
    return value.upper().replace(" ", "_") if isinstance(value, str) else value


class Grants(DatabricksResource):
    """All grants of one securable: what is not listed is revoked."""

    securables: ClassVar[tuple[str, ...]] = (
        "metastore",
        "catalog",
        "schema",
        "table",
        "volume",
        "function",
        "model",
        "externalLocation",
        "storageCredential",
        "credential",
        "foreignConnection",
        "share",
        "recipient",
        "pipeline",
        "secret",
    )
    replaced = frozenset(securables)

    def mistakes(self, inputs: Mapping[str, Any]) -> Sequence[Failure]:
        found = []
        named = [name for name in self.securables if inputs.get(name) is not None]
        if len(named) != 1:
            found.append(Failure(property="grants", reason=f"exactly one securable is required, found {', '.join(named) or 'none'}"))
        known = self._enum("Privilege")
        for index, grant in enumerate(inputs["grants"] if isinstance(inputs["grants"], list) else []):
            given = grant.get("privileges") if isinstance(grant, dict) else None
            for place, value in enumerate(given if isinstance(given, list) else []):
                if value is not UNKNOWN and _privilege(value) not in known:
                    near = difflib.get_close_matches(str(_privilege(value)), known, 1)
                    hint = f"; did you mean {near[0]}?" if near else ""
                    found.append(Failure(property=f"grants[{index}].privileges[{place}]", reason=f"'{value}' is no privilege{hint}"))
        return found

    def normalise(self, path: str, value: Any) -> Any:
        if path == "grants.privileges":
            value = in_no_order([_privilege(each) for each in value]) if isinstance(value, list) else _privilege(value)
        if path == "grants" and isinstance(value, list):
            return in_no_order(value)
        return value if path.startswith("grants") else super().normalise(path, value)

    def name_of(self, inputs: Values) -> str:
        for name in self.securables:
            if inputs.get(name):
                kind = "function" if name == "model" else "connection" if name == "foreignConnection" else snake(name)
                return f"{kind}/{inputs[name]}"
        raise Refused("no securable is named", "INVALID_ARGUMENT")

    def _path(self, identifier: str) -> str:
        return f"{UC}/permissions/{identifier}"

    def _assigned(self, identifier: str, known: Mapping[str, Any]) -> dict[str, set[str]] | None:
        shown = self.found(lambda: self.session(known).request("GET", self._path(identifier)))
        if shown is None:
            return None
        return {each["principal"]: set(each["privileges"]) for each in shown.get("privilege_assignments") or []}

    def _set(self, identifier: str, known: Mapping[str, Any], wanted: Mapping[str, set[str]]) -> None:
        held = self._assigned(identifier, known) or {}
        changes = []
        for principal in sorted({*held, *wanted}):
            has, should = held.get(principal, set()), wanted.get(principal, set())
            if has != should:
                changes.append({"principal": principal, "add": sorted(should - has), "remove": sorted(has - should)})
        if changes:
            self.session(known).request("PATCH", self._path(identifier), body={"changes": changes})

    def _wanted(self, inputs: Mapping[str, Any]) -> dict[str, set[str]]:
        wanted: dict[str, set[str]] = {}
        for grant in inputs["grants"]:
            wanted.setdefault(grant["principal"], set()).update(_privilege(each) for each in grant["privileges"])
        return wanted

    def post(self, inputs: Values) -> str:
        identifier = self.name_of(inputs)
        self._set(identifier, inputs, self._wanted(inputs))
        return identifier

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        self._set(identifier, inputs, self._wanted(inputs))

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        self._set(identifier, inputs, {})

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        assigned = self._assigned(identifier, known)
        if not assigned:
            return None
        return {"grants": [{"principal": who, "privileges": sorted(held)} for who, held in sorted(assigned.items())]}

    def outputs(self, identifier: str, shown: Json, known: Mapping[str, Any]) -> Values:
        kind, _, full_name = identifier.partition("/")
        named = {name: known[name] for name in self.securables if known.get(name)}
        return {**(named or {_securable_input(kind): full_name}), **shown}


def _securable_input(kind: str) -> str:
    return {"external_location": "externalLocation", "storage_credential": "storageCredential", "connection": "foreignConnection"}.get(
        kind, kind
    )


# Input of databricks.Permissions -> (type in the API's path, type in the id).
_OBJECTS = {
    "jobId": "jobs",
    "clusterId": "clusters",
    "clusterPolicyId": "cluster-policies",
    "instancePoolId": "instance-pools",
    "pipelineId": "pipelines",
    "sqlEndpointId": "sql/warehouses",
    "servingEndpointId": "serving-endpoints",
    "vectorSearchEndpointId": "vector-search-endpoints",
    "experimentId": "experiments",
    "registeredModelId": "registered-models",
    "notebookId": "notebooks",
    "directoryId": "directories",
    "workspaceFileId": "files",
    "repoId": "repos",
    "dashboardId": "dashboards",
    "alertV2Id": "alertsv2",
    "authorization": "authorization",
}
_PATHS = {"notebookPath": "notebooks", "directoryPath": "directories", "workspaceFilePath": "files", "repoPath": "repos"}
_WHO = (("groupName", "group_name"), ("userName", "user_name"), ("servicePrincipalName", "service_principal_name"))


class Permissions(DatabricksResource):
    """The ACL of one object, authoritative: rows of `admins` and inherited ones are left out, as they cannot be taken away."""

    replaced = frozenset({*_OBJECTS, *_PATHS})

    def mistakes(self, inputs: Mapping[str, Any]) -> Sequence[Failure]:
        found = []
        named = [name for name in (*_OBJECTS, *_PATHS) if inputs.get(name) is not None]
        if len(named) != 1:
            found.append(Failure(property="accessControls", reason=f"exactly one object is required, found {', '.join(named) or 'none'}"))
        levels = self._enum("PermissionLevel")
        rows = inputs["accessControls"]
        for index, row in enumerate(rows if isinstance(rows, list) else []):
            if not isinstance(row, dict):
                continue
            if sum(row.get(name) is not None for name, _ in _WHO) != 1:
                reason = "exactly one of groupName, userName, servicePrincipalName is required"
                found.append(Failure(property=f"accessControls[{index}]", reason=reason))
            level = row.get("permissionLevel")
            if level is not None and level is not UNKNOWN and level not in levels:
                found.append(Failure(property=f"accessControls[{index}].permissionLevel", reason=f"'{level}' is no permission level"))
        return found

    def normalise(self, path: str, value: Any) -> Any:
        if path == "objectType":
            return None
        if path == "accessControls" and isinstance(value, list):
            return in_no_order(value)
        if path.startswith("accessControls.") and path.endswith("Name") and isinstance(value, str):
            return value.lower()
        return super().normalise(path, value)

    def name_of(self, inputs: Values) -> str:
        for name, kind in _OBJECTS.items():
            if inputs.get(name):
                return f"/{kind}/{inputs[name]}"
        return next(f"/{kind}{inputs[name]}" for name, kind in _PATHS.items() if inputs.get(name))

    def post(self, inputs: Values) -> str:
        for name, kind in _OBJECTS.items():
            if inputs.get(name):
                identifier = f"/{kind}/{inputs[name]}"
                break
        else:
            name = next(name for name in _PATHS if inputs.get(name))
            status = self.session(inputs).request("GET", "/api/2.0/workspace/get-status", query={"path": inputs[name]}).json
            identifier = f"/{_PATHS[name]}/{status['object_id']}"
        self._put(identifier, inputs)
        return identifier

    def _put(self, identifier: str, inputs: Values) -> None:
        rows = []
        for row in inputs["accessControls"]:
            who = {api: row[name] for name, api in _WHO if row.get(name)}
            rows.append({**who, "permission_level": row["permissionLevel"]})
        owned = identifier.split("/")[1] in ("jobs", "pipelines")
        if owned and not any(row["permission_level"] == "IS_OWNER" for row in rows):
            # Exactly one owner is the API's rule: who owns it now stays.
            rows += self._owners(identifier, inputs)
        self.session(inputs).request("PUT", f"/api/2.0/permissions{identifier}", body={"access_control_list": rows})

    def _owners(self, identifier: str, known: Mapping[str, Any]) -> list[Json]:
        shown = self._acl(identifier, known) or []
        return [
            {**{api: row[api] for _, api in _WHO if api in row}, "permission_level": "IS_OWNER"}
            for row in shown
            if any(each["permission_level"] == "IS_OWNER" and not each.get("inherited") for each in row["all_permissions"])
        ]

    def _acl(self, identifier: str, known: Mapping[str, Any]) -> list[Json] | None:
        shown = self.found(lambda: self.session(known).request("GET", f"/api/2.0/permissions{identifier}"))
        if shown is None:
            return None
        rows: list[Json] = shown.get("access_control_list") or []
        return rows

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        rows = self._acl(identifier, known)
        if rows is None:
            return None
        declared = {(part, row.get("permissionLevel")) for row in known.get("accessControls") or () for part in _names(row)}
        controls = []
        for row in rows:
            who = {name: row[api] for name, api in _WHO if api in row}
            if who == {"groupName": "admins"}:
                continue
            for each in row["all_permissions"]:
                level = each["permission_level"]
                implied_owner = level == "IS_OWNER" and not declared.intersection((part, level) for part in _names(who))
                if not each.get("inherited") and not implied_owner:
                    controls.append({**who, "permissionLevel": level})
        return {"accessControls": controls} if controls else None

    def outputs(self, identifier: str, shown: Json, known: Mapping[str, Any]) -> Values:
        kind, _, object_id = identifier.strip("/").rpartition("/")
        named = {name: known[name] for name in (*_OBJECTS, *_PATHS) if known.get(name)}
        if not named:
            named = {next(name for name, each in _OBJECTS.items() if each == kind): object_id}
        return {**named, **shown, "objectType": kind.removesuffix("s") if kind == "jobs" else kind}

    def imported(self, identifier: str, outputs: Mapping[str, Any], inputs: Values) -> Values:
        return {name: value for name, value in inputs.items() if name != "objectType"}

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        self._put(identifier, inputs)

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        body = {"access_control_list": self._owners(identifier, inputs) if identifier.split("/")[1] in ("jobs", "pipelines") else []}
        self.session(inputs).request("PUT", f"/api/2.0/permissions{identifier}", body=body)


def _names(row: Mapping[str, Any]) -> list[str]:
    return [str(row[name]).lower() for name, _ in _WHO if row.get(name)]


class WorkspaceBinding(DatabricksResource):
    replaced = frozenset({"workspaceId", "securableName", "securableType", "catalogName", "bindingType"})
    defaults: ClassVar[Mapping[str, Any]] = {"bindingType": "BINDING_TYPE_READ_WRITE", "securableType": "catalog"}

    def mistakes(self, inputs: Mapping[str, Any]) -> Sequence[Failure]:
        if inputs.get("securableName") is None and inputs.get("catalogName") is None:
            return [Failure(property="securableName", reason="Missing required property 'securableName'")]
        return ()

    def normalise(self, path: str, value: Any) -> Any:
        if path in ("securableName", "catalogName") and isinstance(value, str):
            return value.lower()
        return super().normalise(path, value)

    def name_of(self, inputs: Values) -> str:
        name = inputs.get("securableName") or inputs["catalogName"]
        return f"{inputs['workspaceId']}|{inputs.get('securableType') or 'catalog'}|{name}"

    def _change(self, known: Mapping[str, Any], identifier: str, change: Json) -> None:
        _, kind, name = identifier.split("|", 2)
        self.session(known).request("PATCH", f"{UC}/bindings/{kind}/{name}", body=change)

    def post(self, inputs: Values) -> str:
        identifier = self.name_of(inputs)
        binding = {"workspace_id": int(inputs["workspaceId"]), "binding_type": inputs.get("bindingType") or "BINDING_TYPE_READ_WRITE"}
        self._change(inputs, identifier, {"add": [binding]})
        return identifier

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        workspace, kind, name = identifier.split("|", 2)
        shown = self.found(lambda: self.session(known).request("GET", f"{UC}/bindings/{kind}/{name}"))
        for each in (shown or {}).get("bindings") or ():
            if str(each["workspace_id"]) == workspace:
                named = {"catalog_name": name} if known.get("catalogName") else {"securable_name": name, "securable_type": kind}
                return {"workspace_id": workspace, "binding_type": each["binding_type"], **named}
        return None

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        self.post(inputs)

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        workspace = int(identifier.split("|", 2)[0])
        kind = {**outputs, **inputs}.get("bindingType") or "BINDING_TYPE_READ_WRITE"
        self._change(inputs, identifier, {"remove": [{"workspace_id": workspace, "binding_type": kind}]})


class SecretScope(DatabricksResource):
    autonamed = "name"
    replaced = frozenset({"name", "backendType", "keyvaultMetadata", "initialManagePrincipal"})
    input_only = frozenset({"initialManagePrincipal"})
    _root: ClassVar[str] = "/api/2.0/secrets/scopes"

    def normalise(self, path: str, value: Any) -> Any:
        if path == "backendType":
            return None  # follows from keyvaultMetadata
        if path.startswith("keyvaultMetadata.") and isinstance(value, str):
            return value.lower().rstrip("/")
        return super().normalise(path, value)

    def named(self, inputs: Values) -> Sequence[str]:
        return [inputs["name"]] if self.show(inputs["name"], inputs) is not None else []

    def post(self, inputs: Values) -> str:
        body: Json = {"scope": inputs["name"]}
        if inputs.get("initialManagePrincipal"):
            body["initial_manage_principal"] = inputs["initialManagePrincipal"]
        if vault := inputs.get("keyvaultMetadata"):
            body["scope_backend_type"] = "AZURE_KEYVAULT"
            body["backend_azure_keyvault"] = {"resource_id": vault["resourceId"], "dns_name": vault["dnsName"]}
        self.session(inputs).request("POST", f"{self._root}/create", body=body)
        return str(inputs["name"])

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        for each in self.session(known).request("GET", f"{self._root}/list").json.get("scopes") or []:
            if each["name"] == identifier:
                shown: Json = each
                return shown
        return None

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        """Nothing of a scope can change in place."""

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        self.session(inputs).request("POST", f"{self._root}/delete", body={"scope": identifier}, repeatable=True)


class SecretAcl(DatabricksResource):
    replaced = frozenset({"scope", "principal", "permission"})
    _root: ClassVar[str] = "/api/2.0/secrets/acls"

    def mistakes(self, inputs: Mapping[str, Any]) -> Sequence[Failure]:
        if inputs["permission"] not in ("READ", "WRITE", "MANAGE", UNKNOWN):
            return [Failure(property="permission", reason=f"'{inputs['permission']}' is none of READ, WRITE, MANAGE")]
        return ()

    def name_of(self, inputs: Values) -> str:
        return f"{inputs['scope']}|||{inputs['principal']}"

    def post(self, inputs: Values) -> str:
        body = {name: inputs[name] for name in ("scope", "principal", "permission")}
        self.session(inputs).request("POST", f"{self._root}/put", body=body, repeatable=True)
        return self.name_of(inputs)

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        scope, _, principal = identifier.partition("|||")
        query = {"scope": scope, "principal": principal}
        shown = self.found(lambda: self.session(known).request("GET", f"{self._root}/get", query=query))
        return None if shown is None else {"scope": scope, "principal": principal, "permission": shown["permission"]}

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        self.post(inputs)

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        scope, _, principal = identifier.partition("|||")
        body = {"scope": scope, "principal": principal}
        self.session(inputs).request("POST", f"{self._root}/delete", body=body, repeatable=True)

    def is_missing(self, error: ServiceError) -> bool:
        return error.missing
