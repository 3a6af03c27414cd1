"""Executes one task attempt on the data plane: its cluster's policy, its libraries, then the process or the statements."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.routing import Face
from local_estate.api.services.jobs import parameters, sql_files
from local_estate.api.services.jobs.settings import type_of
from local_estate.api.services.jobs.work import FAILED_MESSAGE, Order, Result, Work, failed, succeeded
from local_estate.spark.runtime import Session, TaskLaunch, TaskOutcome

_TOKEN_SECONDS = 24 * 3600
_SECRET = re.compile(r"\{\{secrets/([^/{}]+)/([^/{}]+)\}\}")
# Everything else of a spec's spark_conf sizes a cluster; here that is the one JVM.
_SESSION_CONF = ("spark.sql.", "spark.databricks.")


class InstallFailed(Exception):
    """A library that is not there or not supported; the message names it as the job does."""


class Executor:
    def __init__(self, estate: Estate) -> None:
        self._estate = estate

    def __call__(self, order: Order, work: Work) -> Result:
        principal = self._estate.ask("identity.principal", id=order.run_as_id)
        if principal is None or not principal.get("active", True):
            return failed("UNAUTHORIZED_ERROR", f"The principal {order.run_as_name} that the job runs as does not exist or is not active.")
        token = self._estate.tokens.oauth(principal_id=order.run_as_id, workspace_id=order.workspace_id, seconds=_TOKEN_SECONDS)
        url = self._estate.base_url(Face.WORKSPACE, order.workspace_id)
        session = Session(principal=order.run_as_name, token=token, workspace_url=url)
        try:
            if type_of(order.task) == "sql_task":
                return sql_files.run(self._estate, order, work, session, self._workspace_file(order, _sql_path(order)))
            if type_of(order.task) == "pipeline_task":
                return self._run_pipeline(order, work)
            return self._run_python(order, work, session)
        except InstallFailed as failure:
            return failed("LIBRARY_INSTALLATION_ERROR", f"Library installation failed: {failure}")
        except ApiError as refused:
            code = {403: "UNAUTHORIZED_ERROR", 404: "RESOURCE_NOT_FOUND"}.get(refused.status, "INVALID_CLUSTER_REQUEST")
            return failed(code, refused.message)

    def _run_python(self, order: Order, work: Work, session: Session) -> Result:
        cluster = self._cluster(order)
        wheels, requirements = self._libraries(order)
        order.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        (order.directory / "upstream_task_values.json").write_text(json.dumps(order.upstream_values))
        running = self._estate.spark.launch(
            TaskLaunch(
                session=session,
                directory=order.directory,
                wheels=wheels,
                requirements=requirements,
                spark_conf={
                    name: self._revealed(order, value)
                    for name, value in (cluster.get("spark_conf") or {}).items()
                    if name.startswith(_SESSION_CONF)
                },
                environment={name: self._revealed(order, value) for name, value in (cluster.get("spark_env_vars") or {}).items()},
                **self._code(order),
            )
        )
        work.began(running)
        return _result(order, running.wait())

    def _run_pipeline(self, order: Order, work: Work) -> Result:
        state, update_id, error = self._estate.ask(
            "pipelines.run_task",
            principal_id=order.run_as_id,
            workspace_id=order.workspace_id,
            details=order.task["pipeline_task"],
            began=work.began,
        )
        if state == "COMPLETED":
            return succeeded()
        return failed("RUN_EXECUTION_ERROR", f"The update {update_id} of the pipeline has {state}", error=error)

    def _code(self, order: Order) -> dict[str, Any]:
        kind = type_of(order.task)
        details = order.task[kind]
        if kind == "python_wheel_task":
            return {
                "kind": "python_wheel",
                "package_name": details["package_name"],
                "entry_point": details["entry_point"],
                "argv": parameters.arguments(details),
            }
        file = self._file(order, str(details["python_file"]))
        return {"kind": "spark_python", "python_file": file, "argv": parameters.arguments(details)}

    # --- cluster

    def _cluster(self, order: Order) -> Mapping[str, Any]:
        """The cluster's spec as its policy completes it; empty for an environment."""
        if order.task.get("environment_key"):
            return {}
        if cluster_id := order.task.get("existing_cluster_id"):
            raise ApiError("INVALID_PARAMETER_VALUE", f"Cluster {cluster_id} does not exist")
        spec: Mapping[str, Any] = order.task.get("new_cluster") or next(
            each["new_cluster"] for each in order.settings["job_clusters"] if each["job_cluster_key"] == order.task["job_cluster_key"]
        )
        if not spec.get("policy_id"):
            self._require_unrestricted(order)
            return spec
        completed: Mapping[str, Any] = self._estate.ask(
            "compute.evaluate_policy",
            workspace_id=order.workspace_id,
            policy_id=spec["policy_id"],
            spec=spec,
            principal_id=order.run_as_id,
            apply_defaults=bool(spec.get("apply_policy_default_values")),
        )
        return completed

    def _require_unrestricted(self, order: Order) -> None:
        """A cluster without a policy takes the entitlement allow-cluster-create, which admins have. Raises ApiError PERMISSION_DENIED."""
        if self._estate.ask("identity.is_workspace_admin", principal_id=order.run_as_id, workspace_id=order.workspace_id):
            return
        principal = self._estate.ask("identity.principal", id=order.run_as_id) or {}
        groups = [
            self._estate.ask("identity.group", name=name) for name in self._estate.ask("identity.groups_of", principal_id=order.run_as_id)
        ]
        if not any("allow-cluster-create" in (holder or {}).get("entitlements", []) for holder in (principal, *groups)):
            raise ApiError(
                "PERMISSION_DENIED",
                f"{order.run_as_name} is not authorized to create clusters without a policy: "
                "it lacks the entitlement allow-cluster-create. Name a cluster policy in the cluster's policy_id.",
            )

    def _revealed(self, order: Order, value: Any) -> str:
        """`{{secrets/scope/key}}` with the run-as principal's rights."""

        def secret(match: re.Match[str]) -> str:
            scope, key = match.groups()
            found: bytes = self._estate.ask(
                "secrets.get", principal_id=order.run_as_id, workspace_id=order.workspace_id, scope=scope, key=key
            )
            return found.decode()

        return _SECRET.sub(secret, str(value))

    # --- libraries and files

    def _libraries(self, order: Order) -> tuple[tuple[Path, ...], tuple[str, ...]]:
        """Raises InstallFailed naming the path or the library."""
        wheels: list[Path] = []
        requirements: list[str] = []
        for kind, value in self._wanted(order):
            if kind == "whl":
                wheels.append(self._wheel(order, value))
            elif kind == "pypi":
                requirements.append(value)
            else:
                raise InstallFailed(f"the local estate does not support {kind} libraries ({value})")
        return tuple(wheels), tuple(requirements)

    @staticmethod
    def _wanted(order: Order) -> list[tuple[str, str]]:
        if key := order.task.get("environment_key"):
            environment = next(each for each in order.settings["environments"] if each["environment_key"] == key)
            listed = [str(each) for each in (environment.get("spec") or {}).get("dependencies") or []]
            return [("whl" if each.endswith(".whl") else "pypi", each) for each in listed]
        found = []
        for library in order.task.get("libraries") or []:
            for kind, value in library.items():
                found.append((kind, str(value["package"]) if kind == "pypi" else str(value)))
        return found

    def _wheel(self, order: Order, path: str) -> Path:
        try:
            return self._file(order, path)
        except ApiError as refused:
            raise InstallFailed(f"{path}: {refused.message}") from None

    def _file(self, order: Order, path: str) -> Path:
        """The local file behind `/Volumes/…`, `/Workspace/…` or `/Users/…`. Raises ApiError as the run-as principal would see it."""
        path = path.removeprefix("dbfs:")
        if not path.startswith("/Volumes/"):
            return self._workspace_file(order, path)
        found = Path(
            self._estate.ask(
                "volumes.local_path", principal_id=order.run_as_id, workspace_id=order.workspace_id, path=path, operation="READ"
            )
        )
        if not found.is_file():
            raise ApiError("RESOURCE_DOES_NOT_EXIST", f"The file {path} does not exist.")
        return found

    def _workspace_file(self, order: Order, path: str) -> Path:
        found = Path(
            self._estate.ask("workspace_files.local_path", workspace_id=order.workspace_id, path=path, principal_id=order.run_as_id)
        )
        if not found.is_file():
            raise ApiError("INVALID_PARAMETER_VALUE", f"{path} is a directory.")
        return found


def _sql_path(order: Order) -> str:
    return str(order.task["sql_task"]["file"]["path"])


def _result(order: Order, outcome: TaskOutcome | None) -> Result:
    values_file = order.directory / "task_values.json"
    values = json.loads(values_file.read_text()) if values_file.exists() else {}
    if outcome is None:
        return failed("INTERNAL_ERROR", "The task's process was not waited for to its end.")
    if outcome.succeeded:
        return succeeded(values)
    if outcome.failed_at == "library_install":
        message = "Library installation failed: " + outcome.error.removeprefix("Library installation failed: ")
        return failed("LIBRARY_INSTALLATION_ERROR", message, error_trace=outcome.error_trace)
    return failed("RUN_EXECUTION_ERROR", FAILED_MESSAGE, error=outcome.error, error_trace=outcome.error_trace)
