"""Jobs, API 2.2: settings replaced as a whole, tasks paged at a hundred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from local_estate.providers.changes import in_no_order
from local_estate.providers.databricks.names import from_api, to_api
from local_estate.providers.databricks.resource import DatabricksResource, Json
from local_estate.providers.failures import ServiceError
from local_estate.providers.kinds import Values

_JOBS = "/api/2.2/jobs"
_PAGED = ("tasks", "job_clusters", "environments", "parameters")
# Last step of a path -> what the service fills in where nothing was said.
_FILLED: Mapping[str, Sequence[Any]] = {
    "runIf": ("ALL_SUCCESS",),
    "timeoutSeconds": (0,),
    "emailNotifications": ({},),
    "webhookNotifications": ({},),
    "notificationSettings": ({},),
    "maxConcurrentRuns": (1,),
    "format": ("MULTI_TASK", "SINGLE_TASK"),
    "pauseStatus": ("UNPAUSED",),
    "maxRetries": (0,),
    "minRetryIntervalMillis": (0,),
    "retryOnTimeout": (False,),
    "source": ("WORKSPACE",),
    "editMode": ("UI_LOCKED", "EDITABLE"),
    "noAlertForSkippedRuns": (False,),
    "noAlertForCanceledRuns": (False,),
    "alertOnLastAttempt": (False,),
    "disableAutoOptimization": (False,),
    "fullRefresh": (False,),
    "performanceTarget": ("STANDARD",),
    "dataSecurityMode": ("SINGLE_USER",),
    "enableElasticDisk": (True,),
    "azureAttributes": ({},),
    "spotBidMaxPrice": (-1,),
    "firstOnDemand": (1,),
    "availability": ("ON_DEMAND_AZURE",),
}
_RUN_AS = ("servicePrincipalName", "userName", "groupName")
# Lists whose order says nothing: a key identifies each element. A task's own `parameters` are arguments, in their order.
_KEYED = frozenset({"tasks", "jobClusters", "environments", "dependsOns"})


def _is_filled(last: str, value: Any) -> bool:
    return any(type(value) is type(each) and value == each for each in _FILLED.get(last, ()))


class Job(DatabricksResource):
    autonamed = "name"
    input_only = frozenset({"controlRunState", "alwaysRunning"})
    computed = frozenset({"runAs", "queue", "editMode"})  # upstream: their removal is no change
    steering: ClassVar[frozenset[str]] = frozenset({"controlRunState", "alwaysRunning", "triggers"})

    def normalise(self, path: str, value: Any) -> Any:
        last = path.rpartition(".")[2]
        if _is_filled(last, value):
            return None
        if isinstance(value, list):
            if not value:
                return None
            if last in _KEYED or path == "parameters":
                return in_no_order(value)
        return super().normalise(path, value)

    def _settings(self, inputs: Mapping[str, Any]) -> Json:
        given = frozenset(self.schema.inputs) - self.steering
        return {"format": "MULTI_TASK", "max_concurrent_runs": 1, **to_api(self.schema, inputs, given)}

    def named(self, inputs: Values) -> Sequence[str]:
        """The list's name filter is exact but blind to case."""
        found: list[str] = []
        query: dict[str, Any] = {"name": inputs["name"], "limit": 100}
        while True:
            page = self.session(inputs).request("GET", f"{_JOBS}/list", query=query).json
            found += [str(each["job_id"]) for each in page.get("jobs") or [] if each["settings"].get("name") == inputs["name"]]
            if not page.get("next_page_token"):
                return found
            query["page_token"] = page["next_page_token"]

    def post(self, inputs: Values) -> str:
        return str(self.session(inputs).request("POST", f"{_JOBS}/create", body=self._settings(inputs)).json["job_id"])

    def show(self, identifier: str, known: Mapping[str, Any]) -> Json | None:
        session = self.session(known)
        query: dict[str, Any] = {"job_id": identifier}
        shown: Json | None = None
        while True:
            page = self.found(lambda: session.request("GET", f"{_JOBS}/get", query=query))
            if page is None:
                return None
            if shown is None:
                shown = page
            else:
                for name in _PAGED:
                    shown["settings"].setdefault(name, []).extend(page["settings"].get(name) or [])
            if not page.get("next_page_token"):
                return shown
            query["page_token"] = page["next_page_token"]

    def is_missing(self, error: ServiceError) -> bool:
        return error.missing or (error.code == "INVALID_PARAMETER_VALUE" and error.message.endswith("does not exist."))

    def outputs(self, identifier: str, shown: Json, known: Mapping[str, Any]) -> Values:
        found = from_api(self.schema, shown["settings"])
        run_as = shown["settings"].get("run_as") or {}
        if run_as:
            found["runAs"] = {
                name: run_as[key]
                for name, key in (
                    ("servicePrincipalName", "service_principal_name"),
                    ("userName", "user_name"),
                    ("groupName", "group_name"),
                )
                if key in run_as
            }
        kept = {name: known[name] for name in self.input_only if name in known}
        return {**kept, **found, "url": f"/#job/{identifier}"}

    def change(self, identifier: str, before: Values, inputs: Values, outputs: Values) -> None:
        body = {"job_id": int(identifier), "new_settings": self._settings(inputs)}
        self.session(inputs).request("POST", f"{_JOBS}/reset", body=body, repeatable=True)

    def remove(self, identifier: str, inputs: Values, outputs: Values) -> None:
        self.session(inputs).request("POST", f"{_JOBS}/delete", body={"job_id": int(identifier)}, repeatable=True)

    def imported(self, identifier: str, outputs: Mapping[str, Any], inputs: Values) -> Values:
        kept: Values = _without_filled(inputs, self.normalise, "")
        return kept


def _without_filled(value: Any, normalise: Any, path: str) -> Any:
    if isinstance(value, dict):
        below = {name: _without_filled(each, normalise, f"{path}.{name}" if path else name) for name, each in value.items()}
        kept = {name: each for name, each in below.items() if each is not None}
        return kept if kept or not path else None
    if isinstance(value, list):
        return [_without_filled(each, normalise, path) for each in value]
    return value if normalise(path, value) is not None else None
