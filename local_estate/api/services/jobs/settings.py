"""Job settings: what create, reset, update and submit accept, and the defaults that GET adds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from local_estate.api.kernel.errors import ApiError, not_supported
from local_estate.api.services.jobs import graph, quartz, references

Settings = dict[str, Any]
Task = dict[str, Any]

EXECUTED_TYPES = ("python_wheel_task", "spark_python_task", "condition_task", "for_each_task", "run_job_task", "sql_task", "pipeline_task")
_FIELDS = (
    "name",
    "description",
    "tasks",
    "job_clusters",
    "environments",
    "parameters",
    "tags",
    "timeout_seconds",
    "max_concurrent_runs",
    "queue",
    "run_as",
    "email_notifications",
    "webhook_notifications",
    "notification_settings",
    "health",
    "schedule",
    "trigger",
    "continuous",
    "git_source",
    "deployment",
    "edit_mode",
    "format",
    "budget_policy_id",
    "usage_policy_id",
    "performance_target",
    "parent_path",
    "duration_target",
)
_COMPUTE = ("new_cluster", "job_cluster_key", "existing_cluster_id", "environment_key")
_MAX_TASKS, _MAX_PARAMETER_BYTES, _MAX_CONCURRENT = 1000, 10_000, 1000
_GIT_PROVIDERS = (
    "gitHub, bitbucketCloud, gitLab, azureDevOpsServices, gitHubEnterprise, bitbucketServer, gitLabEnterpriseEdition, awsCodeCommit"
)


def invalid(message: str) -> ApiError:
    return ApiError("INVALID_PARAMETER_VALUE", message)


def normalised(given: Mapping[str, Any]) -> Settings:
    """The settings as stored and read back. Raises ApiError INVALID_PARAMETER_VALUE, or NOT_IMPLEMENTED for what is not executed."""
    settings = {name: given[name] for name in _FIELDS if given.get(name) is not None}
    _refuse_dropped(given)
    _refuse_unsupported(settings)
    settings = {
        "name": "Untitled",
        "email_notifications": {},
        "webhook_notifications": {},
        "timeout_seconds": 0,
        "max_concurrent_runs": 1,
        **settings,
        "format": "MULTI_TASK",
    }
    if isinstance(settings["name"], list | dict):
        raise ApiError("MALFORMED_REQUEST", "Could not parse request object: Expected Scalar value for String field 'name'")
    settings["name"] = str(settings["name"])  # a number is taken as its text
    _whole_number(settings, "timeout_seconds", 0, 2**31)
    _whole_number(settings, "max_concurrent_runs", 0, _MAX_CONCURRENT)
    settings["tasks"] = [_task(task) for task in _listed(settings, "tasks")]
    if "job_clusters" in settings:
        settings["job_clusters"] = [_job_cluster(cluster) for cluster in _listed(settings, "job_clusters")]
    _check_unique(settings)
    _check_graph(settings)
    _check_references(settings)
    return settings


def _refuse_dropped(given: Mapping[str, Any]) -> None:
    """What would change the job and is not kept must not be accepted in silence."""
    single = [name for name, value in given.items() if value and (name.endswith("_task") or name in ("new_cluster", "existing_cluster_id"))]
    if single:
        raise not_supported(f"the single-task job format ({', '.join(sorted(single))}); list the task under 'tasks'")
    for name in ("environment_variables", "triggers"):
        if given.get(name):
            raise not_supported(f"{name} of jobs")


def _refuse_unsupported(settings: Settings) -> None:
    if "git_source" in settings:
        if not settings["git_source"].get("git_provider"):
            raise invalid(f"git_source.git_provider is required. It must be one of {_GIT_PROVIDERS}.")
        raise not_supported("jobs with a git_source; put the code in a wheel or a workspace file")
    if settings.get("format") == "SINGLE_TASK":
        raise invalid("The format SINGLE_TASK is not accepted by Jobs 2.1 and later; list the task under 'tasks'.")
    _check_starts(settings)


def _check_starts(settings: Settings) -> None:
    """How the job starts by itself, if it does."""
    found = [name for name in ("schedule", "trigger", "continuous") if name in settings]
    if len(found) > 1:
        raise invalid(f"A job has one of schedule, trigger and continuous, not {' and '.join(found)}.")
    for name in found:
        status = settings[name].get("pause_status", quartz.UNPAUSED)
        if status not in (quartz.UNPAUSED, "PAUSED"):
            raise invalid(f"{name}.pause_status must be PAUSED or UNPAUSED, not {status!r}.")
    if "schedule" in settings:
        try:
            quartz.check(settings["schedule"])
        except quartz.BadSchedule as error:
            raise invalid(str(error)) from None
    if quartz.is_on(settings, "trigger"):
        raise not_supported("jobs that a trigger starts (files, tables, periods); set trigger.pause_status to PAUSED and use run-now")
    if "continuous" in settings:
        _check_continuous(settings)


def _check_continuous(settings: Settings) -> None:
    """Its runs follow one another, and a failed one is not tried again: the next one begins.
    https://learn.microsoft.com/azure/databricks/jobs/continuous
    """
    if str(settings.get("max_concurrent_runs", 1)) != "1":
        raise invalid("A continuous job has one run at a time: max_concurrent_runs must be 1.")
    for task in settings.get("tasks") or []:
        if isinstance(task, dict) and (task.get("max_retries") or task.get("depends_on")):
            raise invalid(f"Task '{task.get('task_key')}' of a continuous job cannot have max_retries or depends_on.")


def _listed(settings: Mapping[str, Any], name: str) -> list[Any]:
    value = settings.get(name) or []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise invalid(f"{name} must be a list of objects.")
    return value


def _whole_number(holder: Settings, name: str, low: int, high: int) -> None:
    try:
        holder[name] = int(holder[name])
    except (TypeError, ValueError):
        raise invalid(f"{name} must be an integer, not {holder[name]!r}.") from None
    if not low <= holder[name] <= high:
        raise invalid(f"{name} must be between {low} and {high}, not {holder[name]}.")


def type_of(task: Mapping[str, Any]) -> str:
    """The one `*_task` field of a task. Raises ApiError for none, several, or one that is not executed here."""
    found = [name for name, value in task.items() if (name.endswith("_task") or name == "dashboard_task") and value is not None]
    key = task.get("task_key")
    if len(found) != 1:
        what = f"has {', '.join(sorted(found))}" if found else "has none"
        raise invalid(f"Task '{key}' must have exactly one task type; it {what}.")
    if found[0] not in EXECUTED_TYPES:
        raise not_supported(f"{found[0]} (task '{key}'); it runs {', '.join(EXECUTED_TYPES)}")
    return found[0]


def _task(given: Mapping[str, Any], nested: bool = False) -> Task:
    key = given.get("task_key")
    if not key or not isinstance(key, str) or len(key) > 100 or not all(letter.isalnum() or letter in "-_" for letter in key):
        raise invalid(f"task_key {key!r} must be 1 to 100 letters, digits, '-' or '_'.")
    kind = type_of(given)
    for name in ("compute", "environment_variables_key"):
        if given.get(name):
            raise not_supported(f"{name} of tasks (task '{key}')")
    task: Task = {"run_if": "ALL_SUCCESS", "timeout_seconds": 0, "email_notifications": {}, **given}
    _whole_number(task, "timeout_seconds", 0, 2**31)
    if task["run_if"] not in graph.RUN_IF:
        raise invalid(f"run_if of task '{key}' must be one of {', '.join(graph.RUN_IF)}, not {task['run_if']!r}.")
    if "max_retries" in task:
        _whole_number(task, "max_retries", -1, 2**31)
    if "min_retry_interval_millis" in task:
        _whole_number(task, "min_retry_interval_millis", 0, 2**31)
    if "depends_on" in task:
        task["depends_on"] = sorted(_listed(task, "depends_on"), key=lambda each: str(each.get("task_key", "")))
    if "new_cluster" in task:
        task["new_cluster"] = _cluster(task["new_cluster"])
    _TYPE_CHECKS[kind](task, str(key), nested)
    return task


def _need(task: Task, key: str, kind: str, *fields: str) -> dict[str, Any]:
    details = task[kind]
    if not isinstance(details, dict):
        raise invalid(f"{kind} of task '{key}' must be an object.")
    for name in fields:
        if details.get(name) in (None, ""):
            raise invalid(f"Missing required field: {kind}.{name} of task '{key}'.")
    return details


def _check_compute(task: Task, key: str) -> None:
    given = [name for name in _COMPUTE if task.get(name)]
    if len(given) != 1:
        raise invalid(f"Task '{key}' must specify exactly one of {', '.join(_COMPUTE)}; it specifies {', '.join(given) or 'none'}.")
    if task.get("environment_key") and task.get("libraries"):
        raise invalid(f"Libraries field is not supported for serverless task '{key}', please specify libraries in environment.")


def _check_size(task: Task, key: str, parameters: Any) -> None:
    if len(json.dumps(parameters)) > _MAX_PARAMETER_BYTES:
        raise invalid(f"The parameters of task '{key}' must not exceed {_MAX_PARAMETER_BYTES} bytes.")


def _python_wheel(task: Task, key: str, _: bool) -> None:
    details = _need(task, key, "python_wheel_task", "package_name", "entry_point")
    if details.get("parameters") and details.get("named_parameters"):
        raise invalid(f"python_wheel_task of task '{key}': parameters and named_parameters exclude each other.")
    _check_size(task, key, details.get("parameters") or details.get("named_parameters"))
    _check_compute(task, key)


def _spark_python(task: Task, key: str, _: bool) -> None:
    details = _need(task, key, "spark_python_task", "python_file")
    if details.get("source", "WORKSPACE") != "WORKSPACE":
        raise not_supported(f"spark_python_task with source {details['source']} (task '{key}')")
    _check_size(task, key, details.get("parameters"))
    _check_compute(task, key)


def _condition(task: Task, key: str, _: bool) -> None:
    details = _need(task, key, "condition_task", "op")
    for side in ("left", "right"):
        if side not in details:
            raise invalid(f"Missing required field: condition_task.{side} of task '{key}'.")
    if details["op"] not in references.OPERATIONS:
        raise invalid(f"condition_task.op of task '{key}' must be one of {', '.join(references.OPERATIONS)}, not {details['op']!r}.")


def _for_each(task: Task, key: str, nested: bool) -> None:
    if nested:
        raise invalid(f"Task '{key}': a for_each_task cannot be nested in another.")
    details = _need(task, key, "for_each_task", "inputs", "task")
    if "concurrency" in details and not 1 <= int(details["concurrency"]) <= 100:
        raise invalid(f"for_each_task.concurrency of task '{key}' must be between 1 and 100.")
    task["for_each_task"] = {**details, "task": _task(details["task"], nested=True)}


def _run_job(task: Task, key: str, _: bool) -> None:
    details = _need(task, key, "run_job_task", "job_id")
    task["run_job_task"] = {**details, "job_id": int(details["job_id"])}


def _sql(task: Task, key: str, _: bool) -> None:
    details = _need(task, key, "sql_task", "warehouse_id")
    kinds = [name for name in ("query", "file", "dashboard", "alert") if details.get(name)]
    if len(kinds) != 1:
        raise invalid(f"sql_task of task '{key}' must specify exactly one of query, file, dashboard, alert.")
    if kinds != ["file"]:
        raise not_supported(f"sql_task.{kinds[0]} (task '{key}'); use sql_task.file")
    if not details["file"].get("path"):
        raise invalid(f"Missing required field: sql_task.file.path of task '{key}'.")
    if details["file"].get("source", "WORKSPACE") != "WORKSPACE":
        raise not_supported(f"sql_task.file with source {details['file']['source']} (task '{key}')")


def _pipeline(task: Task, key: str, _: bool) -> None:
    details = _need(task, key, "pipeline_task", "pipeline_id")
    if given := sorted(set(details) - {"pipeline_id", "full_refresh", "full_refresh_selection", "refresh_selection"}):
        raise not_supported(f"{', '.join(given)} of pipeline_task (task '{key}')")


_TYPE_CHECKS = {
    "python_wheel_task": _python_wheel,
    "spark_python_task": _spark_python,
    "condition_task": _condition,
    "for_each_task": _for_each,
    "run_job_task": _run_job,
    "sql_task": _sql,
    "pipeline_task": _pipeline,
}


def _job_cluster(given: Mapping[str, Any]) -> dict[str, Any]:
    if not given.get("job_cluster_key"):
        raise invalid("Missing required field: job_clusters.job_cluster_key")
    if not isinstance(given.get("new_cluster"), dict):
        raise invalid(f"Missing required field: new_cluster of job cluster '{given['job_cluster_key']}'.")
    return {**given, "new_cluster": _cluster(given["new_cluster"])}


def _cluster(given: Mapping[str, Any]) -> dict[str, Any]:
    """A job cluster's spec with what Databricks fills in. A policy is not looked at before a run."""
    single_node = (given.get("spark_conf") or {}).get("spark.databricks.cluster.profile") == "singleNode" or given.get("is_single_node")
    if given.get("num_workers") == 0 and not given.get("policy_id") and not single_node:
        raise invalid(
            "Cluster validation error: a cluster with num_workers 0 needs the single-node settings: "
            "spark_conf spark.databricks.cluster.profile = singleNode and the custom tag ResourceClass = SingleNode."
        )
    spec = {**given}
    spec.setdefault("data_security_mode", "SINGLE_USER")
    spec.setdefault("enable_elastic_disk", True)
    spec["azure_attributes"] = {
        "first_on_demand": 1,
        "availability": "ON_DEMAND_AZURE",
        "spot_bid_max_price": -1.0,
        **(given.get("azure_attributes") or {}),
    }
    return spec


def tasks_of(settings: Mapping[str, Any]) -> Iterator[Task]:
    """Every task, those inside for-each tasks included."""
    for task in settings["tasks"]:
        yield task
        if "for_each_task" in task:
            yield task["for_each_task"]["task"]


def dependencies(settings: Mapping[str, Any]) -> dict[str, list[graph.Dependency]]:
    return {
        task["task_key"]: [
            graph.Dependency(task_key=str(each.get("task_key", "")), outcome=str(each.get("outcome") or ""))
            for each in task.get("depends_on") or []
        ]
        for task in settings["tasks"]
    }


def _check_unique(settings: Settings) -> None:
    if len(settings["tasks"]) > _MAX_TASKS:
        raise invalid(f"The job has {len(settings['tasks'])} tasks; at most {_MAX_TASKS} are allowed.")
    keyed = {
        "task_key": [task["task_key"] for task in settings["tasks"]],
        "job_cluster_key": [cluster["job_cluster_key"] for cluster in settings.get("job_clusters", [])],
        "environment_key": [each.get("environment_key") for each in settings.get("environments", [])],
        "parameter name": [each.get("name") for each in settings.get("parameters", [])],
    }
    for what, keys in keyed.items():
        repeated = sorted({str(key) for key in keys if keys.count(key) > 1})
        if repeated:
            raise invalid(f"Duplicate {what}: {', '.join(repeated)}.")
    for task in tasks_of(settings):
        for field, what in (("job_cluster_key", "job_clusters"), ("environment_key", "environments")):
            if task.get(field) and task[field] not in keyed[field]:
                raise invalid(f"Task '{task['task_key']}' refers to {field} '{task[field]}', which is not defined in {what}.")


def _check_graph(settings: Settings) -> None:
    try:
        graph.check(dependencies(settings))
    except graph.BadGraph as bad:
        raise invalid(str(bad)) from None
    conditions = {task["task_key"] for task in settings["tasks"] if "condition_task" in task}
    for task in settings["tasks"]:
        for each in task.get("depends_on") or []:
            if each.get("outcome") and each["task_key"] not in conditions:
                raise invalid(f"Task '{task['task_key']}' wants an outcome of '{each['task_key']}', which is no condition task.")


def parameterised(task: Mapping[str, Any]) -> Any:
    """The part of a task whose strings may hold references; of a for-each task its inputs only."""
    kind = type_of(task)
    if kind == "for_each_task":
        return task[kind]["inputs"]
    fields = {
        "python_wheel_task": ("parameters", "named_parameters"),
        "spark_python_task": ("parameters",),
        "condition_task": ("left", "right"),
        "run_job_task": ("job_parameters",),
        "sql_task": ("parameters",),
        "pipeline_task": (),
    }[kind]
    return {name: task[kind][name] for name in fields if task[kind].get(name) is not None}


def _check_references(settings: Settings) -> None:
    parameters = {str(each.get("name")): each.get("default") for each in settings.get("parameters", [])}
    keys = {task["task_key"] for task in settings["tasks"]}
    try:
        for task in settings["tasks"]:
            inner = task["for_each_task"]["task"] if "for_each_task" in task else None
            for text in _strings(parameterised(task)):
                references.check(text, parameters=parameters, tasks=keys)
            for text in _strings(parameterised(inner)) if inner else ():
                references.check(text, parameters=parameters, tasks=keys, in_for_each=True)
    except references.BadReference as bad:
        raise invalid(str(bad)) from None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)


def merged(before: Mapping[str, Any], changes: Mapping[str, Any], removals: list[str]) -> Settings:
    """jobs/update: top-level fields replace, tasks and job clusters merge by key; `fields_to_remove` may name `tasks/<key>`."""
    result: Settings = {**before}
    for name, key in (("tasks", "task_key"), ("job_clusters", "job_cluster_key")):
        if name in changes:
            kept = {each[key]: each for each in before.get(name, [])}
            kept.update({each.get(key): each for each in _listed(changes, name)})
            result[name] = list(kept.values())
    result.update({name: value for name, value in changes.items() if name not in ("tasks", "job_clusters")})
    for removal in removals:
        name, _, key = removal.partition("/")
        field = {"tasks": "task_key", "job_clusters": "job_cluster_key"}.get(name)
        if key and field:
            result[name] = [each for each in result.get(name, []) if each[field] != key]
        else:
            result.pop(name, None)
    return normalised(result)
