"""Attribute-based policies: on a catalog, schema or table, masks and row filters for all tables below whose governed tags match."""

from __future__ import annotations

import uuid
from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError, not_supported
from local_estate.api.kernel.routing import Route
from local_estate.api.kernel.store import Document
from local_estate.api.services.unity_catalog.authorization import Authority
from local_estate.api.services.unity_catalog.conditions import tags_referred_to
from local_estate.api.services.unity_catalog.requests import UC, grantee, page, reading, writing
from local_estate.api.services.unity_catalog.securables import POLICIES, Securable, Securables, SecurableWrites, valid_name

_GIVEN = (
    "comment",
    "to_principals",
    "except_principals",
    "for_securable_type",
    "match_columns",
    "when_condition",
    "column_mask",
    "row_filter",
)
_OPTIONS = {"POLICY_TYPE_COLUMN_MASK": "column_mask", "POLICY_TYPE_ROW_FILTER": "row_filter"}
_MOST = {Securable.CATALOG: 100, Securable.SCHEMA: 100, Securable.TABLE: 50}  # policies on one securable
_MOST_PRINCIPALS = 20  # those it is for and those it excepts, together
_MOST_COLUMN_CONDITIONS = 3


def policies_on(securables: Securables, document: Document) -> dict[str, Document]:
    """Defined on exactly this securable, by name."""
    return dict(securables.reader.get(POLICIES, document["uid"]) or {})


def governed_tags(policy: Document) -> list[Document]:
    """The keys its conditions ask for, with the value where they ask for one; each once. Raises ApiError for what is no condition."""
    texts = [str(match.get("condition", "")) for match in policy.get("match_columns") or ()]
    texts += [policy["when_condition"]] if policy.get("when_condition") else []
    found = dict.fromkeys(reference for text in texts for reference in tags_referred_to(text))
    return [{"tag_key": key, **({} if value is None else {"tag_value": value})} for key, value in found]


def _place(authority: Authority, type_: str, full_name: str) -> Document:
    """The securable that carries policies. Seeing and changing them needs MANAGE."""
    securable = Securable.named(type_)
    if securable not in (Securable.CATALOG, Securable.SCHEMA, Securable.TABLE):
        raise ApiError("INVALID_PARAMETER_VALUE", f"Policies are defined on a CATALOG, SCHEMA or TABLE, not on a {securable.value}.")
    return authority.require_manage(securable, full_name.lower())


def _of_path(call: Call, authority: Authority) -> Document:
    return _place(authority, call.path_parameters["type"], call.path_parameters["full_name"])


def _invalid(reason: str) -> ApiError:
    return ApiError("INVALID_PARAMETER_VALUE", f"Policy is not valid: {reason}")


def _checked(call: Call, authority: Authority, policy: Document) -> Document:
    """With canonical principals. Raises ApiError for what could never take effect."""
    kind = _OPTIONS.get(policy.get("policy_type", ""))
    if kind is None:
        raise not_supported(f"policies of type {policy.get('policy_type')}")
    if policy.get("for_securable_type") != "TABLE":
        raise _invalid(f"for_securable_type must be TABLE, not {policy.get('for_securable_type')}.")
    if not policy.get("to_principals"):
        raise _invalid("to_principals must name at least one principal.")
    others = [option for option in ("column_mask", "row_filter", "deny", "grant") if option != kind and policy.get(option)]
    if others or not policy.get(kind):
        raise _invalid(f"a {policy['policy_type']} needs {kind} and nothing else.")
    matches = policy.get("match_columns") or []
    if len(matches) > _MOST_COLUMN_CONDITIONS:
        raise _invalid(f"match_columns has {len(matches)} conditions; {_MOST_COLUMN_CONDITIONS} is the most.")
    _check_tags(call, policy)
    _check_function(authority, policy[kind], {match.get("alias") for match in matches}, masks=kind == "column_mask")
    people = {field: [grantee(call, name) for name in policy.get(field) or ()] for field in ("to_principals", "except_principals")}
    if (named := sum(map(len, people.values()))) > _MOST_PRINCIPALS:
        raise _invalid(f"it names {named} principals; {_MOST_PRINCIPALS} is the most. Put them into a group.")
    return {**policy, **{field: names for field, names in people.items() if names}}


def _check_tags(call: Call, policy: Document) -> None:
    """Conditions compile against the governed tags of the account: an ungoverned tag can drive no policy."""
    for tag in governed_tags(policy):
        key, value = tag["tag_key"], tag.get("tag_value")
        allowed = call.estate.ask("tag_policies.allowed_values", key=key)
        wrong = f"Unknown tag policy key `{key}`" if allowed is None else f"Invalid tag value `{value}` for key `{key}`"
        if allowed is None or (value is not None and value not in allowed):
            raise ApiError(
                "INVALID_PARAMETER_VALUE",
                f"Invalid condition in policy '{policy['name']}'. Compilation error with message '{wrong}'. "
                "Create the governed tag or allow the value first, or correct the condition.",
            )


def _check_function(authority: Authority, options: Document, aliases: set[Any], *, masks: bool) -> None:
    name = str(options.get("function_name", "")).lower()
    function = authority.require("EXECUTE", Securable.FUNCTION, name)
    using = options.get("using") or []
    named = [argument["alias"] for argument in using if "alias" in argument] + ([options.get("on_column")] if masks else [])
    if unknown := sorted(str(alias) for alias in named if alias not in aliases):
        raise _invalid(f"{', '.join(unknown)} is no alias of match_columns.")
    if any(not ({"alias", "constant"} & set(argument)) for argument in using):
        raise not_supported("policy arguments other than alias and constant")
    takes = len((function.get("input_params") or {}).get("parameters") or ())
    if takes != len(using) + masks:
        raise _invalid(f"function '{name}' takes {takes} argument(s), not {len(using) + masks}.")


def _store(securables: SecurableWrites, document: Document, policies: dict[str, Document]) -> None:
    securables.transaction.put(POLICIES, document["uid"], policies)


def _create(call: Call) -> Document:
    name = valid_name("CreatePolicy", call.json.get("name"))
    with writing(call) as (authority, securables):
        place = _place(authority, str(call.required("on_securable_type")), str(call.required("on_securable_fullname")))
        policies = policies_on(securables, place)
        if name in policies:
            raise ApiError("ALREADY_EXISTS", f"Policy '{name}' already exists on {place['type'].lower()} '{place['full_name']}'.")
        if len(policies) >= (most := _MOST[Securable(place["type"])]):
            raise ApiError("RESOURCE_EXHAUSTED", f"{place['full_name']} has {most} policies, the most it can have.", 400)
        now, who = call.estate.clock.now_ms(), call.caller.name
        policy = _checked(call, authority, {"name": name, "policy_type": call.json.get("policy_type"), **_given(call)})
        policy |= {"id": str(uuid.uuid4()), "created_at": now, "created_by": who, "updated_at": now, "updated_by": who}
        _store(securables, place, {**policies, name: policy})
    return _wire(place, policy)


def _given(call: Call) -> Document:
    return {field: call.json[field] for field in _GIVEN if call.json.get(field) is not None}


def _wire(place: Document, policy: Document) -> Document:
    found = {"on_securable_type": place["type"], "on_securable_fullname": place["full_name"], "governed_tags": governed_tags(policy)}
    return {**policy, **found}


def _found(place: Document, policies: dict[str, Document], call: Call) -> Document:
    name = call.path_parameters["name"].lower()
    if name not in policies:
        raise ApiError("RESOURCE_DOES_NOT_EXIST", f"ABAC Policy '{name}' does not exist on {place['type'].lower()} '{place['full_name']}'.")
    return policies[name]


def _get(call: Call) -> Document:
    authority = reading(call)
    place = _of_path(call, authority)
    return _wire(place, _found(place, policies_on(authority.securables, place), call))


def _list(call: Call) -> Document:
    authority = reading(call)
    place = _of_path(call, authority)
    levels = list(authority.securables.ancestors(place)) if call.flag("include_inherited") else [place]
    found = [_wire(level, policy) for level in levels for policy in policies_on(authority.securables, level).values()]
    return page(call, "policies", found)


def _update(call: Call) -> Document:
    mask = [field for field in str(call.query.get("update_mask", "")).split(",") if field not in ("", "*")]
    with writing(call) as (authority, securables):
        place = _of_path(call, authority)
        policies = policies_on(securables, place)
        before = _found(place, policies, call)
        given = {field: value for field, value in _given(call).items() if not mask or field in mask}
        if call.json.get("policy_type") not in (None, before["policy_type"]):
            raise _invalid(
                f"policy_type cannot be changed from {before['policy_type']} to {call.json['policy_type']}; create another policy."
            )
        # Published clients name every field in the mask, the type too.
        kept = {field: value for field, value in before.items() if field not in mask or field in ("name", "policy_type")}
        policy = _checked(call, authority, {**kept, **given})
        policy |= {"updated_at": call.estate.clock.now_ms(), "updated_by": call.caller.name}
        if call.json.get("name") and (not mask or "name" in mask):
            policy["name"] = valid_name("UpdatePolicy", call.json["name"])
        others = {name: each for name, each in policies.items() if name != before["name"]}
        if policy["name"] in others:
            raise ApiError("ALREADY_EXISTS", f"Policy '{policy['name']}' already exists on '{place['full_name']}'.")
        _store(securables, place, {**others, policy["name"]: policy})
    return _wire(place, policy)


def _delete(call: Call) -> Document:
    with writing(call) as (authority, securables):
        place = _of_path(call, authority)
        policies = policies_on(securables, place)
        gone = _found(place, policies, call)["name"]
        _store(securables, place, {name: policy for name, policy in policies.items() if name != gone})
    return {}


def _route(method: str, path: str, handler: Any) -> Route:
    return Route(method=method, path=f"{UC}/policies{path}", handler=handler, level="executed")


ROUTES = (
    _route("POST", "", _create),
    _route("GET", "/{type}/{full_name}", _list),
    _route("GET", "/{type}/{full_name}/{name}", _get),
    _route("PATCH", "/{type}/{full_name}/{name}", _update),
    _route("DELETE", "/{type}/{full_name}/{name}", _delete),
)
