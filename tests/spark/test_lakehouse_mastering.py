"""Who is who and whose value counts, for whole tables: as declared, and the same for shuffled rows."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import contract
from lakehouse.mastering.identity import CUSTOMER_ID, EVIDENCE, resolved
from lakehouse.mastering.records import records
from lakehouse.mastering.rules import load_rules
from lakehouse.mastering.survivor import Record, survivor
from lakehouse.mastering.survivorship import survivors
from tests.spark.lakehouse_fixtures import spark

__all__ = ["spark"]
RULES = load_rules()
DAY = datetime(2025, 6, 2)
Values = dict[str, object]


def silver(spark: SparkSession, name: str, rows: Sequence[Values]) -> DataFrame:
    """Rows of a silver table; hashes follow from e-mail and phone, as there."""
    columns = [column for column in contract(name).columns if not column.platform]
    hashed = [{"is_deleted": False, "updated_ts": DAY, **row} for row in rows]
    for row in hashed:
        row.update({f"{kind}_hash": f"h({row[kind]})" for kind in ("email", "phone") if row.get(kind)})
    shape = ", ".join(f"{column.name}: {column.physical_type}" for column in columns)
    return spark.range(1).select(F.inline(F.from_json(F.lit(json.dumps(hashed, default=str)), f"array<struct<{shape}>>")))


def resolve(spark: SparkSession, customers: Sequence[Values], contacts: Sequence[Values]) -> DataFrame:
    return resolved(records(silver(spark, "cmdm.customer_silver", customers), silver(spark, "sfdc.contact_silver", contacts), RULES), RULES)


def ann(customer_id: str, **changes: object) -> Values:
    return {"customer_id": customer_id, "first_name": "Ann", "last_name": "Lee", "email": "lee@x.au", "phone": "+61412345678", **changes}


def contact(contact_id: str, **changes: object) -> Values:
    return {"contact_id": contact_id, "first_name": "Ann", "last_name": "Lee", "email": "lee@x.au", "phone": "+61412345678", **changes}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """Records, the customer that each of them is, and the evidence for it where the case is about that."""

    customers: Sequence[Values]
    contacts: Sequence[Values] = ()
    people: Mapping[str, str | None]
    evidence: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)


BOB = ann("2", first_name="Bob", email="bob@x.au", phone=None)
STRANGER = {"email": "new@x.au", "phone": None}
CASES: dict[str, Case] = {
    "a family that shares e-mail and phone stays a family": Case(
        customers=[ann("1"), ann("2", first_name="Bob"), ann("3", first_name="Cleo"), ann("4", last_name="Li")],
        people={f"cmdm:{number}": str(number) for number in range(1, 5)},
    ),
    "the same name with the same e-mail is one person under the smallest id": Case(
        customers=[ann("2"), ann("1", first_name="ANN", phone="+61298765432"), ann("3", email="other@x.au", phone=None)],
        people={"cmdm:1": "1", "cmdm:2": "1", "cmdm:3": "3"},
    ),
    "father and son of one name on one landline stay two": Case(
        customers=[ann("1"), ann("2", email="son@x.au")], people={"cmdm:1": "1", "cmdm:2": "2"}
    ),
    "one of them without an e-mail is the other": Case(customers=[ann("1"), ann("2", email=None)], people={"cmdm:1": "1", "cmdm:2": "1"}),
    "as many records as a rule allows are evidence": Case(
        customers=[ann(str(number)) for number in range(1, 5)], people={f"cmdm:{number}": "1" for number in range(1, 5)}
    ),
    "what more records hold than a rule allows is no evidence": Case(
        customers=[ann(str(number)) for number in range(1, 6)], people={f"cmdm:{number}": str(number) for number in range(1, 6)}
    ),
    "a contact belongs to the customer it names even where its hashes say another": Case(
        customers=[ann("1"), BOB], contacts=[contact("n", customer_id="2")], people={"cmdm:1": "1", "cmdm:2": "2", "sfdc:n": "2"}
    ),
    "a customer that names a contact has it": Case(
        customers=[ann("1", sfdc_contact_id="n")], contacts=[contact("n", **STRANGER)], people={"cmdm:1": "1", "sfdc:n": "1"}
    ),
    "unless the contact names another": Case(
        customers=[ann("1", sfdc_contact_id="n")],
        contacts=[contact("n", customer_id="9", **STRANGER)],
        people={"cmdm:1": "1", "sfdc:n": None},
    ),
    "unless two do": Case(
        customers=[ann("1", sfdc_contact_id="n"), {**BOB, "sfdc_contact_id": "n"}],
        contacts=[contact("n", **STRANGER)],
        people={"cmdm:1": "1", "cmdm:2": "2", "sfdc:n": None},
    ),
    "what one has by e-mail and the other by phone are two": Case(
        customers=[ann("1", phone=None), ann("2", email=None)], people={"cmdm:1": "1", "cmdm:2": "2"}
    ),
    "a contact without any id is found by name and hash and can join two customers": Case(
        customers=[ann("1", phone=None), ann("2", email=None)],
        contacts=[contact("n")],
        people={"cmdm:1": "1", "cmdm:2": "1", "sfdc:n": "1"},
        evidence={
            "cmdm:2": ["same_phone_and_name sfdc:n"],
            "sfdc:n": ["same_email_and_name cmdm:1", "same_phone_and_name cmdm:2"],
        },
    ),
    "a deleted customer is nobody": Case(
        customers=[ann("1", is_deleted=True)], contacts=[contact("n", customer_id="1")], people={"sfdc:n": None}
    ),
}


def apart(number: int, row: Values) -> Values:
    """A row of one case, so that it meets no row of another: ids begin with the number of the case, names end with it."""
    ids = {name: f"{number:02d}.{row[name]}" for name in ("customer_id", "contact_id", "sfdc_contact_id") if row.get(name)}
    return {**row, **ids, "last_name": f"{row['last_name']}{number:02d}"}


def test_records_are_one_person_or_several_as_the_rules_have_it(spark: SparkSession) -> None:
    customers = [apart(number, row) for number, case in enumerate(CASES.values()) for row in case.customers]
    contacts = [apart(number, row) for number, case in enumerate(CASES.values()) for row in case.contacts]
    found = [(re.findall(r":([0-9]{2})\.", row["record"])[0], row) for row in resolve(spark, customers, contacts).collect()]
    wrong: list[tuple[str, object, object]] = []
    for number, (name, case) in enumerate(CASES.items()):
        prefix = f"{number:02d}."
        rows = {row["record"].replace(prefix, ""): row for of, row in found if of == prefix[:-1]}
        people = {record: row[CUSTOMER_ID] and row[CUSTOMER_ID].removeprefix(prefix) for record, row in rows.items()}
        evidence = {record: [each.replace(prefix, "") for each in rows[record][EVIDENCE]] for record in case.evidence if record in rows}
        wrong += [(name, people, case.people)] if people != case.people else []
        wrong += [(name, evidence, case.evidence)] if evidence != case.evidence else []
    assert wrong == []


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[list[Values], list[Values]]]:
    """Customers and contacts of few names, e-mails and phones, so that everything meets everything."""
    pick = random.Random(7)

    def someone(**ids: object) -> Values:
        return {
            "first_name": pick.choice(["Ann", "ann", "Bob", None]),
            "last_name": pick.choice(["Lee", "Li"]),
            "email": pick.choice([f"e{number}@x.au" for number in range(25)] + [None] * 8),
            "phone": pick.choice([f"+6140000{number:04d}" for number in range(25)] + ["0412", None]),
            "updated_ts": DAY + timedelta(days=pick.randrange(4)),
            **ids,
        }

    customers = [
        someone(
            customer_id=f"{number:02d}",
            amdm_addr_id=pick.choice(["A", "B", None]),
            sfdc_contact_id=pick.choice([None, f"n{pick.randrange(30):02d}"]),
            is_deleted=number % 11 == 0,
        )
        for number in range(60)
    ]
    contacts = [
        someone(contact_id=f"n{number:02d}", customer_id=pick.choice([None, None, f"{pick.randrange(70):02d}"])) for number in range(30)
    ]
    yield customers, contacts


def as_record(row: Row) -> Record:
    return Record(
        source=row["source"], record_id=row["record_id"], updated=row["updated_ts"], values={name: row[name] for name in RULES.fields}
    )


def test_spark_masters_as_plain_python_does_and_shuffled_rows_give_the_same(
    spark: SparkSession, world: tuple[list[Values], list[Values]]
) -> None:
    customers, contacts = world
    found = resolve(spark, customers, contacts)
    rows = sorted((row for row in found.collect() if row[CUSTOMER_ID]), key=lambda row: row[CUSTOMER_ID])
    mastered = {row["customer_id"]: row for row in survivors(found, RULES).collect()}
    groups = {key: [as_record(row) for row in group] for key, group in itertools.groupby(rows, key=lambda row: row[CUSTOMER_ID])}
    assert mastered.keys() == groups.keys() and max(map(len, groups.values())) > 2
    for key, said in groups.items():
        assert mastered[key]["records"] == sorted(record.name for record in said)
        for field, rule in RULES.fields.items():
            decision = survivor(field, rule, said)
            expected = (decision.value, decision.record.name, decision.reason) if decision else (None, None, None)
            assert tuple(mastered[key][name] for name in (field, f"{field}_from", f"{field}_reason")) == expected, (key, field)
    pick = random.Random(11)
    shuffled = resolve(spark, pick.sample(customers, len(customers)), pick.sample(contacts, len(contacts)))
    assert {row["customer_id"]: row for row in survivors(shuffled.repartition(5), RULES).collect()} == mastered
    assert {row["record"]: (row[CUSTOMER_ID], row[EVIDENCE]) for row in shuffled.collect()} == {
        row["record"]: (row[CUSTOMER_ID], row[EVIDENCE]) for row in found.orderBy(F.rand(3)).collect()
    }
