"""An Australian street address in its parts: unit, number, street name, type and direction.

`parse` is the unit of truth in plain Python; `with_address_parts` does the same in Spark from the same patterns and words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.silver.words import translated

# Spelled-out type → how else it is written. AS 4590 has more of them; a word that is not here is part of the name.
_TYPES: Mapping[str, tuple[str, ...]] = {
    "STREET": ("ST", "STR"),
    "ROAD": ("RD",),
    "AVENUE": ("AVE", "AV"),
    "LANE": ("LN",),
    "PARADE": ("PDE",),
    "CRESCENT": ("CRES", "CR"),
    "DRIVE": ("DR", "DRV"),
    "PLACE": ("PL",),
    "TERRACE": ("TCE",),
    "HIGHWAY": ("HWY",),
    "COURT": ("CT",),
    "CLOSE": ("CL",),
    "BOULEVARD": ("BVD", "BLVD"),
    "CIRCUIT": ("CCT",),
    "ESPLANADE": ("ESP",),
    "GROVE": ("GR",),
    "SQUARE": ("SQ",),
    "WAY": (),
    "WALK": (),
    "RISE": (),
    "MEWS": (),
}
_DIRECTIONS: Mapping[str, tuple[str, ...]] = {"NORTH": ("N",), "SOUTH": ("S",), "EAST": ("E",), "WEST": ("W",)}
_UNITS = "UNIT|U|APARTMENT|APT|FLAT|SHOP|SUITE|STE|LEVEL|LVL|L"


def _spelled_out(words: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    return {short: word for word, shorts in words.items() for short in shorts}


def _any_of(words: Mapping[str, tuple[str, ...]]) -> str:
    return "|".join(sorted([*words, *_spelled_out(words)], key=lambda word: (-len(word), word)))


# Both engines, Python's and Java's, read these alike: ASCII digits and blanks only, as the lines are tidied first.
_UNIT_LINE = rf"^(?:(?:{_UNITS}) ?)?([0-9]+[A-Z]?)$"
_STREET_LINE = (
    rf"^(?:(?:(?:{_UNITS}) ?)?([0-9]+[A-Z]?) ?/ ?|(?:{_UNITS}) ?([0-9]+[A-Z]?),? )?"  # 1, 2: unit
    r"([0-9]+[A-Z]?(?: ?- ?[0-9]+[A-Z]?)?) "  # 3: number
    r"(THE [^ ]+|[^ ](?:.*?[^ ])?)"  # 4: name
    rf"(?: ({_any_of(_TYPES)}))?"  # 5: type
    rf"(?: ({_any_of(_DIRECTIONS)}))?$"  # 6: direction
)
COMPLETE = "complete"
PARTIAL = "partial"
NO = "no"


@dataclass(frozen=True, kw_only=True)
class AddressParts:
    """Parts that the lines do not have are None. `parsed`: COMPLETE with number, name and type; NO where there is not even a number."""

    unit: str | None = None
    street_number: str | None = None
    street_name: str | None = None
    street_type: str | None = None
    street_suffix: str | None = None

    @property
    def parsed(self) -> str:
        if self.street_number is None:
            return NO
        return COMPLETE if self.street_type else PARTIAL


def tidy(line: str | None) -> str:
    """Upper case, single blanks, no full stops, no comma at the end."""
    # ASCII blanks, as Java's \s: both engines must tidy alike.
    return re.sub(r"[ ,]+$", "", re.sub(r"\s+", " ", (line or "").upper().replace(".", ""), flags=re.ASCII).strip(" "))


def parse(line_1: str | None, line_2: str | None = None) -> AddressParts:
    """Total: any text gives parts or none, and parsing what `street_line` writes gives the same parts."""
    own_line = re.search(_UNIT_LINE, tidy(line_2), re.ASCII)
    found = re.search(_STREET_LINE, tidy(line_1), re.ASCII)
    if found is None:
        return AddressParts(unit=own_line.group(1) if own_line else None)
    slash, word, number, name, street_type, suffix = found.groups()
    return AddressParts(
        unit=(own_line.group(1) if own_line else None) or slash or word,
        street_number=number.replace(" ", ""),
        street_name=name,
        street_type=_spelled_out(_TYPES).get(street_type, street_type),
        street_suffix=_spelled_out(_DIRECTIONS).get(suffix, suffix),
    )


def street_line(parts: AddressParts) -> str:
    """`3/12 GEORGE STREET EAST`: the one spelling of the parts."""
    number = f"{parts.unit}/{parts.street_number}" if parts.unit else parts.street_number
    return " ".join(part for part in (number, parts.street_name, parts.street_type, parts.street_suffix) if part)


def with_address_parts(rows: DataFrame) -> DataFrame:
    """Standardised AMDM rows (`addr_line_1`, `addr_line_2`) → with the parts and `parsed`."""

    def group(column: str, pattern: str, number: int) -> SparkColumn:
        return F.nullif(F.regexp_extract(column, pattern, number), F.lit(""))

    tidied = rows.withColumns(
        {
            f"_{line}": F.regexp_replace(
                F.trim(F.regexp_replace(F.regexp_replace(F.upper(F.coalesce(line, F.lit(""))), r"\.", ""), r"\s+", " ")), "[ ,]+$", ""
            )
            for line in ("addr_line_1", "addr_line_2")
        }
    )
    found = tidied.withColumns(
        {
            "unit": F.coalesce(
                group("_addr_line_2", _UNIT_LINE, 1), group("_addr_line_1", _STREET_LINE, 1), group("_addr_line_1", _STREET_LINE, 2)
            ),
            "street_number": F.regexp_replace(group("_addr_line_1", _STREET_LINE, 3), " ", ""),
            "street_name": group("_addr_line_1", _STREET_LINE, 4),
            "street_type": translated(group("_addr_line_1", _STREET_LINE, 5), _spelled_out(_TYPES)),
            "street_suffix": translated(group("_addr_line_1", _STREET_LINE, 6), _spelled_out(_DIRECTIONS)),
        }
    )
    parsed = F.when(F.col("street_number").isNull(), NO).when(F.col("street_type").isNull(), PARTIAL).otherwise(COMPLETE)
    return found.withColumn("parsed", parsed).drop("_addr_line_1", "_addr_line_2")
