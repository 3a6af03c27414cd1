"""Governed tags on columns: what the contracts say against what the tables carry. Pure; lakehouse.jobs.migrate carries it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lakehouse.contracts import DatasetContract, Layer
from lakehouse.contracts.masks import TAGS, column_tags, tag_key
from lakehouse.ddl import literal
from lakehouse.names import Catalogs, TableName

# A column by its table and name, and its tags.
Tagged = Mapping[tuple[TableName, str], Mapping[str, str]]


@dataclass(frozen=True, kw_only=True, order=True)
class Tagging:
    """One statement: tags to set on a column, or keys to take off it."""

    table: TableName
    column: str
    setting: tuple[tuple[str, str], ...] = ()
    removing: tuple[str, ...] = ()

    @property
    def statement(self) -> str:
        pairs = ", ".join(f"{literal(key)} = {literal(value)}" for key, value in self.setting)
        what = f"SET TAGS ({pairs})" if self.setting else f"UNSET TAGS ({', '.join(literal(key) for key in self.removing)})"
        return f"ALTER TABLE {self.table} ALTER COLUMN `{self.column}` {what}"


def wanted_tags(contracts: Iterable[DatasetContract], catalogs: Catalogs) -> dict[tuple[TableName, str], dict[str, str]]:
    """By column, with the keys of the environment that the catalogs are of."""
    every = list(contracts)
    tables = {(dataset.layer, dataset.name): catalogs.table(dataset) for dataset in every}
    wanted: dict[tuple[TableName, str], dict[str, str]] = {}
    for tag in column_tags(every):
        column = wanted.setdefault((tables[tag.layer, tag.dataset], tag.column), {})
        column[tag_key(catalogs.prefix, tag.key)] = tag.value
    return wanted


def taggings(wanted: Tagged, present: Tagged, *, prefix: str) -> tuple[Tagging, ...]:
    """What makes the one of the other, in order. Tags with other keys than ours are their owner's business."""
    ours = {tag_key(prefix, key) for key in TAGS}
    found: list[Tagging] = []
    for place in sorted({*wanted, *present}):
        now, then = present.get(place, {}), wanted.get(place, {})
        table, column = place
        setting = tuple(sorted((key, value) for key, value in then.items() if now.get(key) != value))
        removing = tuple(sorted(key for key in now if key in ours and key not in then))
        found += [Tagging(table=table, column=column, setting=setting)] if setting else []
        found += [Tagging(table=table, column=column, removing=removing)] if removing else []
    return tuple(found)


def tags_query(catalogs: Catalogs) -> str:
    """Our tags on all columns of the environment in one look: rows of catalog, schema, table, column, key and value."""
    keys = ", ".join(literal(tag_key(catalogs.prefix, key)) for key in TAGS)
    columns = "catalog_name, schema_name, table_name, column_name, tag_name, tag_value"
    names = sorted({catalogs.of(layer) for layer in Layer})
    looks = [f"SELECT {columns} FROM `{name}`.information_schema.column_tags WHERE tag_name IN ({keys})" for name in names]  # noqa: S608
    return " UNION ALL ".join(looks)
