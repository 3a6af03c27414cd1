"""A pipeline's settings: what create and edit accept, what they refuse, and the defaults that GET adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_estate.api.kernel.errors import ApiError, not_supported
from local_estate.api.kernel.store import Document

_STORED = (
    "name",
    "catalog",
    "schema",
    "libraries",
    "clusters",
    "configuration",
    "continuous",
    "development",
    "photon",
    "serverless",
    "channel",
    "edition",
    "environment",
    "notifications",
    "tags",
    "deployment",
    "root_path",
    "parent_path",
    "budget_policy_id",
    "usage_policy_id",
)
_REQUEST_ONLY = ("id", "pipeline_id", "allow_duplicate_names", "expected_last_modified", "run_as", "parameters", "dry_run", "pipeline_type")
# What Databricks has and this estate does not do: the reason, or the way to go without.
_UNSUPPORTED = {
    "storage": "pipelines outside Unity Catalog; set catalog and schema",
    "target": "the legacy setting target; set catalog and schema",
    "trigger": "the legacy setting trigger; set continuous to false",
    "filters": "filters of pipelines; list the files under libraries",
    "event_log": "an event log published as a table; read it through the events API",
    "gateway_definition": "ingestion gateways",
    "ingestion_definition": "managed ingestion",
    "restart_window": "restart_window, which only continuous pipelines have",
    "serverless_compute_id": "serverless_compute_id",
}
_CLUSTER_FIELDS = (
    "label",
    "policy_id",
    "apply_policy_default_values",
    "autoscale",
    "num_workers",
    "node_type_id",
    "driver_node_type_id",
    "instance_pool_id",
    "driver_instance_pool_id",
    "custom_tags",
    "spark_conf",
    "spark_env_vars",
    "azure_attributes",
    "enable_local_disk_encryption",
)
_DEFAULTS: Mapping[str, Any] = {"continuous": False, "development": False, "photon": False, "channel": "CURRENT", "edition": "ADVANCED"}
_CHOICES = {"channel": ("CURRENT", "PREVIEW"), "edition": ("CORE", "PRO", "ADVANCED")}


def invalid(message: str) -> ApiError:
    return ApiError("INVALID_PARAMETER_VALUE", message)


def normalised(given: Mapping[str, Any], pipeline_id: str) -> Document:
    """The spec as stored and read back. Raises ApiError: INVALID_PARAMETER_VALUE, or NOT_IMPLEMENTED naming what is not executed."""
    for name, reason in _UNSUPPORTED.items():
        if given.get(name):
            raise not_supported(reason)
    if unknown := sorted(name for name in given if name not in (*_STORED, *_REQUEST_ONLY, *_UNSUPPORTED)):
        raise invalid(f"Unknown field(s) in the pipeline settings: {', '.join(unknown)}.")
    if given.get("dry_run"):
        raise not_supported("dry_run of pipeline settings; start an update with validate_only")
    if given.get("parameters"):
        raise not_supported("parameters of pipelines; use configuration")
    found: Document = {"id": pipeline_id, **_DEFAULTS, **{name: given[name] for name in _STORED if given.get(name) is not None}}
    for name in ("name", "catalog", "schema"):
        if not isinstance(found.get(name), str) or not found[name]:
            raise invalid(f"Missing required field: {name}")
    if "." in found["schema"]:
        raise invalid(f"schema must be a single-part name, not {found['schema']!r}.")
    for name, choices in _CHOICES.items():
        if str(found[name]).upper() not in choices:
            raise invalid(f"{name} must be one of {', '.join(choices)}, not {found[name]!r}.")
    if found["continuous"]:
        # A triggered update ends; one that never does would hold the one JVM of this machine for itself.
        raise not_supported("continuous pipelines: every update here is triggered and ends; set continuous to false and schedule it")
    if found.get("serverless") and found.get("clusters"):
        raise invalid("You cannot provide cluster settings when using serverless compute.")
    _check_configuration(found)
    for position, each in enumerate(_objects(found, "libraries")):
        _check_library(each, f"libraries[{position}]")
    for position, each in enumerate(_objects(found, "clusters")):
        _check_cluster(each, f"clusters[{position}]")
    _check_environment(found.get("environment"))
    return found


def _objects(found: Document, name: str) -> list[Document]:
    listed = found.get(name) or []
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise invalid(f"{name} must be a list of objects.")
    return listed


def _check_configuration(found: Document) -> None:
    configuration = found.get("configuration") or {}
    if not isinstance(configuration, dict) or not all(isinstance(value, str) for value in configuration.values()):
        raise invalid("configuration must map names to strings.")


def _check_library(library: Document, where: str) -> None:
    given = [name for name, value in library.items() if value is not None]
    if len(given) != 1:
        raise invalid(
            f"{where} must have exactly one of file, glob, notebook, whl, jar, maven; it has {', '.join(sorted(given)) or 'none'}."
        )
    kind, value = given[0], library[given[0]]
    if kind in ("notebook", "jar", "maven"):
        raise not_supported(f"{kind} libraries of pipelines ({where}); use file or glob")
    if kind not in ("file", "glob", "whl"):
        raise invalid(f"{where}.{kind} is unknown.")
    field = {"file": "path", "glob": "include"}.get(kind)
    path = value if field is None else value.get(field) if isinstance(value, dict) else None
    if not isinstance(path, str) or not path.startswith("/"):
        raise invalid(f"{where}.{kind}{f'.{field}' if field else ''} must be an absolute path.")
    if kind == "glob" and "*" in path.removesuffix("/**"):
        raise invalid(f"{where}.glob.include must be a file, or a folder that ends in /**; not {path!r}.")


def _check_cluster(cluster: Document, where: str) -> None:
    if unknown := sorted(set(cluster) - set(_CLUSTER_FIELDS)):
        if unknown == ["spark_version"]:
            raise invalid(f"{where}: spark_version cannot be set for a pipeline; its channel decides it.")
        raise invalid(f"{where} has unknown fields {', '.join(unknown)}.")
    if cluster.get("label", "default") not in ("default", "updates", "maintenance"):
        raise invalid(f"{where}.label must be default, updates or maintenance, not {cluster['label']!r}.")


def _check_environment(environment: Any) -> None:
    if environment is None:
        return
    if not isinstance(environment, dict) or set(environment) - {"dependencies", "environment_version"}:
        raise invalid("environment has the fields dependencies and environment_version only.")
    if not all(isinstance(each, str) for each in environment.get("dependencies") or []):
        raise invalid("environment.dependencies must be a list of strings.")
