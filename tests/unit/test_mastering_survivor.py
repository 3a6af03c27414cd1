"""Which values survive: the same whatever the order of the records, and always with a reason that holds."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.contracts import ContractError
from lakehouse.mastering.__main__ import main as explain_job
from lakehouse.mastering.explain import explained
from lakehouse.mastering.groups import connected
from lakehouse.mastering.rules import Criterion, FieldRule, load_rules, read_rules
from lakehouse.mastering.survivor import Record, survivor

DAY = datetime(2025, 6, 2)
RULES = load_rules()
VALUES = st.none() | st.sampled_from(["a", "b", "+61412345678", "0412"])
RECORDS = st.lists(
    st.builds(
        Record,
        source=st.sampled_from(["cmdm", "sfdc"]),
        record_id=st.sampled_from(["1", "2", "3", "4", "5"]),
        updated=st.integers(0, 3).map(lambda days: DAY + timedelta(days=days)),
        values=st.fixed_dictionaries(dict.fromkeys(RULES.fields, VALUES)),
    ),
    max_size=6,
    unique_by=lambda record: record.name,
)
FIELDS = st.sampled_from(sorted(RULES.fields))


def record(source: str, record_id: str = "1", day: int = 0, **values: str | None) -> Record:
    everything = {name: values.get(name) for name in RULES.fields}
    return Record(source=source, record_id=record_id, updated=DAY + timedelta(days=day), values=everything)


def won(field: str, *records: Record) -> tuple[str, str]:
    decision = survivor(field, RULES.fields[field], records)
    assert decision is not None
    return decision.record.name, decision.reason


@given(st.data(), RECORDS, FIELDS)
def test_the_order_of_records_makes_no_difference(data: st.DataObject, records: list[Record], field: str) -> None:
    shuffled = data.draw(st.permutations(records))
    assert survivor(field, RULES.fields[field], shuffled) == survivor(field, RULES.fields[field], records)


@given(RECORDS, FIELDS)
def test_a_value_wins_exactly_where_an_allowed_source_has_one(records: list[Record], field: str) -> None:
    allowed = [item for item in records if item.source in RULES.fields[field].sources and item.values[field] is not None]
    decision = survivor(field, RULES.fields[field], records)
    assert (decision is None) == (not allowed)
    if decision:
        assert decision.record in allowed and decision.value == decision.record.values[field]
        assert {item.name for item, _ in decision.lost} == {item.name for item in allowed if item.values[field] != decision.value}


@given(RECORDS, FIELDS)
def test_without_the_winning_value_the_best_loser_wins(records: list[Record], field: str) -> None:
    decision = survivor(field, RULES.fields[field], records)
    if decision and decision.lost:
        without = [item for item in records if item.values[field] != decision.value]
        following = survivor(field, RULES.fields[field], without)
        assert following is not None and following.record == decision.lost[0][0]


def test_each_criterion_decides_where_it_stands_in_the_order() -> None:
    assert won("first_name", record("cmdm", first_name="Ann"), record("sfdc", day=3, first_name="Anne")) == ("cmdm:1", "source")
    assert won("email", record("cmdm", email="a@x"), record("sfdc", day=1, email="b@x")) == ("sfdc:1", "recency")
    assert won("email", record("cmdm", email="a@x"), record("sfdc", email="b@x")) == ("cmdm:1", "source")
    full, bare = record("cmdm", "2", first_name="Ann", email="a@x"), record("cmdm", "1", first_name="Anne")
    assert won("first_name", full, bare) == ("cmdm:2", "completeness")
    good, recent = record("cmdm", phone="+61412345678"), record("sfdc", day=9, phone="call me")
    assert won("phone", good, recent) == ("cmdm:1", "valid")
    assert won("email", record("cmdm", "2", email="b@x"), record("cmdm", "1", email="a@x")) == ("cmdm:1", "record_id")


def test_a_null_never_wins_and_a_source_that_may_not_speak_is_not_heard() -> None:
    assert won("email", record("cmdm", day=9), record("sfdc", email="b@x")) == ("sfdc:1", "only_value")
    assert won("email", record("cmdm", email="b@x"), record("sfdc", email="b@x")) == ("cmdm:1", "agreed")
    assert survivor("amdm_addr_id", RULES.fields["amdm_addr_id"], [record("sfdc", amdm_addr_id="A")]) is None


def test_an_explanation_names_records_evidence_winner_and_what_decided_against_the_others() -> None:
    said = [record("sfdc", "n1", day=1, email="new@example.com"), record("cmdm", "c1", email="old@example.com", first_name="Ann")]
    evidence = {"cmdm:c1": [], "sfdc:n1": ["contact_names_customer cmdm:c1"]}
    lines = explained("c1", said, evidence, RULES, show_values=True)
    assert lines[:6] == [
        "Customer c1 by the rules 1.0.0",
        "  cmdm:c1  changed 2025-06-02 00:00:00  stands by itself",
        "  sfdc:n1  changed 2025-06-03 00:00:00  contact_names_customer cmdm:c1",
        "first_name: Ann from cmdm:c1 (the only value)",
        "last_name: no record has a value",
        "email: new@example.com from sfdc:n1 (recency)",
    ]
    assert lines[6] == "  not old@example.com from cmdm:c1: recency"
    assert not any("example" in line for line in explained("c1", said, evidence, RULES))


@given(st.data(), st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=4), max_size=8))
def test_groups_are_named_by_their_smallest_record_whatever_the_order_of_links(data: st.DataObject, links: list[list[str]]) -> None:
    found = connected(links)
    shuffled = data.draw(st.permutations([data.draw(st.permutations(link)) for link in links]))
    assert connected(shuffled) == found
    assert all(len({found[name] for name in link}) == 1 for link in links)
    for name, root in found.items():
        assert root == min(other for other in found if found[other] == found[name])


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=3), max_size=8))
def test_records_without_a_chain_of_links_stay_apart(links: list[list[str]]) -> None:
    found = connected(links)
    for name in found:
        reached = {name}
        while (more := reached | {other for link in links if reached & set(link) for other in link}) != reached:
            reached = more
        assert reached == {other for other in found if found[other] == found[name]}


TEXT = """
version: 1.0.0
sources: {cmdm: {dataset: cmdm.customer_silver, record_id: customer_id}, sfdc: {dataset: sfdc.contact_silver, record_id: contact_id}}
identity: {ids: [], matches: [{name: m, columns: [email_hash, first_name], at_most: 4}]}
fields: {email: {sources: [cmdm, sfdc], order: [recency]}}
"""


def test_rules_are_read_whole() -> None:
    assert read_rules(TEXT).fields["email"] == FieldRule(sources=("cmdm", "sfdc"), order=(Criterion.RECENCY,))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("order: [recency]", "order: [age]", r"fields\.email\.order\.0: Input should be 'source', 'recency', 'completeness' or 'valid'"),
        ("order: [recency]", "order: [recency, recency]", r"fields\.email: Value error, order names a criterion twice"),
        ("order: [recency]", "order: [valid]", r"fields\.email: .*order has `valid` exactly where the pattern `valid` is given"),
        ("fields: {email", "fields: {amdm_addr_id", r"sfdc\.contact_silver has no column 'amdm_addr_id'"),
        ("[cmdm, sfdc]", "[cmdm, pega]", r"'pega' is not one of the sources cmdm, sfdc"),
        ("[email_hash, first_name]", "[email_hash]", r"identity\.matches\.0\.columns: .*at least 2 items"),
        ("at_most: 4", "at_most: 1", r"identity\.matches\.0\.at_most: Input should be greater than or equal to 2"),
        ("at_most", "atmost", r"identity\.matches\.0\.at_most: Field required"),
        ("version: 1.0.0", "version: '1'", r"version: String should match pattern"),
        ("fields:", "\tfields:", "not YAML"),
    ],
)
def test_broken_rules_are_refused_with_file_and_key(old: str, new: str, said: str) -> None:
    with pytest.raises(ContractError, match=rf"^mastering/rules\.yaml: .*{said}"):
        read_rules(TEXT.replace(old, new, 1))


def test_the_explanation_asks_for_a_customer() -> None:
    with pytest.raises(SystemExit, match="explain_customer: the following arguments are required: --customer_id"):
        explain_job(["explain", "--raw_catalog=r"])
