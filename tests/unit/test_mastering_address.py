"""Street addresses in their parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.silver.address_parts import AddressParts, parse, street_line, tidy

CASES = [
    ("1 George Street", None, AddressParts(street_number="1", street_name="GEORGE", street_type="STREET")),
    ("12a  st georges tce. ", "Unit 5", AddressParts(unit="5", street_number="12A", street_name="ST GEORGES", street_type="TERRACE")),
    ("3/12-14 High St", "", AddressParts(unit="3", street_number="12-14", street_name="HIGH", street_type="STREET")),
    (
        "Shop 2, 9 Smith St E",
        None,
        AddressParts(unit="2", street_number="9", street_name="SMITH", street_type="STREET", street_suffix="EAST"),
    ),
    ("7 The Avenue", None, AddressParts(street_number="7", street_name="THE AVENUE")),
    ("7 Broadway", None, AddressParts(street_number="7", street_name="BROADWAY")),
    ("5 North Terrace", None, AddressParts(street_number="5", street_name="NORTH", street_type="TERRACE")),
    ("PO Box 12", None, AddressParts()),
    ("", "Level 3", AddressParts(unit="3")),
    ("George Street", None, AddressParts()),
    (None, None, AddressParts()),
]

NUMBERS = st.from_regex(r"[1-9][0-9]{0,4}[A-Z]?", fullmatch=True)
NAMES = st.sampled_from(["GEORGE", "ST GEORGES", "O'CONNELL", "OLD SOUTH HEAD", "THE ESPLANADE", "RENÉE", "1ST FLEET"])
PARTS = st.builds(
    AddressParts,
    unit=st.none() | NUMBERS,
    street_number=st.one_of(NUMBERS, st.builds("{}-{}".format, NUMBERS, NUMBERS)),
    street_name=NAMES,
    street_type=st.sampled_from(["STREET", "ROAD", "AVENUE", "CRESCENT", "BOULEVARD", "WAY"]),
    street_suffix=st.sampled_from([None, "NORTH", "SOUTH", "EAST", "WEST"]),
)


@pytest.mark.parametrize(("line_1", "line_2", "parts"), CASES)
def test_an_address_comes_apart_into_unit_number_name_type_and_direction(
    line_1: str | None, line_2: str | None, parts: AddressParts
) -> None:
    assert parse(line_1, line_2) == parts


@pytest.mark.parametrize(("line", "parsed"), [("1 George St", "complete"), ("7 Broadway", "partial"), ("PO Box 12", "no")])
def test_what_was_found_is_said(line: str, parsed: str) -> None:
    assert parse(line).parsed == parsed


@given(PARTS)
def test_parts_survive_being_written_and_read(parts: AddressParts) -> None:
    assert parse(street_line(parts)) == parts


@given(PARTS, st.sampled_from(["  ", "\t", " \n "]), st.booleans())
def test_blanks_case_and_abbreviation_make_no_difference(parts: AddressParts, blank: str, short: bool) -> None:
    line = street_line(parts)
    spelled = line.replace(" STREET", " St.").replace(" ROAD", " rd") if short else line.lower().replace("é", "É")
    assert parse(f" {spelled.replace(' ', blank)} ,") == parts


@given(st.text() | st.none(), st.text() | st.none())
def test_any_text_is_parsed_or_left_alone(line_1: str | None, line_2: str | None) -> None:
    parts = parse(line_1, line_2)
    assert (parts.parsed == "no") == (parts.street_name is None)
    assert tidy(tidy(line_1)) == tidy(line_1)
