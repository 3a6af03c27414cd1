"""What a system delivers on a day: rows as text, each with what the platform must make of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

AEST = timezone(timedelta(hours=10))
# Long past, so that no clock finds these days in the future.
FIRST_DAY = datetime(2025, 6, 2, tzinfo=AEST)


def day_start(day: int) -> datetime:
    return FIRST_DAY + timedelta(days=day - 1)


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """One row of a file. `broken` is the reason the contract must give for it; a valid row has none.

    `key`, `sequence` and `content` are what the row means, however it is spelled.
    """

    row: Mapping[str, object]
    key: str
    sequence: datetime
    content: tuple[object, ...]
    broken: str = ""


@dataclass(kw_only=True)
class Delivery:
    """One file of a system."""

    system: str
    dataset: str
    file_prefix: str
    format: str
    rows: list[Delivered] = field(default_factory=list)

    def file_name(self, day: int) -> str:
        return f"{self.system}/{self.file_prefix}_{day_start(day):%Y%m%d}.{self.format}"


def as_text(rows: Sequence[Mapping[str, object]], columns: Sequence[str], file_format: str) -> str:
    """The content of a file: CSV with a header, or a JSON object a line."""
    if file_format == "json":
        return "".join(json.dumps({name: row[name] for name in columns if name in row}, ensure_ascii=False) + "\n" for row in rows)
    lines = [",".join(columns)]
    lines += [",".join(_csv_value(row.get(name)) for name in columns) for row in rows]
    return "\n".join(lines) + "\n"


def _csv_value(value: object) -> str:
    text = "" if value is None else str(value)
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\n') else text
