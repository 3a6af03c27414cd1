"""Declarative pipelines: settings replaced as a whole; an edit names the pipeline's id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from local_estate.providers.databricks.names import from_api, to_api
from local_estate.providers.databricks.resource import DatabricksResource, Json
from local_estate.providers.kinds import Values

_PIPELINES = "/api/2.0/pipelines"
# Inputs of the type that describe its state; a program sets none of them.
_READ_ONLY = frozenset(
    {"cause", "clusterId", "creatorUserName", "health", "lastModified", "latestUpdates", "pipelineId", "runAsUserName", "state", "url"}
)
_RUN_AS = {"service_principal_name": "servicePrincipalName", "user_name": "userName"}


class Pipeline(DatabricksResource):
    autonamed = "name"
    replaced = frozenset(
        {
            "storage",
            "catalog",
            *(f"gatewayDefinition.{name}" for name in ("connectionId", "connectionName", "gatewayStorageCatalog", "gatewayStorageSchema")),
            *(f"ingestionDefinition.{name}" for name in ("connectionName", "ingestFromUcForeignCatalog", "ingestionGatewayId")),
        }
    )
    input_only = frozenset({"allowDuplicateNames"})
    computed = _READ_ONLY | {"runAs", "expectedLastModified"}  # upstream: removal of run_as is no change
    defaults: ClassVar[Mapping[str, Any]] = {
        "allowDuplicateNames": False,
        "continuous": False,
        "development": False,
        "photon": False,
        "serverless": False,
        "channel": "CURRENT",
        "edition": "ADVANCED",
    }

    def normalise(self, path: str, value: Any) -> Any:
        if path in _READ_ONLY or value in ([], {}):
            return None
        if path == "edition" and isinstance(value, str):
            value = value.upper()  # the service knows it in any case
        if path.endswith(".label") and value == "default":
            return None
        return super().normalise(path, value)

    def _settings(self, inputs: Mapping[str, Any]) -> Json:
        return to_api(self.schema, inputs, frozenset(self.schema.inputs) - _READ_ONLY)

    def named(self, inputs: Values) -> Sequence[str]:
        wanted = str(inputs["name"])
        query: dict[str, Any] = {"filter": f"name LIKE '{wanted}'", "max_results": 100}
        found: list[str] = []
        while True:
            page = self.session(inputs).request("GET", _PIPELINES, query=query).json
            found += [str(each["pipeline_id"]) for each in page.get("statuses") or [] if each["name"] == wanted]
            if not page.get("next_page_token"):
                return found
            query["page_token"] = page["next_page_token"]

    def post(self, inputs: Values) -> str:
        return str(self.session(inputs).request("POST", _PIPELINES, body=self._settings(inputs)).json["pipeline_id"])

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        shown: Json | None = self.found(lambda: self.session(known).request("GET", f"{_PIPELINES}/{identifier}"))
        return shown

    def outputs(self, identifier: str, shown: Json, known: Mapping[str, Any]) -> Values:
        """The settings. What the pipeline is doing at the moment is no state of the resource."""
        found = from_api(self.schema, {name: value for name, value in shown["spec"].items() if name != "id"})
        if run_as := shown.get("run_as"):
            found["runAs"] = {_RUN_AS[name]: value for name, value in run_as.items() if name in _RUN_AS}
        kept = {name: known[name] for name in self.input_only if name in known}
        about = {"runAsUserName": shown["run_as_user_name"], "creatorUserName": shown["creator_user_name"]}
        return {**kept, **found, **about, "pipelineId": identifier, "url": f"/#joblist/pipelines/{identifier}"}

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        body = {**self._settings(inputs), "id": identifier}
        self.session(inputs).request("PUT", f"{_PIPELINES}/{identifier}", body=body, repeatable=True)

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        self.session(inputs).request("DELETE", f"{_PIPELINES}/{identifier}", repeatable=True)
