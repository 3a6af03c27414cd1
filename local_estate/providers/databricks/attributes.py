"""Attribute-based access: governed tags, who may assign them, their assignments, and the policies that act on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from local_estate.providers.changes import in_no_order
from local_estate.providers.checking import Failure
from local_estate.providers.databricks.names import to_api
from local_estate.providers.databricks.resource import DatabricksResource, DualResource, Json
from local_estate.providers.databricks.unity_catalog import UC
from local_estate.providers.failures import Refused, ServiceError
from local_estate.providers.kinds import Values


def _blank(value: Any) -> bool:
    return value in ("", [], {})


def _unordered(value: Any) -> Any:
    """A list whose order says nothing; empty is absent."""
    if not isinstance(value, list):
        return value
    return in_no_order(value) or None


class TagPolicy(DatabricksResource):
    """A governed tag of the account. Its address is its key, its id what rule sets name it by; it is imported by its key."""

    replaced = frozenset({"tagKey"})
    _root: ClassVar[str] = "/api/2.1/tag-policies"

    def normalise(self, path: str, value: Any) -> Any:
        if path == "values":
            return _unordered(value)
        return None if path == "description" and value == "" else super().normalise(path, value)

    def name_of(self, inputs: Values) -> str:
        return str(inputs["tagKey"])

    def named(self, inputs: Values) -> Sequence[str]:
        shown = self._of_key(inputs["tagKey"], inputs)
        return [] if shown is None else [str(shown["id"])]

    def post(self, inputs: Values) -> str:
        return str(self.session(inputs).request("POST", self._root, body=to_api(self.schema, inputs)).json["id"])

    def _of_key(self, key: str, known: Mapping[str, Any]) -> Json | None:
        shown: Json | None = self.found(lambda: self.session(known).request("GET", f"{self._root}/{key}"))
        return shown

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        shown = self._of_key(str(known["tagKey"]), known)
        return shown if shown and shown["id"] == identifier else None

    def read(self, identifier: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> tuple[str, Values] | None:
        known = {**inputs, **outputs}
        # By its key, as the published provider: whoever made it anew under another id made the same governed tag.
        shown = self._of_key(str(known.get("tagKey") or identifier), known)
        return None if shown is None else (str(shown["id"]), self.outputs(identifier, shown, known))

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        query = {"update_mask": "description,values"}
        self.session(inputs).request("PATCH", f"{self._root}/{inputs['tagKey']}", query=query, body=to_api(self.schema, inputs))

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        self.session(inputs).request("DELETE", f"{self._root}/{outputs.get('tagKey') or inputs['tagKey']}")


class EntityTagAssignment(DatabricksResource):
    """One tag of one catalog, schema, table, volume or column."""

    replaced = frozenset({"entityType", "entityName", "tagKey"})
    _root: ClassVar[str] = f"{UC}/entity-tag-assignments"

    def normalise(self, path: str, value: Any) -> Any:
        if path == "entityName" and isinstance(value, str):
            return value.lower()
        return None if path == "tagValue" and value == "" else super().normalise(path, value)

    def name_of(self, inputs: Values) -> str:
        return ",".join(str(inputs[name]) for name in ("entityType", "entityName", "tagKey"))

    def named(self, inputs: Values) -> Sequence[str]:
        return [self.name_of(inputs)] if self.show(self.name_of(inputs), inputs) is not None else []

    def _path(self, identifier: str) -> str:
        parts = identifier.split(",", 2)
        if len(parts) != 3:
            raise Refused(f"'{identifier}' is no id of a tag assignment; expected ENTITY_TYPE,ENTITY_NAME,TAG_KEY", "INVALID_ARGUMENT")
        return f"{self._root}/{parts[0]}/{parts[1]}/tags/{parts[2]}"

    def post(self, inputs: Values) -> str:
        self.session(inputs).request("POST", self._root, body=to_api(self.schema, inputs))
        return self.name_of(inputs)

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        shown: Json | None = self.found(lambda: self.session(known).request("GET", self._path(identifier)))
        return shown

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        body = {**to_api(self.schema, inputs), "tag_value": inputs.get("tagValue") or ""}
        self.session(inputs).request("PATCH", self._path(identifier), query={"update_mask": "tag_value"}, body=body)

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        self.session(inputs).request("DELETE", self._path(identifier))


class PolicyInfo(DatabricksResource):
    """A policy of Unity Catalog. It is addressed by what it is on and its name, and imported by these; its id is the service's.

    As in the published provider, a changed address is an update that the service refuses: it looks for the policy at the new one.
    """

    autonamed = "name"
    _root: ClassVar[str] = f"{UC}/policies"
    _address: ClassVar[tuple[str, ...]] = ("onSecurableType", "onSecurableFullname", "name")
    _mask: ClassVar[str] = (
        "column_mask,comment,deny,except_principals,for_securable_type,grant,match_columns,policy_type,row_filter,to_principals,when_condition"
    )

    def normalise(self, path: str, value: Any) -> Any:
        if path in ("toPrincipals", "exceptPrincipals", "grant.privileges", "deny.privileges"):
            return _unordered(value)
        if path in ("name", "onSecurableFullname", "columnMask.functionName", "rowFilter.functionName") and isinstance(value, str):
            return value.lower()
        return None if _blank(value) else super().normalise(path, value)

    def _path(self, known: Mapping[str, Any]) -> str:
        return "/".join((self._root, *(str(known.get(name) or "") for name in self._address)))

    def name_of(self, inputs: Values) -> str:
        return self._path(inputs)

    def _at(self, known: Mapping[str, Any]) -> Json | None:
        shown: Json | None = self.found(lambda: self.session(known).request("GET", self._path(known)))
        return shown

    def named(self, inputs: Values) -> Sequence[str]:
        shown = self._at(inputs)
        return [] if shown is None else [str(shown["id"])]

    def post(self, inputs: Values) -> str:
        return str(self.session(inputs).request("POST", self._root, body=to_api(self.schema, inputs)).json["id"])

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        shown = self._at(known)
        return shown if shown and shown["id"] == identifier else None

    def read(self, identifier: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> tuple[str, Values] | None:
        known = {**inputs, **outputs}
        if not known.get("name"):
            parts = identifier.split(",")
            if len(parts) != 3 or not all(parts):
                expected = "ON_SECURABLE_TYPE,ON_SECURABLE_FULLNAME,NAME"
                raise Refused(f"'{identifier}' is no address of a policy; expected {expected}", "INVALID_ARGUMENT")
            known |= dict(zip(self._address, parts, strict=True))
        shown = self._at(known)
        return None if shown is None else (str(shown["id"]), self.outputs(identifier, shown, known))

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        self.session(inputs).request("PATCH", self._path(inputs), query={"update_mask": self._mask}, body=to_api(self.schema, inputs))

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        self.session(inputs).request("DELETE", self._path(outputs))


class AccessControlRuleSet(DualResource):
    """All roles granted on the account or on one of its objects, authoritative: a rule set always exists and is replaced as a whole."""

    replaced = frozenset({"name"})
    input_only = frozenset({"api"})

    def mistakes(self, inputs: Mapping[str, Any]) -> Sequence[Failure]:
        if inputs.get("name") is None:
            return [Failure(property="name", reason="Missing required property 'name'")]
        return ()

    def normalise(self, path: str, value: Any) -> Any:
        if path == "grantRules.principals" and isinstance(value, str):
            return value.lower()
        if path in ("grantRules", "grantRules.principals"):
            return _unordered(value)
        return super().normalise(path, value)

    def _path(self, known: Mapping[str, Any]) -> str:
        account = f"{self.connection.account_id}/" if self.on_account(known) else ""
        return f"/api/2.0/preview/accounts/{account}access-control/rule-sets"

    def post(self, inputs: Values) -> str:
        self._put(str(inputs["name"]), inputs, to_api(self.schema, inputs).get("grant_rules") or [])
        return str(inputs["name"])

    def _put(self, identifier: str, known: Mapping[str, Any], rules: list[Json]) -> None:
        try:
            self._put_under_its_etag(identifier, known, rules)
        except ServiceError as error:
            if error.code != "RESOURCE_CONFLICT":
                raise
            # Somebody was faster, or it was us: a PUT whose reply was lost is sent again, under the etag it has made stale.
            self._put_under_its_etag(identifier, known, rules)

    def _put_under_its_etag(self, identifier: str, known: Mapping[str, Any], rules: list[Json]) -> None:
        # The engine's state is the authority, so the etag is whichever the rule set has now.
        read = self.session(known).request("GET", self._path(known), query={"name": identifier, "etag": ""}).json
        body = {"name": identifier, "rule_set": {"name": identifier, "etag": read["etag"], "grant_rules": rules}}
        self.session(known).request("PUT", self._path(known), body=body)

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        query = {"name": identifier, "etag": ""}
        shown = self.found(lambda: self.session(known).request("GET", self._path(known), query=query))
        return None if shown is None else {"name": identifier, "etag": "", "grant_rules": shown.get("grant_rules") or []}

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        self.post(inputs)

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        self._put(identifier, {**outputs, **inputs}, [])
