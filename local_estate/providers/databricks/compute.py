"""Cluster policies, instance pools and SQL warehouses: ids are the service's, names the program's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from local_estate.providers.changes import in_no_order
from local_estate.providers.checking import Failure
from local_estate.providers.databricks.names import to_api
from local_estate.providers.databricks.resource import DatabricksResource, Json
from local_estate.providers.failures import Refused, ServiceError
from local_estate.providers.kinds import Operation, Values
from local_estate.providers.wire import UNKNOWN

_WAREHOUSE_READY_SECONDS = 1800.0
_POLL_SECONDS = 0.3
_POOL_AZURE = {"availability": "ON_DEMAND_AZURE", "spotBidMaxPrice": -1}  # what a pool gets when nothing is said


def _same_json(text: Any) -> Any:
    """White space and key order of a JSON text say nothing."""
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except (TypeError, ValueError):
        return text


class ClusterPolicy(DatabricksResource):
    autonamed = "name"
    _root: ClassVar[str] = "/api/2.0/policies/clusters"

    def mistakes(self, inputs: Mapping[str, Any]) -> Sequence[Failure]:
        found = []
        if inputs.get("definition") is not None and inputs.get("policyFamilyId") is not None:
            found.append(Failure(property="definition", reason="'definition' conflicts with 'policyFamilyId'"))
        for name in ("definition", "policyFamilyDefinitionOverrides"):
            text = inputs.get(name)
            if text is None or text is UNKNOWN:
                continue
            try:
                json.loads(text)
            except ValueError as error:
                found.append(Failure(property=name, reason=f"is no JSON: {error}"))
        return found

    def normalise(self, path: str, value: Any) -> Any:
        if path in ("definition", "policyFamilyDefinitionOverrides"):
            return _same_json(value)
        return None if path == "libraries" and value == [] else super().normalise(path, value)

    def named(self, inputs: Values) -> Sequence[str]:
        listed = self.session(inputs).request("GET", f"{self._root}/list").json.get("policies") or []
        return [each["policy_id"] for each in listed if each["name"] == inputs["name"]]

    def post(self, inputs: Values) -> str:
        reply = self.session(inputs).request("POST", f"{self._root}/create", body=to_api(self.schema, inputs))
        return str(reply.json["policy_id"])

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        query = {"policy_id": identifier}
        shown: Json | None = self.found(lambda: self.session(known).request("GET", f"{self._root}/get", query=query))
        return shown

    def is_missing(self, error: ServiceError) -> bool:
        return error.missing or error.message.startswith("Can't find a cluster policy with id")

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        body = {**to_api(self.schema, inputs), "policy_id": identifier}
        self.session(inputs).request("POST", f"{self._root}/edit", body=body, repeatable=True)

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        self.session(inputs).request("POST", f"{self._root}/delete", body={"policy_id": identifier}, repeatable=True)

    def outputs(self, identifier: str, shown: Json, known: Mapping[str, Any]) -> Values:
        found = super().outputs(identifier, shown, known)
        if "definition" in known and _same_json(known["definition"]) == _same_json(found.get("definition")):
            found["definition"] = known["definition"]
        if found.get("policyFamilyId"):
            found.pop("definition", None)
        return found


class InstancePool(DatabricksResource):
    replaced = frozenset(
        {
            "nodeTypeId",
            "nodeTypeFlexibility",
            "azureAttributes",
            "awsAttributes",
            "gcpAttributes",
            "instancePoolFleetAttributes",
            "diskSpec",
            "enableElasticDisk",
            "preloadedSparkVersions",
        }
    )
    defaults: ClassVar[Mapping[str, Any]] = {"enableElasticDisk": True, "minIdleInstances": 0, "idleInstanceAutoterminationMinutes": 60}
    computed = frozenset({"instancePoolId", "azureAttributes", "diskSpec"})
    derived = frozenset({"instancePoolId"})
    _root: ClassVar[str] = "/api/2.0/instance-pools"
    _editable: ClassVar[frozenset[str]] = frozenset(
        {"instancePoolName", "minIdleInstances", "maxCapacity", "idleInstanceAutoterminationMinutes", "customTags", "nodeTypeId"}
    )

    def name_of(self, inputs: Values) -> str:
        return str(inputs["instancePoolName"])

    def named(self, inputs: Values) -> Sequence[str]:
        listed = self.session(inputs).request("GET", f"{self._root}/list").json.get("instance_pools") or []
        return [each["instance_pool_id"] for each in listed if each["instance_pool_name"] == inputs["instancePoolName"]]

    def post(self, inputs: Values) -> str:
        reply = self.session(inputs).request("POST", f"{self._root}/create", body=to_api(self.schema, inputs))
        return str(reply.json["instance_pool_id"])

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        query = {"instance_pool_id": identifier}
        shown: Json | None = self.found(lambda: self.session(known).request("GET", f"{self._root}/get", query=query))
        return None if shown is None or shown.get("state") == "DELETED" else shown

    def normalise(self, path: str, value: Any) -> Any:
        if path in ("preloadedSparkVersions", "preloadedDockerImages") and value == []:
            return None
        if path == "azureAttributes" and isinstance(value, dict):
            return {name: each for name, each in value.items() if _POOL_AZURE.get(name) != each} or None
        return super().normalise(path, value)

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        body = {**to_api(self.schema, inputs, self._editable), "instance_pool_id": identifier}
        self.session(inputs).request("POST", f"{self._root}/edit", body=body, repeatable=True)

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        self.session(inputs).request("POST", f"{self._root}/delete", body={"instance_pool_id": identifier}, repeatable=True)


class SqlEndpoint(DatabricksResource):
    """A SQL warehouse. Its creation waits until it runs, unless `noWait`."""

    autonamed = "name"
    input_only = frozenset({"noWait"})
    defaults: ClassVar[Mapping[str, Any]] = {
        "autoStopMins": 120,
        "enablePhoton": True,
        "minNumClusters": 1,
        "maxNumClusters": 1,
        "spotInstancePolicy": "COST_OPTIMIZED",
        "warehouseType": "CLASSIC",
        "enableServerlessCompute": False,
        "noWait": False,
    }
    computed = derived = frozenset({"dataSourceId", "sqlEndpointId"})
    _root: ClassVar[str] = "/api/2.0/sql/warehouses"
    _shown_only: ClassVar[frozenset[str]] = frozenset({"dataSourceId", "sqlEndpointId", "noWait"})

    def normalise(self, path: str, value: Any) -> Any:
        if path in ("dataSourceId", "sqlEndpointId"):
            return None
        if path == "channel" and isinstance(value, dict) and value.get("name", "CHANNEL_NAME_CURRENT") == "CHANNEL_NAME_CURRENT":
            return None
        if path == "tags" and isinstance(value, dict) and not value.get("customTags"):
            return None
        if path == "tags.customTags" and isinstance(value, list):
            return in_no_order(value)
        return super().normalise(path, value)

    def _body(self, inputs: Values) -> Json:
        upstream: Json = {"auto_stop_mins": 120, "enable_photon": True, "min_num_clusters": 1, "max_num_clusters": 1}
        upstream |= {"spot_instance_policy": "COST_OPTIMIZED"}
        return {**upstream, **to_api(self.schema, inputs, frozenset(self.schema.inputs) - self._shown_only)}

    def named(self, inputs: Values) -> Sequence[str]:
        listed = self.session(inputs).request("GET", self._root).json.get("warehouses") or []
        return [each["id"] for each in listed if each["name"] == inputs["name"]]

    def post(self, inputs: Values) -> str:
        return str(self.session(inputs).request("POST", self._root, body=self._body(inputs)).json["id"])

    def create(self, operation: Operation, inputs: Values) -> tuple[str, Values]:
        identifier, outputs = super().create(operation, inputs)
        waited = 0.0
        while not inputs.get("noWait") and outputs.get("state") == "STARTING":
            if operation.cancelled.wait(_POLL_SECONDS) or waited > (operation.timeout or _WAREHOUSE_READY_SECONDS):
                raise Refused(f"gave up waiting for the SQL warehouse {identifier}; it is STARTING", "ABORTED")
            waited += _POLL_SECONDS
            outputs = self._state(identifier, inputs)
        return identifier, outputs

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        shown: Json | None = self.found(lambda: self.session(known).request("GET", f"{self._root}/{identifier}"))
        return None if shown is None or shown.get("state") in ("DELETED", "DELETING") else shown

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        self.session(inputs).request("POST", f"{self._root}/{identifier}/edit", body=self._body(inputs), repeatable=True)

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        self.session(inputs).request("DELETE", f"{self._root}/{identifier}")

    def outputs(self, identifier: str, shown: Json, known: Mapping[str, Any]) -> Values:
        found = super().outputs(identifier, {name: value for name, value in shown.items() if name not in ("id", "health")}, known)
        return {**found, "sqlEndpointId": identifier}
