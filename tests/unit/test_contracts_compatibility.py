"""Which changes of a contract break somebody: by example, and by property over contracts made up by hypothesis."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lakehouse.contracts import Column, DatasetContract, QualityRule, Severity, contract, load_contracts
from lakehouse.contracts.compatibility import Level, changes, is_enough, level, needed_version
from lakehouse.contracts.dataset import Classification, Objectives, Pii, RowFilter

CASES = contract("pega.case_silver")

words = st.sampled_from(["OPEN", "CLOSED", "HELD", "LOST", "NEW"])
names = st.text(alphabet="abcdefgh_", min_size=1, max_size=6)
types = st.sampled_from(["STRING", "DATE", "TIMESTAMP", "BOOLEAN", "INT", "BIGINT", "DOUBLE", "DECIMAL(10,2)", "ARRAY<STRING>"])
severities = st.sampled_from(Severity)
enums = st.builds(
    lambda values, severity: QualityRule(implementation="valid_values", severity=severity, arguments={"validValues": values}),
    st.lists(words, min_size=1, max_size=4, unique=True),
    severities,
)
columns = st.builds(
    lambda name, physical_type, required, classification, row_filter, rules: Column(
        name=name,
        logical_type="string",
        physical_type=physical_type,
        required=required,
        classification=classification,
        pii=Pii.TEXT if classification is Classification.PII else None,
        row_filter=row_filter,
        quality=tuple(rules),
        description=f"what {name} is",
    ),
    names,
    types,
    st.booleans(),
    st.sampled_from(Classification),
    st.sampled_from([None, *RowFilter]),
    st.lists(enums, max_size=1),
)
contracts = st.lists(columns, min_size=1, max_size=6, unique_by=lambda column: column.name).map(
    lambda made: replace(CASES, columns=tuple(made), sequence=None)
)


def with_column(dataset: DatasetContract, name: str, /, **changed: object) -> DatasetContract:
    return replace(dataset, columns=tuple(replace(c, **changed) if c.name == name else c for c in dataset.columns))  # type: ignore[arg-type]


def found(before: DatasetContract, after: DatasetContract) -> list[tuple[Level, str, str]]:
    return [(change.level, change.column, change.what) for change in changes(before, after)]


@given(contracts)
def test_a_contract_is_compatible_with_itself(dataset: DatasetContract) -> None:
    assert changes(dataset, dataset) == ()


@given(contracts, columns)
def test_an_optional_column_more_is_additive_and_the_same_column_less_is_breaking(dataset: DatasetContract, column: Column) -> None:
    assume(column.name not in {other.name for other in dataset.columns})
    more = replace(dataset, columns=(*dataset.columns, replace(column, required=False)))
    assert level(changes(dataset, more)) is Level.ADDITIVE
    assert level(changes(more, dataset)) is Level.BREAKING


@given(contracts, st.data())
def test_a_column_that_becomes_required_breaks_and_the_way_back_does_not(dataset: DatasetContract, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([column.name for column in dataset.columns]))
    optional, required = with_column(dataset, name, required=False), with_column(dataset, name, required=True)
    assert level(changes(optional, required)) is Level.BREAKING
    assert level(changes(required, optional)) is Level.ADDITIVE


@given(contracts, contracts)
def test_a_change_there_or_the_way_back_is_seen_from_both_sides(one: DatasetContract, other: DatasetContract) -> None:
    assert bool(changes(one, other)) is bool(changes(other, one)) is (one.columns != other.columns)


@given(contracts, contracts)
def test_every_change_names_a_column_of_one_of_the_two_or_none(one: DatasetContract, other: DatasetContract) -> None:
    known = {column.name for column in (*one.columns, *other.columns)} | {""}
    made = changes(one, other)
    assert {change.column for change in made} <= known
    assert [change.level for change in made] == sorted((change.level for change in made), reverse=True)


@given(st.lists(words, min_size=1, unique=True), st.lists(words, min_size=1, unique=True), severities)
def test_an_enum_breaks_exactly_when_it_loses_a_word(before: list[str], after: list[str], severity: Severity) -> None:
    def of(values: list[str]) -> DatasetContract:
        rule = QualityRule(implementation="valid_values", severity=severity, arguments={"validValues": values})
        return with_column(CASES, "status", quality=(rule,))

    assert (level(changes(of(before), of(after))) is Level.BREAKING) is bool(set(before) - set(after))


@given(st.tuples(*[st.integers(0, 40)] * 3), st.sampled_from([None, *Level]))
def test_the_version_a_change_needs_is_enough_and_no_lower_one_of_that_rank_is(numbers: tuple[int, int, int], grave: Level | None) -> None:
    released = ".".join(map(str, numbers))
    needed = needed_version(released, grave)
    assert is_enough(needed, needed)
    assert (needed == released) is (grave is None)
    assert grave is None or not is_enough(released, needed)


@pytest.mark.parametrize(
    ("column", "changed", "grave", "said"),
    [
        ("reopen_count", {"physical_type": "BIGINT"}, Level.ADDITIVE, "type was widened from INT to BIGINT"),
        ("reopen_count", {"physical_type": "STRING"}, Level.BREAKING, "type was changed from INT to STRING"),
        ("channel", {"classification": Classification.PII, "pii": Pii.TEXT}, Level.BREAKING, "from internal to pii: its readers will see"),
        ("case_id", {"primary_key_position": None}, Level.BREAKING, "its place in the primary key changed"),
        ("channel", {"description": "Otherwise"}, Level.EDITORIAL, "description changed"),
        ("reopen_count", {"quality": ()}, Level.ADDITIVE, "rule not_negative of severity error was removed"),
        (
            "channel",
            {"quality": (QualityRule(implementation="matches", severity=Severity.ERROR, arguments={"pattern": "x"}),)},
            Level.BREAKING,
            "rule matches of severity error was added",
        ),
        (
            "channel",
            {"quality": (QualityRule(implementation="matches", severity=Severity.WARNING, arguments={"pattern": "x"}),)},
            Level.ADDITIVE,
            "rule matches of severity warning was added",
        ),
    ],
)
def test_a_changed_column_says_what_changed(column: str, changed: dict[str, object], grave: Level, said: str) -> None:
    ((made, name, what),) = found(CASES, with_column(CASES, column, **changed))
    assert (made, name) == (grave, column)
    assert said in what


@pytest.mark.parametrize(
    ("before", "after", "wider"),
    [
        ("DECIMAL(10,2)", "DECIMAL(12,2)", True),
        ("DECIMAL(10,2)", "DECIMAL(12,4)", True),
        ("DECIMAL(10,2)", "DECIMAL(10,4)", False),
        ("DECIMAL(10,2)", "DECIMAL(9,2)", False),
        ("BIGINT", "INT", False),
        ("BIGINT", "DOUBLE", False),
    ],
)
def test_a_type_is_wider_only_if_it_holds_every_value_of_the_other(before: str, after: str, wider: bool) -> None:
    old, new = (with_column(CASES, "reopen_count", physical_type=name) for name in (before, after))
    assert level(changes(old, new)) is (Level.ADDITIVE if wider else Level.BREAKING)


def test_a_stricter_severity_breaks_and_a_milder_one_does_not() -> None:
    (rule,) = CASES.column("handle_time_minutes").quality
    milder = with_column(CASES, "handle_time_minutes", quality=(replace(rule, severity=Severity.WARNING),))
    assert found(milder, CASES) == [
        (Level.BREAKING, "handle_time_minutes", "rule not_negative went from severity warning to error"),
    ]
    assert level(changes(CASES, milder)) is Level.ADDITIVE


def test_stop_is_the_strictest_severity() -> None:
    def of(severity: Severity) -> DatasetContract:
        rule = QualityRule(implementation="matches", severity=severity, arguments={"pattern": "x"})
        return with_column(CASES, "channel", quality=(rule,))

    without = with_column(CASES, "channel", quality=())
    assert found(without, of(Severity.STOP)) == [(Level.BREAKING, "channel", "rule matches of severity stop was added")]
    assert found(of(Severity.ERROR), of(Severity.STOP)) == [(Level.BREAKING, "channel", "rule matches went from severity error to stop")]
    assert level(changes(of(Severity.STOP), of(Severity.ERROR))) is Level.ADDITIVE
    assert level(changes(of(Severity.STOP), without)) is Level.ADDITIVE


def test_a_renamed_column_is_called_that() -> None:
    renamed = with_column(CASES, "channel", name="contact_channel")
    assert found(CASES, renamed) == [
        (Level.BREAKING, "channel", "was removed; it looks renamed to contact_channel, which readers of channel cannot know"),
        (Level.ADDITIVE, "contact_channel", "was added"),
    ]


def test_a_weaker_promise_breaks_and_a_stronger_one_does_not() -> None:
    promised = Objectives(freshness=timedelta(hours=1), retention=timedelta(days=30), error_rate_pct=1.0)
    base = replace(CASES, objectives=promised)
    for weaker in (
        {"freshness": timedelta(hours=2)},
        {"freshness": None},
        {"retention": timedelta(days=7)},
        {"error_rate_pct": 5.0},
    ):
        other = replace(base, objectives=replace(promised, **weaker))  # type: ignore[arg-type]
        assert level(changes(base, other)) is Level.BREAKING, weaker
        assert level(changes(other, base)) is Level.ADDITIVE, weaker


def test_a_group_that_may_no_longer_read_is_named() -> None:
    fewer = replace(CASES, reader_groups=("data_engineering",))
    assert found(CASES, fewer) == [(Level.BREAKING, "", "MT-dpm-data-eng no longer among its readers")]


def test_no_declared_contract_differs_from_itself() -> None:
    assert [dataset.name for dataset in load_contracts() if changes(dataset, dataset)] == []


def test_a_row_filter_takes_rows_from_readers_and_its_end_gives_them_back() -> None:
    filtered = with_column(CASES, "status", row_filter=RowFilter.REGION)
    assert found(CASES, filtered) == [(Level.BREAKING, "status", "now filters rows by region: its readers will see their own alone")]
    assert found(filtered, CASES) == [(Level.ADDITIVE, "status", "filters no rows any more")]
