"""The functions of the package (`databricks.get_…`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from local_estate.providers.databricks.connection import Connection
from local_estate.providers.databricks.names import camel
from local_estate.providers.failures import Refused
from local_estate.providers.http import Session
from local_estate.providers.kinds import Values

_SCIM = "/api/2.0/preview/scim/v2"


def _scim(connection: Connection) -> tuple[Session, str]:
    if connection.is_account:
        return connection.account(), f"/api/2.0/accounts/{connection.account_id}/scim/v2"
    return connection.workspace(), _SCIM


def _one(connection: Connection, kind: str, attribute: str, value: str) -> Values:
    session, root = _scim(connection)
    found = session.request("GET", f"{root}/{kind}", query={"filter": f'{attribute} eq "{value}"'}).json.get("Resources") or []
    if len(found) != 1:
        raise Refused(f"{'no' if not found else 'more than one'} {kind[:-1]} has {attribute} {value!r}", "NOT_FOUND")
    result: Values = found[0]
    return result


def _service_principal(connection: Connection, arguments: Values) -> Values:
    for name in ("applicationId", "displayName", "scimId", "spId"):
        value = arguments.get(name)
        if value and name in ("applicationId", "displayName"):
            found = _one(connection, "ServicePrincipals", name, str(value))
            break
        if value:
            session, root = _scim(connection)
            found = session.request("GET", f"{root}/ServicePrincipals/{value}").json
            break
    else:
        raise Refused("getServicePrincipal needs applicationId, displayName or scimId", "INVALID_ARGUMENT")
    application = found["applicationId"]
    return {
        "id": found["id"],
        "spId": found["id"],
        "scimId": found["id"],
        "applicationId": application,
        "displayName": found.get("displayName", ""),
        "active": bool(found.get("active", True)),
        "externalId": found.get("externalId", ""),
        "aclPrincipalId": f"servicePrincipals/{application}",
        "home": f"/Users/{application}",
        "repos": f"/Repos/{application}",
    }


def _group(connection: Connection, arguments: Values) -> Values:
    found = _one(connection, "Groups", "displayName", str(arguments.get("displayName") or ""))
    members = found.get("members") or []

    def of(kind: str) -> list[str]:
        return [str(each["value"]) for each in members if str(each.get("$ref", "")).startswith(kind)]

    held = {each["value"] for each in found.get("entitlements") or []}
    return {
        "id": found["id"],
        "displayName": found["displayName"],
        "members": [str(each["value"]) for each in members],
        "users": of("Users"),
        "servicePrincipals": of("ServicePrincipals"),
        "childGroups": of("Groups"),
        "groups": [str(each["value"]) for each in found.get("groups") or []],
        "instanceProfiles": [],
        "externalId": found.get("externalId", ""),
        "aclPrincipalId": f"groups/{found['displayName']}",
        "recursive": bool(arguments.get("recursive", True)),
        "allowClusterCreate": "allow-cluster-create" in held,
        "allowInstancePoolCreate": "allow-instance-pool-create" in held,
        "databricksSqlAccess": "databricks-sql-access" in held,
        "workspaceAccess": "workspace-access" in held,
    }


def _current_user(connection: Connection, arguments: Values) -> Values:
    session, root = _scim(connection)
    me = session.request("GET", f"{root}/Me").json
    name = str(me.get("userName") or me.get("applicationId"))
    kind = "users" if "@" in name else "servicePrincipals"
    host = "" if connection.is_account else f"https://{connection.workspace_host}"
    return {
        "id": me["id"],
        "userName": name,
        "alphanumeric": "".join(each if each.isalnum() else "_" for each in name.split("@")[0]).lower(),
        "externalId": me.get("externalId", ""),
        "home": f"/Users/{name}",
        "repos": f"/Repos/{name}",
        "aclPrincipalId": f"{kind}/{name}",
        "workspaceUrl": host,
    }


def _current_config(connection: Connection, arguments: Values) -> Values:
    return {
        "id": "current",
        "host": "https://accounts.azuredatabricks.net" if connection.is_account else f"https://{connection.workspace_host}",
        "accountId": connection.account_id if connection.is_account else "",
        "authType": "azure-client-secret",
        "cloudType": "azure",
        "isAccount": connection.is_account,
    }


def _current_metastore(connection: Connection, arguments: Values) -> Values:
    shown = connection.workspace().request("GET", "/api/2.1/unity-catalog/metastore_summary").json
    info = {camel(name): value for name, value in shown.items() if value is not None}
    return {"id": shown["metastore_id"], "metastoreInfo": info}


def _spark_version(connection: Connection, arguments: Values) -> Values:
    wanted = {"latest": True, "longTermSupport": False, "ml": False, "scala": "2.1", **arguments}
    listed = connection.workspace().request("GET", "/api/2.1/clusters/spark-versions").json["versions"]
    found = [each for each in listed if _suits(each, wanted)]
    if not found:
        raise Refused("spark versions query returned no results. Please change your search criteria", "NOT_FOUND")
    newest = max(found, key=lambda each: [int(part) for part in each["key"].split(".")[:2] if part.isdigit()])
    return {**arguments, "id": newest["key"]}


def _suits(version: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    key, name = str(version["key"]), str(version.get("name", ""))
    return (
        ("LTS" in name or not wanted["longTermSupport"])
        and (("-ml-" in key) == bool(wanted["ml"]))
        and ("photon" not in key)
        and (not wanted.get("sparkVersion") or f"Spark {wanted['sparkVersion']}" in name)
        and "Beta" not in name
    )


def _node_type(connection: Connection, arguments: Values) -> Values:
    listed = connection.workspace().request("GET", "/api/2.1/clusters/list-node-types").json["node_types"]
    found = [
        each
        for each in listed
        if each["num_cores"] >= arguments.get("minCores", 0)
        and each["memory_mb"] >= arguments.get("minMemoryGb", 0) * 1024
        and (not arguments.get("category") or str(each.get("category", "")).lower() == str(arguments["category"]).lower())
        and not (arguments.get("localDisk") and not (each.get("node_instance_type") or {}).get("local_disks", 1))
    ]
    if not found:
        raise Refused("no node type meets these criteria", "NOT_FOUND")
    smallest = min(found, key=lambda each: (each["num_cores"], each["memory_mb"], each["node_type_id"]))
    return {**arguments, "id": smallest["node_type_id"]}


FUNCTIONS: Mapping[str, Callable[[Connection, Values], Values]] = {
    "databricks:index/getCurrentUser:getCurrentUser": _current_user,
    "databricks:index/getCurrentConfig:getCurrentConfig": _current_config,
    "databricks:index/getCurrentMetastore:getCurrentMetastore": _current_metastore,
    "databricks:index/getServicePrincipal:getServicePrincipal": _service_principal,
    "databricks:index/getGroup:getGroup": _group,
    "databricks:index/getSparkVersion:getSparkVersion": _spark_version,
    "databricks:index/getNodeType:getNodeType": _node_type,
}
