"""One ARM type as Pulumi handles it: names, PUT, polling, reading back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local_estate.providers.azure_native import body
from local_estate.providers.azure_native.arm_types import ArmType
from local_estate.providers.changes import in_no_order
from local_estate.providers.checking import Failure
from local_estate.providers.failures import MadeButNotReady, Refused, ReplyLost, ServiceError
from local_estate.providers.http import Reply, Session
from local_estate.providers.kinds import Kind, Naming, Operation, Values
from local_estate.providers.schemas import Node, TypeSchema
from local_estate.providers.wire import UNKNOWN

_POLL_SECONDS = 0.2
_TIMEOUT_SECONDS = 7200.0
_FAILED = ("Failed", "Canceled")
# Lists whose order says nothing.
_SETS = ("zones", "addressPrefixes", "sourceAddressPrefixes", "destinationAddressPrefixes", "sourcePortRanges", "destinationPortRanges")


class ArmResource(Kind):
    delete_before_replace = True  # a replacement has the same id unless its name is random

    def __init__(self, schema: TypeSchema, arm: ArmType, session: Callable[[], Session], settings: Callable[[str], str]) -> None:
        super().__init__(schema)
        self._arm = arm
        self._session = session
        self._settings = settings  # "subscriptionId", "location": from the provider's configuration
        self.computed = self.derived = frozenset({*arm.inline, "id", "name", "type", "etag"} - {arm.name_input})
        self._path_names = [part.partition("}")[0] for part in arm.path.split("{")[1:]]

    # Check

    def complete(self, inputs: Values, olds: Mapping[str, Any], naming: Naming) -> Values:
        filled = {**inputs}
        name = self._arm.name_input
        if name in self.schema.inputs and filled.get(name) is None:
            filled |= self._named(name, olds, naming)
        if self._arm.located and filled.get("location") is None and (location := self._location(filled, olds)) is not None:
            filled["location"] = location
        return filled

    def _named(self, name: str, olds: Mapping[str, Any], naming: Naming) -> Values:
        if olds.get(name):
            return {name: olds[name]}
        if self._arm.fixed_name:
            return {name: self._arm.fixed_name}
        if naming.disabled:
            return {}
        if naming.proposed:
            return {name: naming.proposed}
        if name == "roleAssignmentName":
            return {name: str(uuid.UUID(naming.hexadecimal(32)))}
        top_level = self._arm.path.count("{") <= 3 and not self._arm.path.startswith("{scope")
        return {name: naming.logical + naming.hexadecimal(8) if top_level else naming.logical}

    def _location(self, inputs: Mapping[str, Any], olds: Mapping[str, Any]) -> Any:
        """The old one, the provider's, the resource group's; UNKNOWN while the group is yet to be made."""
        if olds.get("location"):
            return olds["location"]
        if configured := self._settings("location"):
            return configured
        group = inputs.get("resourceGroupName")
        if group is None or self._arm.name_input == "resourceGroupName":
            return None
        if group is UNKNOWN:
            return UNKNOWN
        path = f"/subscriptions/{self._settings('subscriptionId')}/resourceGroups/{group}"
        try:
            return self._session().request("GET", path, query={"api-version": "2024-03-01"}).json.get("location", UNKNOWN)
        except (ServiceError, Refused):
            return UNKNOWN

    def mistakes(self, inputs: Mapping[str, Any]) -> Sequence[Failure]:
        found = []
        fixed = self._arm.fixed_name
        name = inputs.get(self._arm.name_input)
        if fixed and name not in (fixed, UNKNOWN):
            found.append(Failure(property=self._arm.name_input, reason=f"must be '{fixed}', not '{name}'"))
        if self._arm.located and inputs.get("location") is None:
            found.append(Failure(property="location", reason="Missing required property 'location'"))
        for each in self._path_names:
            value = inputs.get(each)
            if each != "subscriptionId" and (value is None or value == ""):
                found.append(Failure(property=each, reason=f"Missing required property '{each}'"))
        return found

    # Diff

    def normalise(self, path: str, value: Any) -> Any:
        last = path.rpartition(".")[2]
        if path.startswith("__"):
            return None
        if isinstance(value, str):
            if last == "location":
                return value.replace(" ", "").lower()
            if value.lower().startswith("/subscriptions/"):
                return value.lower()
        if isinstance(value, list) and last in _SETS:
            return in_no_order(value)
        if last == "userAssignedIdentities" and isinstance(value, dict):
            return sorted(value)
        return value

    def replaces(self, path: str) -> bool:
        names = {*self._path_names, *self._arm.replaces}
        return any(path == each or path.startswith(f"{each}.") for each in names)

    def foresee(self, inputs: Values) -> Values:
        """As the published provider: what the inputs state, everything else unknown, the name too unless an input is called so."""
        return {
            **{
                name: self._foreseen(inputs.get(name, UNKNOWN), node)
                for name, node in self.schema.outputs.items()
                if name not in ("id", "urn")
            },
            "azureApiVersion": self._arm.api_version,
        }

    def foresee_update(self, before: Values, inputs: Values, outputs: Values) -> Values:
        """Of what ARM answered before, name and location alone are known to stay; the id is the engine's to keep."""
        return {**self.foresee(inputs), **{name: outputs[name] for name in ("name", "location") if name in outputs}}

    def _foreseen(self, value: Any, node: Node) -> Any:
        kind = node["type"]
        if kind == "object" and isinstance(value, dict):
            return {name: self._foreseen(value.get(name, UNKNOWN), part) for name, part in self.schema.shapes[node["ref"]].items()}
        if kind == "map" and isinstance(value, dict):
            return {name: self._foreseen(each, node["values"]) for name, each in value.items()}
        if kind == "array" and isinstance(value, list):
            return [self._foreseen(each, node["items"]) for each in value]
        return value if kind not in ("object", "map", "array") else UNKNOWN

    # Operations

    def _identifier(self, inputs: Mapping[str, Any]) -> str:
        values = {"subscriptionId": self._settings("subscriptionId"), **inputs}
        path = self._arm.path
        for name in self._path_names:
            path = path.replace(f"{{{name}}}", str(values[name]).strip("/") if name in ("scope", "resourceUri") else str(values[name]))
        return path if path.startswith("/") else f"/{path}"

    def _query(self) -> dict[str, str]:
        return {"api-version": self._arm.api_version}

    def _shown(self, identifier: str) -> Values | None:
        try:
            shown: Values = self._session().request("GET", identifier, query=self._query()).json
        except ServiceError as error:
            if error.missing:
                return None
            raise
        return shown

    def create(self, operation: Operation, inputs: Values) -> tuple[str, Values]:
        identifier = self._identifier(inputs)
        left = operation.creations.of(operation.urn)
        ours = left is not None and left.name.lower() == identifier.lower()
        if not ours and self._arm.singleton is None and self._shown(identifier) is not None:
            raise Refused(f"cannot create already existing resource '{identifier}'", "ALREADY_EXISTS")
        operation.creations.begin(operation.urn, identifier, ())
        request = body.request_body(self._arm, self.schema, inputs)
        for name in self._arm.inline:
            request["properties"].setdefault(name, [])
        try:
            outputs = self._put(operation, identifier, request)
        except ServiceError:
            operation.creations.end(operation.urn)
            raise
        operation.creations.made(operation.urn, identifier)
        return outputs[0], self._outputs(outputs[1], inputs)

    def update(self, operation: Operation, identifier: str, before: Values, inputs: Values, outputs: Values) -> Values:
        request = body.request_body(self._arm, self.schema, inputs)
        missing = [name for name in self._arm.inline if name not in request["properties"]]
        if missing:
            shown = (self._shown(identifier) or {}).get("properties", {})
            request["properties"].update({name: shown[name] for name in missing if name in shown})
        return self._outputs(self._put(operation, identifier, request)[1], inputs)

    def _put(self, operation: Operation, identifier: str, request: Values) -> tuple[str, Values]:
        """Sends, waits for the end, reads back: the id ARM gave and the resource."""
        reply = self._session().request("PUT", identifier, query=self._query(), body=request)
        made = reply.json.get("id") or identifier
        try:
            self._wait(operation, reply, made)
        except (ServiceError, ReplyLost, Refused) as error:
            shown = self._shown(made)
            if shown is None:
                raise
            raise MadeButNotReady(made, self._outputs(shown, {}), [str(error)]) from error
        shown = self._shown(made)
        if shown is None:
            raise Refused(f"{made} was accepted and is not there", "ABORTED")
        return made, shown

    def _wait(self, operation: Operation, reply: Reply, identifier: str) -> None:
        """Follows Azure-AsyncOperation or Location, else the resource's own provisioningState, to its end."""
        waited = 0.0
        following = reply.headers.get("azure-asyncoperation") or reply.headers.get("location")
        state = str((reply.json.get("properties") or {}).get("provisioningState") or "Succeeded")
        while following or state not in ("Succeeded", *_FAILED):
            if operation.cancelled.is_set() or waited > (operation.timeout or _TIMEOUT_SECONDS):
                raise Refused(f"gave up waiting for {identifier}", "ABORTED")
            pause = min(float(reply.headers.get("retry-after") or 0) or _POLL_SECONDS, 10.0)
            operation.cancelled.wait(pause)
            waited += pause
            reply = self._poll(following) if following else self._session().request("GET", identifier, query=self._query())
            answer = reply.json
            if following:
                state = str(answer.get("status") or ("InProgress" if reply.status == 202 else "Succeeded"))
                following = following if state not in ("Succeeded", *_FAILED) else None
            else:
                state = str((answer.get("properties") or {}).get("provisioningState") or "Succeeded")
            if state in _FAILED:
                error = answer.get("error") or {}
                raise ServiceError(200, str(error.get("code") or state), str(error.get("message") or f"{identifier} ended {state}"))

    def _poll(self, address: str) -> Reply:
        # The address may name a port the service no longer has, so only its path and query are used.
        path, _, query = address.partition("://")[2].partition("/")[2].partition("?")
        values = dict(part.partition("=")[::2] for part in query.split("&") if part)
        return self._session().request("GET", f"/{path}", query=values)

    def _outputs(self, shown: Mapping[str, Any], inputs: Mapping[str, Any]) -> Values:
        found = body.outputs(self._arm, self.schema, shown)
        if self._arm.explicit_properties:
            self._keep_unshown(found, inputs)
        return found

    def _keep_unshown(self, found: Values, inputs: Mapping[str, Any]) -> None:
        """A secret's value is written and never shown: what was sent stays known, so that a later change of it is one."""
        sent = inputs.get("properties")
        if self.schema.token == "azure-native:keyvault:Secret" and isinstance(sent, dict) and "value" in sent:  # noqa: S105  a type's name
            found["properties"] = {**found.get("properties", {}), "value": sent["value"]}

    def read(self, identifier: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> tuple[str, Values] | None:
        shown = self._shown(identifier)
        if shown is None:
            return None
        recorded = outputs if "value" in (outputs.get("properties") or {}) else inputs
        return str(shown.get("id") or identifier), self._outputs(shown, recorded)

    def look_up(self, arguments: Mapping[str, Any]) -> Values:
        """What the SDK's `get…` function answers: the outputs with their id. Raises Refused where there is no such resource."""
        missing = [name for name in self._path_names if name != "subscriptionId" and arguments.get(name) in (None, "")]
        if missing:
            raise Refused(f"the look-up of a {self.schema.token} needs {', '.join(missing)}", "INVALID_ARGUMENT")
        identifier = self._identifier(arguments)
        shown = self._shown(identifier)
        if shown is None:
            raise Refused(f"{identifier} was not found", "NOT_FOUND")
        return {**self._outputs(shown, {}), "id": str(shown.get("id") or identifier)}

    def delete(self, operation: Operation, identifier: str, inputs: Values, outputs: Values) -> None:
        try:
            if self._arm.singleton is not None:
                self._session().request("PUT", identifier, query=self._query(), body=self._arm.singleton)
                return
            reply = self._session().request("DELETE", identifier, query=self._query())
            if reply.headers.get("azure-asyncoperation") or reply.headers.get("location"):
                self._wait(operation, reply, identifier)
        except ServiceError as error:
            if not error.missing:
                raise

    def imported(self, identifier: str, outputs: Mapping[str, Any], inputs: Values) -> Values:
        return {**inputs, **self._path_values(identifier)}

    def _path_values(self, identifier: str) -> Values:
        """The path's parameters back out of an id."""
        template, actual = self._arm.path.strip("/").split("/"), identifier.strip("/").split("/")
        if template[0] in ("{scope}", "{resourceUri}"):
            tail = len(template) - 1
            return {template[0][1:-1]: "/" + "/".join(actual[:-tail]), template[-1][1:-1]: actual[-1]}
        if len(template) != len(actual):
            raise Refused(f"'{identifier}' is no id of {self.schema.token}; expected {self._arm.path}", "INVALID_ARGUMENT")
        pairs = zip(template, actual, strict=True)
        return {name[1:-1]: value for name, value in pairs if name.startswith("{") and name != "{subscriptionId}"}
