"""What changed between the released version of a contract and this one, and the version number that such a change needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from lakehouse.contracts.dataset import Classification, Column, DatasetContract, QualityRule


class Level(IntEnum):
    """What a change does to those who read or deliver the dataset."""

    EDITORIAL = 0
    ADDITIVE = 1
    BREAKING = 2


@dataclass(frozen=True, kw_only=True)
class Change:
    """One difference. `column` is empty where it is about the whole dataset."""

    level: Level
    column: str
    what: str


# Types whose every value is a value of the other, too. A migration carries the change out; tables are never retyped behind one's back.
_WIDER = {("INT", "BIGINT"), ("INT", "DOUBLE")}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


def changes(released: DatasetContract, current: DatasetContract) -> tuple[Change, ...]:
    """Every difference, the gravest first. Equal contracts have none."""
    found = [*_columns(released, current), *_dataset(released, current)]
    return tuple(sorted(found, key=lambda change: -change.level))


def level(found: tuple[Change, ...]) -> Level | None:
    """The gravest of the changes; None without any."""
    return max((change.level for change in found), default=None)


def needed_version(released: str, grave: Level | None) -> str:
    """The lowest version that says what the changes are."""
    major, minor, patch = _numbers(released)
    if grave is None:
        return released
    return {
        Level.EDITORIAL: f"{major}.{minor}.{patch + 1}",
        Level.ADDITIVE: f"{major}.{minor + 1}.0",
        Level.BREAKING: f"{major + 1}.0.0",
    }[grave]


def is_enough(version: str, needed: str) -> bool:
    return _numbers(version) >= _numbers(needed)


def _numbers(version: str) -> tuple[int, int, int]:
    major, minor, patch = (int(part) for part in version.split("."))
    return major, minor, patch


def _columns(released: DatasetContract, current: DatasetContract) -> Iterator[Change]:
    before = {column.name: column for column in released.declared_columns}
    after = {column.name: column for column in current.declared_columns}
    added = [column for name, column in after.items() if name not in before]
    for name, column in before.items():
        if name in after:
            yield from _column(column, after[name])
            continue
        twin = next((new.name for new in added if _alike(column, new)), "")
        renamed = f"; it looks renamed to {twin}, which readers of {name} cannot know" if twin else ""
        yield Change(level=Level.BREAKING, column=name, what=f"was removed{renamed}")
    for column in added:
        if column.required:
            yield Change(level=Level.BREAKING, column=column.name, what="was added as required: what is there already has no value for it")
        else:
            yield Change(level=Level.ADDITIVE, column=column.name, what="was added")
    if [name for name in before if name in after] != [name for name in after if name in before]:
        yield Change(level=Level.EDITORIAL, column="", what="the order of the columns changed")


def _alike(old: Column, new: Column) -> bool:
    """Whether a new column is likely an old one by another name."""
    if old.source or new.source:
        return old.source == new.source
    return (old.physical_type, old.description) == (new.physical_type, new.description) and bool(old.description)


def _column(old: Column, new: Column) -> Iterator[Change]:
    def change(grave: Level, what: str) -> Change:
        return Change(level=grave, column=old.name, what=what)

    if old.physical_type != new.physical_type:
        wider = _is_wider(old.physical_type, new.physical_type)
        how = "widened" if wider else "changed"
        yield change(Level.ADDITIVE if wider else Level.BREAKING, f"type was {how} from {old.physical_type} to {new.physical_type}")
    if new.required != old.required:
        yield change(*((Level.BREAKING, "became required") if new.required else (Level.ADDITIVE, "became optional")))
    if old.primary_key_position != new.primary_key_position:
        yield change(Level.BREAKING, "its place in the primary key changed")
    if old.classification != new.classification:
        masked = new.classification == Classification.PII
        yield change(
            Level.BREAKING if masked else Level.ADDITIVE,
            f"was reclassified from {old.classification} to {new.classification}" + (": its readers will see it masked" if masked else ""),
        )
    elif old.pii != new.pii:
        yield change(Level.ADDITIVE, f"is masked as {new.pii}, was as {old.pii}")
    if old.row_filter != new.row_filter:
        hides = new.row_filter is not None
        yield change(
            Level.BREAKING if hides else Level.ADDITIVE,
            f"now filters rows by {new.row_filter}: its readers will see their own alone" if hides else "filters no rows any more",
        )
    yield from _rules(old, new)
    same = ("description", "logical_type", "source", "references")
    edited = [name for name in same if getattr(old, name) != getattr(new, name)]
    if edited:
        yield change(Level.EDITORIAL, f"{', '.join(edited)} changed")


def _is_wider(old: str, new: str) -> bool:
    before, after = _DECIMAL.fullmatch(old), _DECIMAL.fullmatch(new)
    if before and after:
        (precision, scale), (wider, finer) = (tuple(map(int, match.groups())) for match in (before, after))
        return finer >= scale and wider - finer >= precision - scale
    return (old, new) in _WIDER


def _rules(old: Column, new: Column) -> Iterator[Change]:
    before, after = _by_name(old), _by_name(new)
    for name in [*before, *(name for name in after if name not in before)]:
        for grave, what in _rule(before.get(name), after.get(name)):
            yield Change(level=grave, column=old.name, what=f"rule {name.partition('#')[0]} {what}")


def _by_name(column: Column) -> dict[str, QualityRule]:
    """Rules by name; a second one of the same name by its number, too."""
    found: dict[str, QualityRule] = {}
    for rule in column.quality:
        number = sum(name.partition("#")[0] == rule.implementation for name in found)
        found[f"{rule.implementation}#{number}" if number else rule.implementation] = rule
    return found


def _rule(old: QualityRule | None, new: QualityRule | None) -> Iterator[tuple[Level, str]]:
    if old is None or new is None:
        rule = new or old
        assert rule is not None  # noqa: S101 one of the two is there
        stricter = new is not None and rule.severity.refuses
        yield Level.BREAKING if stricter else Level.ADDITIVE, f"of severity {rule.severity} was {'added' if new else 'removed'}"
        return
    if old.severity is not new.severity:
        stricter = new.severity.stricter_than(old.severity)
        yield Level.BREAKING if stricter else Level.ADDITIVE, f"went from severity {old.severity} to {new.severity}"
    if old.arguments != new.arguments:
        yield from _arguments(old, new)
    if (old.owner, old.description) != (new.owner, new.description):
        yield Level.EDITORIAL, "changed its owner or description"


def _arguments(old: QualityRule, new: QualityRule) -> Iterator[tuple[Level, str]]:
    """An enum is compared word by word; what another argument means for the values, nobody can tell."""
    if old.implementation != "valid_values":
        yield Level.BREAKING, f"was {dict(old.arguments)}, is {dict(new.arguments)}"
        return
    before, after = old.arguments["validValues"], new.arguments["validValues"]
    if lost := [str(value) for value in before if value not in after]:
        yield Level.BREAKING, f"no longer allows {', '.join(lost)}"
    if gained := [str(value) for value in after if value not in before]:
        yield Level.ADDITIVE, f"now allows {', '.join(gained)}"
    if not lost and not gained:
        yield Level.EDITORIAL, "lists its words in another order"


def _dataset(old: DatasetContract, new: DatasetContract) -> Iterator[Change]:
    def change(grave: Level, what: str) -> Change:
        return Change(level=grave, column="", what=what)

    for field in ("layer", "name", "kind", "sequence", "landing", "topic", "partitioned_by"):
        before, after = getattr(old, field), getattr(new, field)
        if before != after:
            yield change(Level.BREAKING, f"{field} was {before}, is {after}")
    for what, before, after in (("readers", old.reader_groups, new.reader_groups), ("writers", old.writer_groups, new.writer_groups)):
        if lost := [name for name in before if name not in after]:
            yield change(Level.BREAKING, f"{', '.join(lost)} no longer among its {what}")
        if gained := [name for name in after if name not in before]:
            yield change(Level.ADDITIVE, f"{', '.join(gained)} now among its {what}")
    if old.table_properties != new.table_properties:
        yield change(Level.ADDITIVE, f"table properties were {dict(old.table_properties)}, are {dict(new.table_properties)}")
    yield from _objectives(old, new)
    edited = [name for name in ("description", "status", "owner", "source", "also_reads", "consumers") if _differs(old, new, name)]
    if edited:
        yield change(Level.EDITORIAL, f"{', '.join(edited)} changed")


def _differs(old: DatasetContract, new: DatasetContract, field: str) -> bool:
    return bool(getattr(old, field) != getattr(new, field))


def _objectives(old: DatasetContract, new: DatasetContract) -> Iterator[Change]:
    """A promise that became weaker breaks those who built on it."""
    before, after = old.objectives, new.objectives
    pairs: tuple[tuple[str, timedelta | float | None, timedelta | float | None, bool], ...] = (
        ("freshness", before.freshness, after.freshness, False),
        ("frequency", before.frequency, after.frequency, False),
        ("retention", before.retention, after.retention, True),
        ("error rate", before.error_rate_pct, after.error_rate_pct, False),
    )
    for name, was, now, more_is_better in pairs:
        if was != now:
            weaker = was is not None and (now is None or (now < was) is more_is_better)  # type: ignore[operator]
            level_of = Level.BREAKING if weaker else Level.ADDITIVE
            yield Change(level=level_of, column="", what=f"the {name} objective was {_said(was)}, is {_said(now)}")
    if before.rows != after.rows:
        yield Change(level=Level.ADDITIVE, column="", what=f"the rows of a delivery were {_said(before.rows)}, are {_said(after.rows)}")


def _said(value: object) -> str:
    return "none" if value is None else str(value)
