"""AMDM addresses in one spelling, with a hash to join by."""

from __future__ import annotations

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.silver.words import one_blank, translated

_STATES = {
    "NEW SOUTH WALES": "NSW",
    "VICTORIA": "VIC",
    "QUEENSLAND": "QLD",
    "SOUTH AUSTRALIA": "SA",
    "WESTERN AUSTRALIA": "WA",
    "TASMANIA": "TAS",
    "NORTHERN TERRITORY": "NT",
    "AUSTRALIAN CAPITAL TERRITORY": "ACT",
}


def standardised_state(state: SparkColumn) -> SparkColumn:
    """`n.s.w.`, `New South Wales` → `NSW`."""
    return translated(one_blank(F.upper(F.regexp_replace(state, r"\.", ""))), _STATES)


def repaired_postcode(postcode: SparkColumn) -> SparkColumn:
    """`800` → `0800`: three digits that a zero makes a postcode of the Northern Territory. Nothing else is padded, and nothing cut."""
    return F.when(postcode.rlike("^[89][0-9]{2}$"), F.concat(F.lit("0"), postcode)).otherwise(postcode)


def standardised_address(rows: DataFrame) -> DataFrame:
    """Typed AMDM rows → upper case, repaired postcode, `full_address`, `address_hash`. GCC and mesh block stay as they are."""
    spelled = rows.withColumns(
        {
            "addr_line_1": one_blank(F.upper("addr_line_1")),
            "addr_line_2": one_blank(F.upper("addr_line_2")),
            "suburb": one_blank(F.upper("suburb")),
            "state": standardised_state(F.col("state")),
            "postcode": repaired_postcode(F.col("postcode")),
        }
    )
    return spelled.withColumns(
        {
            "full_address": F.concat_ws(" ", "addr_line_2", "addr_line_1", "suburb", "state", "postcode"),
            "address_hash": F.sha2(F.to_json(F.struct("addr_line_1", "addr_line_2", "suburb", "state", "postcode")), 256),
        }
    )
