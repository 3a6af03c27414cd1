"""Definer's rights: what a view or function refers to is reached with its owner's privileges, whoever uses it.

A chain such as `TABLE:c.s.outer`, `TABLE:c.s.inner` says how a name was reached: the caller selects from `outer`, whose owner selects from
`inner`, whose owner in turn reaches the name.
"""

from __future__ import annotations

from collections.abc import Sequence

from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document
from local_estate.api.services.unity_catalog.authorization import Authority, Caller, denied
from local_estate.api.services.unity_catalog.securables import EVERYONE, Securable

_USE = {Securable.TABLE: "SELECT", Securable.FUNCTION: "EXECUTE"}


def links(chain: str) -> list[str]:
    return [link for link in chain.split(",") if link]


def reached(estate: Estate, authority: Authority, chain: Sequence[str], target: str) -> Authority:
    """The authority of the last owner in the chain. Raises ApiError PERMISSION_DENIED unless each link refers to the next.

    A function at its start needs no EXECUTE of the caller: it may stand in a mask or row filter, which the table's owner chose.
    """
    acting = authority
    for position, link in enumerate(chain):
        securable, name = _link(link)
        if position or securable is Securable.TABLE:
            acting.require(_USE[securable], securable, name)
        document = acting.securables.get(securable, name)
        following = _link(chain[position + 1])[1] if position + 1 < len(chain) else target
        if following.lower() not in _referred(document):
            raise denied(_USE[securable], Securable.TABLE, following)
        acting = Authority(acting.securables, _owner(estate, acting.caller, document["owner"]))
    return acting


def _link(link: str) -> tuple[Securable, str]:
    kind, _, name = link.partition(":")
    securable = Securable.named(kind)
    if securable not in _USE:
        raise ApiError("INVALID_PARAMETER_VALUE", f"{link!r} is neither a view nor a function.")
    return securable, name.lower()


def _referred(document: Document) -> set[str]:
    given = document.get("view_dependencies") or document.get("routine_dependencies") or {}
    tables = [each["table"]["table_full_name"] for each in given.get("dependencies") or () if each.get("table")]
    functions = [each["function"]["function_full_name"] for each in given.get("dependencies") or () if each.get("function")]
    return {str(name).lower() for name in (*tables, *functions)}


def _owner(estate: Estate, caller: Caller, name: str) -> Caller:
    """A group that owns something acts as its members would through it alone."""
    principal = estate.ask("identity.principal", name=name)
    if principal is not None:
        return Caller.of(estate, principal["id"], caller.workspace_id)
    return Caller(name=name, identities=frozenset({name, EVERYONE}), workspace_id=caller.workspace_id)
