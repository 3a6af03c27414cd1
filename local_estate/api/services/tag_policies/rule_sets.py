"""Who may create, manage and assign governed tags: rule sets of the account and of each tag policy.

A rule set grants roles to principals and is replaced as a whole, under the etag it was read with. Roles on the account hold for every
governed tag. Account admins hold all of them, workspace admins may create; neither shows in a rule set.
"""

from __future__ import annotations

import enum
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from local_estate import tenancy
from local_estate.api.kernel.call import Call, Estate
from local_estate.api.kernel.errors import ApiError, not_supported
from local_estate.api.kernel.routing import Face, Handler, Route
from local_estate.api.kernel.store import Document, Reader, Transaction

POLICY = "tag_policies.policy"  # documents: the tag policy as the API shows it, by tag key
_RULES = "tag_policies.rules"  # documents: {"grant_rules": [...]} by resource: `account`, or the id of a tag policy
_WHOLE_ACCOUNT = "account"
_DEFAULT = "/ruleSets/default"  # the only rule set a resource has
_RESOURCE = re.compile(r"accounts/(?P<account>[^/]+)(?:/(?P<kind>[^/]+)/(?P<id>[^/]+))?")
_KINDS = {"users": "User", "servicePrincipals": "ServicePrincipal", "groups": "Group"}


class Role(enum.StrEnum):
    CREATOR = "roles/tagPolicy.creator"
    MANAGER = "roles/tagPolicy.manager"
    ASSIGNER = "roles/tagPolicy.assigner"


_GRANTABLE = {True: tuple(Role), False: (Role.MANAGER, Role.ASSIGNER)}  # on the whole account, on one tag policy


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A principal as rules see it. `principals`: itself, its account groups and everyone, as rule sets spell them."""

    principals: frozenset[str]
    itself: str
    is_account_admin: bool
    is_workspace_admin: bool

    @classmethod
    def of(cls, estate: Estate, principal_id: str, workspace_id: int | None) -> Holder:
        principal = estate.ask("identity.principal", id=principal_id)
        if principal is None:
            raise ApiError("PERMISSION_DENIED", "The calling principal does not exist in this account.")
        itself = f"{'servicePrincipals' if principal['kind'] == 'service_principal' else 'users'}/{principal['name']}"
        groups = {f"groups/{name}" for name in (*estate.ask("identity.groups_of", principal_id=principal_id), "account users")}
        asks_workspace = workspace_id is not None
        return cls(
            principals=frozenset({itself, *groups}),
            itself=itself,
            is_account_admin=estate.ask("identity.is_account_admin", principal_id=principal_id),
            is_workspace_admin=asks_workspace
            and estate.ask("identity.is_workspace_admin", principal_id=principal_id, workspace_id=workspace_id),
        )

    @classmethod
    def calling(cls, call: Call) -> Holder:
        return cls.of(call.estate, call.caller.id, call.workspace_id)

    def holds(self, reader: Reader, policy_id: str, role: Role) -> bool:
        """On the tag policy or on the whole account."""
        rules = [rule for resource in (_WHOLE_ACCOUNT, policy_id) for rule in _rules(reader, resource)]
        return self.is_account_admin or any(rule["role"] == role and self.principals.intersection(rule["principals"]) for rule in rules)

    def creates(self, reader: Reader) -> bool:
        return self.is_workspace_admin or self.holds(reader, _WHOLE_ACCOUNT, Role.CREATOR)


def begin(transaction: Transaction, policy_id: str, creator: Holder) -> None:
    """Who creates a governed tag manages it."""
    transaction.put(_RULES, policy_id, {"grant_rules": [{"principals": [creator.itself], "role": Role.MANAGER.value}]})


def end(transaction: Transaction, policy_id: str) -> None:
    transaction.delete(_RULES, policy_id)


def _rules(reader: Reader, resource: str) -> list[Document]:
    return list((reader.get(_RULES, resource) or {"grant_rules": []})["grant_rules"])


def _resource(reader: Reader, name: str) -> str:
    """`account` or the id of an existing tag policy. Raises ApiError for what has no rules here."""
    found = _RESOURCE.fullmatch(name)
    if found is None:
        raise ApiError("INVALID_PARAMETER_VALUE", f"'{name}' is no resource with roles: accounts/ID or accounts/ID/tagPolicies/ID.")
    if found["account"].lower() != tenancy.ACCOUNT_ID:
        raise ApiError("PERMISSION_DENIED", f"Account {found['account']} does not exist or the caller is no member of it.")
    if found["kind"] is None:
        return _WHOLE_ACCOUNT
    if found["kind"] != "tagPolicies":
        raise not_supported(f"rule sets of {found['kind']}")
    if not any(policy["id"] == found["id"] for _, policy in reader.find(POLICY)):
        raise ApiError("NOT_FOUND", f"Tag policy with id {found['id']} does not exist.")
    return found["id"]


def _ruled(reader: Reader, name: str) -> str:
    """The resource of a rule set."""
    if not name.endswith(_DEFAULT):
        raise ApiError("INVALID_PARAMETER_VALUE", f"'{name}' is no name of a rule set: RESOURCE{_DEFAULT}.")
    return _resource(reader, name.removesuffix(_DEFAULT))


def _etag(rules: list[Document]) -> str:
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:32]


def _shown(name: str, rules: list[Document]) -> Document:
    return {"name": name, "etag": _etag(rules), "grant_rules": rules}


def _require_manager(call: Call, reader: Reader, resource: str) -> None:
    if not Holder.calling(call).holds(reader, resource, Role.MANAGER):
        raise ApiError("PERMISSION_DENIED", f"{call.caller.name} may not manage the permissions of this governed tag or account.")


def _get(call: Call) -> Document:
    reader, name = call.store.read, str(call.required("name"))
    resource = _ruled(reader, name)
    _require_manager(call, reader, resource)
    return _shown(name, _rules(reader, resource))


def _put(call: Call) -> Document:
    name, given = str(call.required("name")), call.required("rule_set")
    if not isinstance(given, dict):
        raise ApiError("INVALID_PARAMETER_VALUE", "rule_set must be an object with name, etag and grant_rules.")
    if given.get("name") != name:
        raise ApiError("INVALID_PARAMETER_VALUE", f"rule_set is named {given.get('name')!r}, the request {name!r}.")
    with call.store.transaction() as transaction:
        resource = _ruled(transaction, name)
        _require_manager(call, transaction, resource)
        if resource == _WHOLE_ACCOUNT and not Holder.calling(call).is_account_admin:
            raise ApiError("PERMISSION_DENIED", f"Only account admins can do this; {call.caller.name} is none.")
        before = _rules(transaction, resource)
        if given.get("etag") != _etag(before):
            raise ApiError("RESOURCE_CONFLICT", f"The rule set {name} has changed since it was read; read it again and repeat the update.")
        rules = _checked(call.estate, given.get("grant_rules") or [], before, whole_account=resource == _WHOLE_ACCOUNT)
        transaction.put(_RULES, resource, {"grant_rules": rules})
    return _shown(name, rules)


def _checked(estate: Estate, given: Any, before: Iterable[Document], *, whole_account: bool) -> list[Document]:
    """Each rule once, principals in canonical spelling. Raises ApiError for roles and principals that do not exist."""
    kept = {principal for rule in before for principal in rule["principals"]}
    rules: list[Document] = []
    for rule in given:
        role = str(rule.get("role", ""))
        if role not in _GRANTABLE[whole_account]:
            if whole_account and role.startswith("roles/"):
                raise not_supported(f"the role {role} in the rule set of the account")
            raise ApiError("INVALID_PARAMETER_VALUE", f"Role {role} cannot be granted here, only {', '.join(_GRANTABLE[whole_account])}.")
        # A principal that has since left the account must not keep the rest of the rules from changing.
        found = {each if each in kept else _canonical(estate, str(each)) for each in rule.get("principals") or ()}
        checked = {"principals": sorted(found), "role": role}
        if checked not in rules:
            rules.append(checked)
    return rules


def _canonical(estate: Estate, principal: str) -> str:
    prefix, _, name = principal.partition("/")
    if prefix not in _KINDS or not name:
        raise ApiError("BAD_REQUEST", f"'{principal}' is no principal: users/NAME, groups/NAME or servicePrincipals/APPLICATION_ID.")
    canonical = estate.ask("identity.grantee", name=name)
    found = estate.ask("identity.principal", name=canonical) if canonical else None
    kind = None if canonical is None else "groups" if found is None else "users" if found["kind"] == "user" else "servicePrincipals"
    if kind != prefix:
        raise ApiError("BAD_REQUEST", f"{_KINDS[prefix]} {name} not found")
    return f"{prefix}/{canonical}"


def _assignable(call: Call) -> Document:
    whole_account = _resource(call.store.read, str(call.required("resource"))) == _WHOLE_ACCOUNT
    return {"roles": [{"name": role.value} for role in _GRANTABLE[whole_account]]}


def _of_this_account(handler: Handler) -> Handler:
    def checked(call: Call) -> Any:
        if call.path_parameters.get("account", tenancy.ACCOUNT_ID).lower() != tenancy.ACCOUNT_ID:
            account = call.path_parameters["account"]
            raise ApiError("PERMISSION_DENIED", f"Account {account} does not exist or the caller is no member of it.")
        return handler(call)

    return checked


# A workspace's proxy leaves the account's id out.
_ROOTS = {Face.ACCOUNT: "/api/2.0/preview/accounts/{account}/access-control", Face.WORKSPACE: "/api/2.0/preview/accounts/access-control"}

ROUTES = tuple(
    Route(method=method, path=root + rest, handler=_of_this_account(handler), faces=(face,), level="executed")
    for face, root in _ROOTS.items()
    for method, rest, handler in (("GET", "/rule-sets", _get), ("PUT", "/rule-sets", _put), ("GET", "/assignable-roles", _assignable))
)
