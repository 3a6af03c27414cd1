"""A result set as people and programs read it: a table, a record a row where the table would be too wide, JSON, CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from local_estate.ask import Answer

_WHOLE = ("TINYINT", "SMALLINT", "INT", "BIGINT")
_NESTED = ("ARRAY", "MAP", "STRUCT")
_READABLE = 12  # characters of a cell that still can be read when it folds
_BETWEEN = 3  # characters between two columns


def shown(answer: Answer, width: int) -> Iterator[RenderableType]:
    """One table if every column can be read in it, else one record after the other."""
    if _fits(answer, width):
        table = Table(show_edge=False, header_style="bold")
        for name in answer.columns:
            table.add_column(escape(name), overflow="fold")
        for row in answer.rows:
            table.add_row(*(escape(_text(value)) for value in row))
        yield table
        return
    longest = max(len(name) for name in answer.columns)
    for number, row in enumerate(answer.rows, 1):
        yield Text(f"row {number}", style="bold")
        record = Table.grid(padding=(0, 1))
        record.add_column(no_wrap=True, min_width=longest, style="dim")
        record.add_column(overflow="fold")
        for name, value in zip(answer.columns, row, strict=True):
            record.add_row(escape(name), escape(_text(value)))
        yield record


def _fits(answer: Answer, width: int) -> bool:
    widest = [max([len(name), *(len(_text(row[index])) for row in answer.rows)]) for index, name in enumerate(answer.columns)]
    least = [min(each, max(_READABLE, len(name))) for each, name in zip(widest, answer.columns, strict=True)]
    return sum(least) + _BETWEEN * len(least) <= width


def _text(value: str | None) -> str:
    return "NULL" if value is None else value


def as_json(answer: Answer) -> dict[str, Any]:
    """`{"columns": [{"name", "type"}], "rows": [{name: value}]}`; a name that comes twice has its place behind it the second time."""
    names = _unique(answer.columns)
    return {
        "columns": [{"name": name, "type": kind} for name, kind in zip(names, answer.types, strict=True)],
        "rows": [{name: typed(value, kind) for name, value, kind in zip(names, row, answer.types, strict=True)} for row in answer.rows],
    }


def typed(value: str | None, kind: str) -> Any:
    """Numbers, booleans and nested values as JSON has them. A DECIMAL stays text: JSON's readers would round it."""
    name = kind.upper().split("(")[0].split("<")[0]
    if value is None:
        return None
    if name in _WHOLE:
        return int(value)
    if name == "BOOLEAN":
        return value == "true"
    if name in ("FLOAT", "DOUBLE"):
        number = float(value)
        return number if number - number == 0 else value  # JSON knows no NaN and no infinity
    if name in _NESTED:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _unique(columns: Sequence[str]) -> list[str]:
    return [name if name not in columns[:place] else f"{name}_{place + 1}" for place, name in enumerate(columns)]


def as_csv(answer: Answer) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows(answer.rows)
    return text.getvalue()
