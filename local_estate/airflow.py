"""What an Airflow beside the estate needs in its environment: DAGs, outputs, and a connection of the stack's own principal."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from local_estate import facts, personas, stack_files
from local_estate.paths import Paths

COMMENT = "estate env --airflow"
_KEPT = 3  # earlier shells may still use theirs
_LIFETIME_SECONDS = 24 * 3600


def environment(paths: Paths, stack: str) -> dict[str, str]:
    """Makes a token for a day, which stands in the answer and nowhere else. Raises NotDeployed."""
    home = paths.home / "airflow"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(paths.repository / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_DATABRICKS_DEFAULT": connection(facts.workspace_url(paths, stack), _token(paths, stack)),
    }


def connection(workspace_url: str, token: str) -> str:
    """Scheme, host and port apart: Airflow's provider drops scheme and port of a URL that is given as its host."""
    url = urlsplit(workspace_url)
    found = {"conn_type": "databricks", "schema": url.scheme, "host": url.hostname, "port": url.port, "password": token}
    return json.dumps({name: value for name, value in found.items() if value is not None})


def _token(paths: Paths, stack: str) -> str:
    """Of the service principal that stack `shared` made for this environment's Airflow: it may start the jobs and read nothing."""
    from databricks.sdk import WorkspaceClient

    principal = _principal(paths, stack)
    secret = personas.new_secret(personas.account_client(paths), principal)
    client = WorkspaceClient(
        host=facts.workspace_url(paths, stack), client_id=secret.client_id, client_secret=secret.secret, auth_type="oauth-m2m"
    )
    mine = sorted((each for each in client.tokens.list() if each.comment == COMMENT), key=lambda each: each.creation_time or 0)
    for old in mine[: -(_KEPT - 1)]:
        client.tokens.delete(old.token_id or "")
    return client.tokens.create(comment=COMMENT, lifetime_seconds=_LIFETIME_SECONDS).token_value or ""


def _principal(paths: Paths, stack: str) -> str:
    """Its application id, as the stack that made it exports it."""
    config = stack_files.config(paths.repository, stack)
    environment_name, shared = str(config["lakehouse:environment"]), str(config.get("lakehouse:shared_stack", "shared"))
    for each in facts.resources(paths, shared):
        if each["type"] == "pulumi:pulumi:Stack":
            found = (each.get("outputs") or {}).get("service_principals", {}).get(environment_name, {}).get("airflow")
            if found:
                return str(found)
    raise facts.NotDeployed(f"stack {shared} has no service principal for Airflow in {environment_name}. Fix: `make up STACK={stack}`")
