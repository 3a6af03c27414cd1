"""Who is who and whose value counts, for whole tables: as declared, and the same for shuffled rows."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Sequence
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


def people(spark: SparkSession, customers: Sequence[Values], contacts: Sequence[Values] = ()) -> dict[str, str | None]:
    return {row["record"]: row[CUSTOMER_ID] for row in resolve(spark, customers, contacts).collect()}


def ann(customer_id: str, **changes: object) -> Values:
    return {"customer_id": customer_id, "first_name": "Ann", "last_name": "Lee", "email": "lee@x.au", "phone": "+61412345678", **changes}


def contact(contact_id: str, **changes: object) -> Values:
    return {"contact_id": contact_id, "first_name": "Ann", "last_name": "Lee", "email": "lee@x.au", "phone": "+61412345678", **changes}


def test_a_family_that_shares_e_mail_and_phone_stays_a_family(spark: SparkSession) -> None:
    family = [ann("1"), ann("2", first_name="Bob"), ann("3", first_name="Cleo"), ann("4", last_name="Li")]
    assert people(spark, family) == {f"cmdm:{number}": str(number) for number in range(1, 5)}


def test_the_same_name_with_the_same_e_mail_is_one_person_under_the_smallest_id(spark: SparkSession) -> None:
    found = people(spark, [ann("2"), ann("1", first_name="ANN", phone="+61298765432"), ann("3", email="other@x.au", phone=None)])
    assert found == {"cmdm:1": "1", "cmdm:2": "1", "cmdm:3": "3"}


def test_father_and_son_of_one_name_on_one_landline_stay_two(spark: SparkSession) -> None:
    assert people(spark, [ann("1"), ann("2", email="son@x.au")]) == {"cmdm:1": "1", "cmdm:2": "2"}
    assert people(spark, [ann("1"), ann("2", email=None)]) == {"cmdm:1": "1", "cmdm:2": "1"}


def test_what_more_records_hold_than_a_rule_allows_is_no_evidence(spark: SparkSession) -> None:
    assert set(people(spark, [ann(str(number)) for number in range(1, 5)]).values()) == {"1"}
    assert len(set(people(spark, [ann(str(number)) for number in range(1, 6)]).values())) == 5


def test_a_contact_belongs_to_the_customer_it_names_even_where_its_hashes_say_another(spark: SparkSession) -> None:
    bob = ann("2", first_name="Bob", email="bob@x.au", phone=None)
    assert people(spark, [ann("1"), bob], [contact("n", customer_id="2")]) == {"cmdm:1": "1", "cmdm:2": "2", "sfdc:n": "2"}


def test_a_customer_that_names_a_contact_has_it_unless_the_contact_names_another_or_two_do(spark: SparkSession) -> None:
    one, two = ann("1", sfdc_contact_id="n"), ann("2", first_name="Bob", email="bob@x.au", phone=None, sfdc_contact_id="n")
    stranger = {"email": "new@x.au", "phone": None}
    assert people(spark, [one], [contact("n", **stranger)])["sfdc:n"] == "1"
    assert people(spark, [one], [contact("n", customer_id="9", **stranger)])["sfdc:n"] is None
    assert people(spark, [one, two], [contact("n", **stranger)])["sfdc:n"] is None


def test_a_contact_without_any_id_is_found_by_name_and_hash_and_can_join_two_customers(spark: SparkSession) -> None:
    customers = [ann("1", phone=None), ann("2", email=None)]
    assert people(spark, customers) == {"cmdm:1": "1", "cmdm:2": "2"}
    found = {row["record"]: row for row in resolve(spark, customers, [contact("n")]).collect()}
    assert {row[CUSTOMER_ID] for row in found.values()} == {"1"}
    assert found["cmdm:2"][EVIDENCE] == ["same_phone_and_name sfdc:n"]
    assert found["sfdc:n"][EVIDENCE] == ["same_email_and_name cmdm:1", "same_phone_and_name cmdm:2"]


def test_a_deleted_customer_is_nobody(spark: SparkSession) -> None:
    assert people(spark, [ann("1", is_deleted=True)], [contact("n", customer_id="1")]) == {"sfdc:n": None}


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
