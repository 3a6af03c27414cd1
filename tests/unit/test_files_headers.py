"""The first line of a CSV file against its contract, without Spark."""

from __future__ import annotations

import pytest

from lakehouse.contracts import Kind, of_system
from lakehouse.ingest.headers import Header, judge, required_columns

BRONZE, SILVER = of_system("cmdm", Kind.BRONZE), of_system("cmdm", Kind.SILVER)
NAMES = [column.name for column in BRONZE.declared_columns]
ALL = "header: lacks customer_id, change_type, updated_ts"
NO_HEADER = f"{ALL}: the first line has no name of the contract, so it is no header, or that of another file"


def judged(line: str) -> Header:
    return judge(line, BRONZE, required_columns(SILVER))


@pytest.mark.parametrize(
    ("line", "remark"),
    [
        (",".join(NAMES), ""),
        (",".join(f'"{name}"' for name in NAMES), ""),
        (",".join(reversed(NAMES)), ""),
        (",".join([*NAMES, "loyalty_tier"]), "header: has loyalty_tier, which the contract has not"),
        (",".join(name for name in NAMES if name != "phone"), "header: lacks phone"),
    ],
)
def test_a_header_with_all_that_is_required_is_good_and_what_differs_is_remarked(line: str, remark: str) -> None:
    assert judged(line) == Header(remark=remark)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (",".join(NAMES[:-1]), "header: lacks updated_ts"),
        (",".join([*NAMES[:-1], "changed"]), "header: lacks updated_ts; not in the contract are changed"),
        (",".join([*NAMES[:-1], "Updated_TS "]), "header: lacks updated_ts; spelled otherwise are 'Updated_TS ' for updated_ts"),
        (";".join(NAMES), f"{ALL}: columns are separated by ';', the contract has ','"),
        ("\t".join(NAMES), f"{ALL}: columns are separated by '\\t', the contract has ','"),
        ("cust_no,given,family,mail", NO_HEADER),
        ("", NO_HEADER),
    ],
)
def test_a_header_that_lacks_what_is_required_says_what_and_what_is_there_instead(line: str, problem: str) -> None:
    assert judged(line) == Header(problem=problem)


def test_of_a_line_that_may_be_a_row_no_value_is_repeated() -> None:
    problem = judged("C1,Pat,Broken,pat@example.com,0412 345 678,,,UPSERT,2025-06-02T10:00:00+10:00").problem
    assert problem == NO_HEADER


def test_a_header_of_very_many_names_is_told_in_few_words() -> None:
    remark = judged(",".join([*NAMES, *(f"more_{number}" for number in range(30)), "x" * 500])).remark
    assert "more_9, 21 more, which" in remark and len(remark) < 300
