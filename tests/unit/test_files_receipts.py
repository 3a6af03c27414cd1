"""Which receipts a run owes, from listing, earlier receipts and bronze: no Spark in it."""

from __future__ import annotations

from collections import namedtuple

from lakehouse.contracts import Kind, of_system
from lakehouse.ingest.headers import Header
from lakehouse.ingest.receipts import Landed, Outcome, Receipt, Taken, Version, listing, receipts, told

CSV, JSON = of_system("cmdm", Kind.BRONZE), of_system("pega", Kind.BRONZE)
MINUTE = 60_000_000


def at(path: str, minute: int) -> Version:
    return Version(path=path, modified=1_700_000_000_000_000 + minute * MINUTE)


def landed(path: str, minute: int, size: int = 100) -> Landed:
    return Landed(version=at(path, minute), bytes=size)


def taken(path: str, minute: int, rows: int = 3, unreadable: int = 0) -> Taken:
    return Taken(version=at(path, minute), rows=rows, unreadable=unreadable)


def outcomes(made: list[Receipt]) -> list[tuple[str, Outcome, int]]:
    return [(receipt.version.path, receipt.outcome, receipt.rows) for receipt in made]


def test_a_file_that_bronze_has_rows_of_is_taken_and_one_with_a_receipt_gets_no_second() -> None:
    files = [landed("a.csv", 1), landed("b.csv", 2)]
    assert outcomes(receipts(files, [], [taken("a.csv", 1), taken("b.csv", 2)], {}, CSV)) == [
        ("a.csv", Outcome.TAKEN, 3),
        ("b.csv", Outcome.TAKEN, 3),
    ]
    assert receipts(files, [at("a.csv", 1), at("b.csv", 2)], [taken("a.csv", 1), taken("b.csv", 2)], {}, CSV) == []


def test_a_name_that_was_there_before_is_delivered_again_whether_its_first_receipt_was_written_or_not() -> None:
    again = [landed("a.csv", 5)]
    assert outcomes(receipts(again, [at("a.csv", 1)], [], {}, CSV)) == [("a.csv", Outcome.DELIVERED_AGAIN, 0)]
    # The run that took the first one in ended before its receipt.
    assert outcomes(receipts(again, [], [taken("a.csv", 1)], {}, CSV)) == [
        ("a.csv", Outcome.DELIVERED_AGAIN, 0),
        ("a.csv", Outcome.TAKEN, 3),
    ]


def test_a_file_replaced_between_listing_and_reading_has_one_receipt_of_what_was_read() -> None:
    (made,) = receipts([landed("a.csv", 1)], [], [taken("a.csv", 2)], {}, CSV)
    assert (made.version, made.outcome, made.bytes) == (at("a.csv", 2), Outcome.TAKEN, None)


def test_a_listing_in_whole_seconds_speaks_of_the_same_file() -> None:
    fine = Taken(version=Version(path="a.csv", modified=1_700_000_000_123_456), rows=1, unreadable=0)
    assert outcomes(receipts([landed("a.csv", 0)], [], [fine], {}, CSV)) == [("a.csv", Outcome.TAKEN, 1)]


def test_a_name_with_blanks_is_the_same_file_however_it_is_spelled() -> None:
    files = [landed("a [1] 50%.csv", 1)]
    made = receipts(files, [], [taken("a%20%5B1%5D%2050%25.csv", 1)], {}, CSV)
    assert outcomes(made) == [("a%20%5B1%5D%2050%25.csv", Outcome.TAKEN, 3)]
    assert receipts(files, [made[0].version], [], {}, CSV) == []


def test_a_listing_has_files_of_every_folder_and_those_without_a_byte_but_none_that_is_hidden() -> None:
    entry = namedtuple("entry", ["path", "name", "size", "modificationTime"])
    folders = {
        "/l/": [entry("/l/sub/", "sub/", 0, 5), entry("/l/a.csv", "a.csv", 0, 7), entry("/l/_SUCCESS", "_SUCCESS", 1, 7)],
        "/l/sub/": [entry("/l/sub/b.csv", "b.csv", 9, 8)],
    }
    found = listing(folders.__getitem__, "/l/")
    assert [(file.version.path, file.version.modified, file.bytes) for file in found] == [("/l/sub/b.csv", 8000, 9), ("/l/a.csv", 7000, 0)]


def test_a_file_without_rows_says_why() -> None:
    files = [landed("a.csv", 1, 0), landed("b.csv", 1), landed("c.csv", 1), landed("d.xlsx", 1), landed("E.CSV", 1), landed("f.csv", 1)]
    headers = {"c.csv": Header(), "f.csv": Header(problem="header: lacks customer_id")}
    made = receipts(files, [], [], headers, CSV)
    assert [(receipt.outcome, receipt.reason) for receipt in made] == [
        (Outcome.EMPTY, "file: is empty"),
        (Outcome.EMPTY, "file: has no row"),
        (Outcome.HEADER_ONLY, "file: has a header and no row"),
        (Outcome.OTHER_FORMAT, "file: is no .csv file, as the contract of cmdm.cmdm_bronze has it"),
        (Outcome.OTHER_FORMAT, "file: is no .csv file, as the contract of cmdm.cmdm_bronze has it"),
        (Outcome.WRONG_HEADER, "header: lacks customer_id"),
    ]


def test_a_file_of_which_no_row_can_be_parsed_is_unreadable_and_one_with_some_says_how_many() -> None:
    files = [landed("a.json", 1), landed("b.json", 1)]
    made = receipts(files, [], [taken("a.json", 1, 3, 3), taken("b.json", 1, 3, 1)], {}, JSON)
    assert [(receipt.outcome, receipt.reason) for receipt in made] == [
        (Outcome.UNREADABLE, "file: no row of it can be parsed"),
        (Outcome.TAKEN, "rows that cannot be parsed: 1"),
    ]


def test_a_run_says_in_one_line_what_became_of_its_files() -> None:
    made = receipts([landed("a.csv", 1, 0), landed("b.csv", 2)], [], [taken("b.csv", 2)], {}, CSV)
    assert told(made) == "files 2: 1 taken, 1 empty"
    assert str(made[0]) == "empty: a.csv (file: is empty)"
