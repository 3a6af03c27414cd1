"""A metastore in memory of the test's process: the real routes and rules, with a handful of principals and one storage account.

For rules that need no wire; what clients see is tested against the running service.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_estate import tenancy
from local_estate.api.kernel.call import Call, Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.faults import Faults
from local_estate.api.kernel.identity import Principal, Tokens
from local_estate.api.kernel.routing import Face, Router
from local_estate.api.kernel.store import Store
from local_estate.api.services.tag_policies.api import SERVICE as TAG_POLICIES
from local_estate.api.services.unity_catalog.api import SERVICE
from local_estate.paths import Paths

WORKSPACE, OTHER_WORKSPACE = 1001, 1002
ROOT = "abfss://lake@accone.dfs.core.windows.net"
CONNECTOR = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Databricks/accessConnectors/ac"
_PEOPLE = ("admin", "alice", "bob", "carol")


@dataclass
class Governed:
    """`admin` owns the metastore and is account admin; `alice` is in `engineers`, `bob` in `analysts`, `carol` in nothing."""

    estate: Estate
    router: Router
    groups: dict[str, set[str]] = field(default_factory=lambda: {"alice": {"engineers"}, "bob": {"analysts"}})
    roles: set[str] = field(default_factory=lambda: {"connector-object"})

    def ask(self, who: str, method: str, path: str, body: dict[str, Any] | None = None, *, workspace: int = WORKSPACE, **query: Any) -> Any:
        """The handler's answer; raises ApiError as the service would render it."""
        face = Face.ACCOUNT if f"/accounts/{tenancy.ACCOUNT_ID}/" in path else Face.WORKSPACE
        found = self.router.match(face, method, path)
        assert found is not None, f"no route for {method} {path}"
        call = Call(
            estate=self.estate,
            face=face,
            method=method,
            path=path,
            path_parameters=found[1],
            query={name: str(value) for name, value in query.items()},
            headers={},
            body=json.dumps(body or {}).encode(),
            principal=Principal(id=who, kind="user", name=who, display_name=who),
            workspace_id=workspace if face is Face.WORKSPACE else None,
        )
        return found[0].handler(call)

    def uc(self, who: str, method: str, path: str, body: dict[str, Any] | None = None, **query: Any) -> Any:
        return self.ask(who, method, f"/api/2.1/unity-catalog/{path}", body, **query)

    def grant(self, securable_type: str, name: str, principal: str, *privileges: str) -> None:
        body = {"changes": [{"principal": principal, "add": list(privileges)}]}
        self.uc("admin", "PATCH", f"permissions/{securable_type.lower()}/{name}", body)

    def govern(self, key: str, *values: str, assigner: str = "engineers") -> None:
        """Makes the key governed, once for all tests of the metastore, and lets the group assign it."""
        policies, rules = "/api/2.1/tag-policies", "/api/2.0/preview/accounts/access-control/rule-sets"
        given = {"tag_key": key, "values": [{"name": value} for value in values]}
        known = {each["tag_key"] for each in self.ask("admin", "GET", policies)["tag_policies"]}
        policy = self.ask("admin", "PATCH", f"{policies}/{key}", given, update_mask="values") if key in known else None
        policy = policy or self.ask("admin", "POST", policies, given)
        name = f"accounts/{tenancy.ACCOUNT_ID}/tagPolicies/{policy['id']}/ruleSets/default"
        rule_set = {
            "name": name,
            "etag": self.ask("admin", "GET", rules, name=name)["etag"],
            "grant_rules": [{"role": "roles/tagPolicy.assigner", "principals": [f"groups/{assigner}"]}],
        }
        self.ask("admin", "PUT", rules, {"name": name, "rule_set": rule_set})

    def may(self, who: str, privilege: str, securable_type: str, name: str) -> dict[str, Any]:
        checks = {"checks": [{"privilege": privilege, "securable_type": securable_type, "full_name": name}]}
        return dict(self.ask(who, "POST", "/api/estate/1.0/authorize", checks)["results"][0])

    def resolve(self, who: str, path: str, operation: str = "READ") -> dict[str, str]:
        return dict(self.ask(who, "POST", "/api/estate/1.0/resolve-path", {"path": path, "operation": operation}))


def governed(home: Path) -> Governed:
    """With a metastore assigned, a credential, the location `lake` over ROOT, and catalog `c` with schema `s`."""
    paths = Paths(repository=home, tools=home, home=home)
    (paths.adls / "accone" / "lake").mkdir(parents=True)
    estate = Estate(paths=paths, store=Store(paths.store), tokens=Tokens("k" * 32), deployer_secret="", faults=Faults())
    made = Governed(estate=estate, router=Router((SERVICE, TAG_POLICIES)))
    known = {*_PEOPLE, "engineers", "analysts"}

    def container(_: Estate, *, url: str) -> Path:
        name, _, account = url.removeprefix("abfss://").partition("/")[0].partition("@")
        directory = paths.adls / account.split(".")[0] / name
        if not directory.is_dir():
            raise ApiError("RESOURCE_DOES_NOT_EXIST", f"The container of {url} does not exist.")
        return directory

    estate.answers.update({**SERVICE.provides, **TAG_POLICIES.provides})
    estate.answers.update(
        {
            "identity.principal": lambda _, id="", name="": (
                {"id": id or name, "name": id or name, "kind": "user"} if (id or name) in _PEOPLE else None
            ),
            "identity.groups_of": lambda _, principal_id: made.groups.get(principal_id, set()),
            "identity.is_workspace_admin": lambda _, principal_id, workspace_id: principal_id == "admin",
            "identity.is_account_admin": lambda _, principal_id: principal_id == "admin",
            "identity.grantee": lambda _, name: name if name in known else None,
            "arm.workspace": lambda _, workspace_id: (
                {"location": "australiaeast"} if workspace_id in (WORKSPACE, OTHER_WORKSPACE) else None
            ),
            "arm.resource": lambda _, id: {"identity": {"principalId": "connector-object"}} if id == CONNECTOR else None,
            "arm.can_read_storage": lambda _, principal_object_id, url: principal_object_id in made.roles,
            "arm.has_role": lambda _, object_id, role_name, scope: object_id in made.roles,
            "arm.storage_scope": lambda _, url: str(container(_, url=url)),
            "arm.storage_container": container,
        }
    )
    account = f"/api/2.0/accounts/{tenancy.ACCOUNT_ID}"
    created = made.ask("admin", "POST", f"{account}/metastores", {"metastore_info": {"name": "main", "region": "australiaeast"}})
    metastore_id = created["metastore_info"]["metastore_id"]
    for workspace in (WORKSPACE, OTHER_WORKSPACE):
        made.ask("admin", "POST", f"{account}/workspaces/{workspace}/metastores/{metastore_id}", {"metastore_assignment": {}})
    made.uc("admin", "POST", "storage-credentials", {"name": "cred", "azure_managed_identity": {"access_connector_id": CONNECTOR}})
    made.uc("admin", "POST", "external-locations", {"name": "lake", "url": ROOT, "credential_name": "cred"})
    made.uc("admin", "POST", "catalogs", {"name": "c", "storage_root": f"{ROOT}/c"})
    made.uc("admin", "POST", "schemas", {"name": "s", "catalog_name": "c"})
    return made
