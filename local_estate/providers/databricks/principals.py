"""Groups, their members, and service principals over SCIM, of the account or of a workspace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from local_estate.providers.databricks.resource import DualResource, Json
from local_estate.providers.failures import ServiceError
from local_estate.providers.kinds import Values

_ENTITLEMENTS = {
    "allowClusterCreate": "allow-cluster-create",
    "allowInstancePoolCreate": "allow-instance-pool-create",
    "databricksSqlAccess": "databricks-sql-access",
    "workspaceAccess": "workspace-access",
    "workspaceConsume": "workspace-consume",
}
_SCIM = "urn:ietf:params:scim:schemas:core:2.0:"
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class ScimResource(DualResource):
    kind: ClassVar[str]

    def path(self, known: Mapping[str, Any], kind: str = "") -> str:
        root = f"/api/2.0/accounts/{self.connection.account_id}/scim/v2" if self.on_account(known) else "/api/2.0/preview/scim/v2"
        return f"{root}/{kind or self.kind}"

    def filtered(self, known: Mapping[str, Any], attribute: str, value: str) -> list[str]:
        query = {"filter": f'{attribute} eq "{value}"'}
        return [each["id"] for each in self.session(known).request("GET", self.path(known), query=query).json.get("Resources") or []]

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        shown: Json | None = self.found(lambda: self.session(known).request("GET", f"{self.path(known)}/{identifier}"))
        return shown

    def body(self, inputs: Mapping[str, Any]) -> Json:
        entitlements = [{"value": value} for name, value in _ENTITLEMENTS.items() if inputs.get(name)]
        body: Json = {"entitlements": entitlements}
        for name in ("displayName", "externalId", "applicationId", "active"):
            if inputs.get(name) is not None:
                body[name] = inputs[name]
        return body

    def post(self, inputs: Values) -> str:
        return str(self.session(inputs).request("POST", self.path(inputs), body=self.body(inputs)).json["id"])

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        # A PUT replaces everything, so what other resources own (members, roles) is sent as it is.
        shown = self.show(identifier, inputs) or {}
        kept: Json = {name: shown[name] for name in ("members", "roles", "groups") if name in shown}
        body: Json = {**kept, **self.body({"applicationId": shown.get("applicationId"), **inputs}), "id": identifier}
        self.session(inputs).request("PUT", f"{self.path(inputs)}/{identifier}", body=body)

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        self.session({**outputs, **inputs}).request("DELETE", f"{self.path({**outputs, **inputs})}/{identifier}")

    def outputs(self, identifier: str, shown: Json, known: Mapping[str, Any]) -> Values:
        found: Values = {name: known[name] for name in self.input_only if name in known}
        held = {each["value"] for each in shown.get("entitlements") or []}
        found |= {name: True for name, value in _ENTITLEMENTS.items() if value in held}
        found |= {name: False for name in _ENTITLEMENTS if name in known and name not in found}
        for name in ("displayName", "externalId", "applicationId", "active"):
            if name in self.schema.inputs and shown.get(name) is not None:
                found[name] = shown[name]
        return found

    def normalise(self, path: str, value: Any) -> Any:
        return None if path in _ENTITLEMENTS and value is False else super().normalise(path, value)


class Group(ScimResource):
    kind = "Groups"
    autonamed = "displayName"
    replaced = frozenset({"externalId"})
    computed = derived = frozenset({"aclPrincipalId", "url"})
    input_only = frozenset({"force", "api"})

    def named(self, inputs: Values) -> Sequence[str]:
        return self.filtered(inputs, "displayName", str(inputs["displayName"]))

    def body(self, inputs: Mapping[str, Any]) -> Json:
        return {"schemas": [f"{_SCIM}Group"], **super().body(inputs)}

    def outputs(self, identifier: str, shown: Json, known: Mapping[str, Any]) -> Values:
        return {
            **super().outputs(identifier, shown, known),
            "aclPrincipalId": f"groups/{shown['displayName']}",
            "url": self._url(identifier),
        }

    def _url(self, identifier: str) -> str:
        return f"#setting/accounts/groups/{identifier}"


class ServicePrincipal(ScimResource):
    kind = "ServicePrincipals"
    autonamed = "displayName"
    replaced = frozenset({"applicationId"})
    computed = frozenset({"aclPrincipalId", "home", "repos", "applicationId"})
    derived = frozenset({"aclPrincipalId", "home", "repos"})
    input_only = frozenset({"force", "api", "disableAsUserDeletion", "forceDeleteHomeDir", "forceDeleteRepos"})
    defaults: ClassVar[Mapping[str, Any]] = {"active": True}

    def name_of(self, inputs: Values) -> str:
        return str(inputs.get("applicationId") or inputs["displayName"])

    def named(self, inputs: Values) -> Sequence[str]:
        if inputs.get("applicationId"):
            return self.filtered(inputs, "applicationId", str(inputs["applicationId"]))
        return self.filtered(inputs, "displayName", str(inputs["displayName"]))

    def body(self, inputs: Mapping[str, Any]) -> Json:
        return {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal"], **super().body(inputs)}

    def outputs(self, identifier: str, shown: Json, known: Mapping[str, Any]) -> Values:
        application = str(shown["applicationId"])
        found = super().outputs(identifier, shown, known)
        return {
            **found,
            "aclPrincipalId": f"servicePrincipals/{application}",
            "home": f"/Users/{application}",
            "repos": f"/Repos/{application}",
        }


class GroupMember(ScimResource):
    """One principal in one group; the group's other members are other resources' or nobody's business."""

    kind = "Groups"
    replaced = frozenset({"groupId", "memberId"})
    input_only = frozenset({"api"})

    def name_of(self, inputs: Values) -> str:
        return f"{inputs['groupId']}|{inputs['memberId']}"

    def post(self, inputs: Values) -> str:
        self._patch(inputs, inputs["groupId"], {"op": "add", "path": "members", "value": [{"value": inputs["memberId"]}]})
        return self.name_of(inputs)

    def _patch(self, known: Mapping[str, Any], group: str, operation: Json) -> None:
        body = {"schemas": [_PATCH], "Operations": [operation]}
        self.session(known).request("PATCH", f"{self.path(known)}/{group}", body=body)

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        group, _, member = identifier.partition("|")
        shown = super().show(group, known)
        members = {str(each["value"]) for each in (shown or {}).get("members") or []}
        return {"groupId": group, "memberId": member} if member in members else None

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        self.post(inputs)

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        group, _, member = identifier.partition("|")
        self._patch({**outputs, **inputs}, group, {"op": "remove", "path": f'members[value eq "{member}"]'})

    def is_missing(self, error: ServiceError) -> bool:
        return error.missing or error.code in ("invalidPath", "noTarget")

    def outputs(self, identifier: str, shown: Json, known: Mapping[str, Any]) -> Values:
        return {**{name: known[name] for name in self.input_only if name in known}, **shown}
