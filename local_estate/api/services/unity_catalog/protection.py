"""What a principal is not to see of a table: its own masks and row filter, and those of the policies above it whose tags match."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from local_estate.api.kernel.errors import ApiError
from local_estate.api.kernel.store import Document
from local_estate.api.services.unity_catalog.authorization import Authority, Caller
from local_estate.api.services.unity_catalog.conditions import condition
from local_estate.api.services.unity_catalog.policies import governed_tags, policies_on
from local_estate.api.services.unity_catalog.securables import Securable, Securables
from local_estate.api.services.unity_catalog.tags import tags_of, values

_FUNCTION = ("full_name", "input_params", "full_data_type", "routine_definition", "sql_path", "routine_dependencies")


def protection(securables: Securables, caller: Caller, table: Document, governs: Callable[[str], bool]) -> Document:
    """`column_masks` and `row_filters` for this caller, each with its function and arguments; empty for who sees everything.

    `conflicts`: why the table cannot be read. `guarded_columns`: those that a mask, a filter or a policy may depend on, for anyone.
    `governs`: whether a tag key is governed.
    """
    masks: dict[str, list[Document]] = {}
    filters: list[Document] = []
    for binding, own in _bindings(table):
        bound = masks.setdefault(str(own[0]), []) if own else filters
        bound.append(_call(securables, binding["function_name"], [*own, *_used(binding)]))
    conflicts = []
    inherited = {
        key: value for level in reversed(list(securables.ancestors(table))) for key, value in values(tags_of(securables, level)).items()
    }
    for policy in _policies(securables, caller, table):
        if lost := sorted({tag["tag_key"] for tag in governed_tags(policy) if not governs(tag["tag_key"])}):
            conflicts.append(
                f"policy {policy['name']} needs governed tag {', '.join(lost)}, which does not exist (UC_ABAC_UNKNOWN_TAG_POLICY)"
            )
            continue
        if not condition(policy.get("when_condition") or "TRUE")(inherited):
            continue
        matched = {match["alias"]: _matching(securables, table, match["condition"]) for match in policy.get("match_columns") or ()}
        options = policy.get("column_mask") or policy["row_filter"]
        target = options.get("on_column")
        if not all(matched.values()):
            continue
        using = [argument.get("alias") for argument in options.get("using") or () if "alias" in argument]
        if several := sorted(alias for alias in using if alias != target and len(matched[alias]) > 1):
            conflicts.append(f"policy {policy['name']} cannot choose a column: {', '.join(several)} matches more than one")
            continue
        if target is None:
            filters.append(_call(securables, options["function_name"], _arguments(options, matched, "")))
        for column in matched.get(target, ()) if target else ():
            masks.setdefault(column, []).append(
                _call(securables, options["function_name"], [column, *_arguments(options, matched, column)])
            )
    conflicts += [f"column {column} has more than one mask" for column, found in masks.items() if len(_distinct(found)) > 1]
    if len(_distinct(filters)) > 1:
        conflicts.append("more than one row filter applies")
    return {
        "column_masks": {column: found[0] for column, found in masks.items()},
        "row_filters": filters[:1],
        "conflicts": conflicts,
        "guarded_columns": sorted(_guarded(securables, table)),
    }


def require_bindings(authority: Authority, before: Document, table: Document) -> None:
    """Of masks and row filters that are new: who sets one may EXECUTE its function, and its columns exist."""
    for binding, own in _bindings(table):
        if (binding, own) in list(_bindings(before)):
            continue
        function = authority.require("EXECUTE", Securable.FUNCTION, str(binding.get("function_name", "")).lower())
        given = [*own, *_used(binding)]
        known = {str(column["name"]).lower() for column in table.get("columns", ())}
        if absent := [name for name in given if isinstance(name, str) and name.lower() not in known]:
            raise ApiError("INVALID_PARAMETER_VALUE", f"Column {', '.join(absent)} does not exist in table '{table['full_name']}'.")
        takes = len((function.get("input_params") or {}).get("parameters") or ())
        if takes != len(given):
            raise ApiError("INVALID_PARAMETER_VALUE", f"Function '{function['full_name']}' takes {takes} argument(s), not {len(given)}.")


def _bindings(table: Document) -> Iterator[tuple[Document, list[str | Document]]]:
    """Each mask with its own column, and the row filter."""
    for column in table.get("columns", ()):
        if column.get("mask"):
            yield column["mask"], [column["name"]]
    if table.get("row_filter"):
        yield table["row_filter"], []


def _used(binding: Document) -> list[str | Document]:
    """The further arguments of a mask, or those of a row filter, in either spelling of the API."""
    given = binding.get("using_arguments") or binding.get("input_arguments")
    if given:
        return [argument["column"] if "column" in argument else {"constant": argument.get("constant")} for argument in given]
    return list(binding.get("using_column_names") or binding.get("input_column_names") or ())


def _arguments(options: Document, matched: dict[str, list[str]], column: str) -> list[str | Document]:
    target = options.get("on_column")
    return [
        {"constant": argument["constant"]}
        if "constant" in argument
        else (column if argument["alias"] == target else matched[argument["alias"]][0])
        for argument in options.get("using") or ()
    ]


def _call(securables: Securables, name: str, arguments: list[str | Document]) -> Document:
    """`function` is None for one that was dropped; Spark refuses to read then."""
    found = securables.find(Securable.FUNCTION, name.lower())
    function = {field: found[field] for field in _FUNCTION if field in found} if found else None
    spelt = [{"column": argument} if isinstance(argument, str) else argument for argument in arguments]
    return {"function_name": name.lower(), "function": function, "arguments": spelt}


def _distinct(calls: list[Document]) -> set[str]:
    return {f"{call['function_name']}{call['arguments']}" for call in calls}


def _policies(securables: Securables, caller: Caller, table: Document) -> Iterator[Document]:
    """Those on the table and above it that are meant for this caller."""
    for level in securables.ancestors(table):
        for policy in policies_on(securables, level).values():
            if caller.identities & set(policy["to_principals"]) and not caller.identities & set(policy.get("except_principals") or ()):
                yield policy


def _matching(securables: Securables, table: Document, text: str) -> list[str]:
    wanted = condition(text)
    return [str(each["name"]) for each in table.get("columns", ()) if wanted(values(tags_of(securables, table, str(each["name"]).lower())))]


def _guarded(securables: Securables, table: Document) -> set[str]:
    bound = {str(name).lower() for binding, own in _bindings(table) for name in (*own, *_used(binding)) if isinstance(name, str)}
    return bound | {
        name for name in (str(column["name"]).lower() for column in table.get("columns", ())) if tags_of(securables, table, name)
    }
