"""Says why a customer has the values it has: the records that are this person, what joined them, and what decided each field."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import contract
from lakehouse.mastering.records import NAME, RECORD_ID, SOURCE, UPDATED, records
from lakehouse.mastering.rules import CONTACTS, CUSTOMERS, Rules, load_rules
from lakehouse.mastering.survivor import Decision, Record, survivor
from lakehouse.names import Catalogs


class UnknownCustomer(LookupError):
    """No record of that id belongs to a living customer."""


def explain(spark: SparkSession, catalogs: Catalogs, customer_id: str, *, show_values: bool = False) -> list[str]:
    """Lines to print. `customer_id` is a CMDM id, merged away or not, or the id of an SFDC contact. Values are personal: shown on demand.

    Raises UnknownCustomer.
    """
    rules = load_rules()
    identity = spark.read.table(catalogs.table(contract("customer.customer_identity")).dotted)
    known = identity.where((F.col(RECORD_ID) == customer_id) & F.col("customer_id").isNotNull()).select("customer_id").distinct()
    members = identity.join(known, "customer_id", "left_semi").select(SOURCE, RECORD_ID, "customer_id", "evidence").collect()
    if not members:
        raise UnknownCustomer(
            f"{customer_id} is no record of a living customer in {catalogs.table(contract('customer.customer_identity')).dotted}. "
            "Give the id of a customer in CMDM or of a contact in SFDC; what came in after the last run of gold_marts is not there yet"
        )
    evidence = {f"{row[SOURCE]}:{row[RECORD_ID]}": list(row["evidence"]) for row in members}
    said = _said(_silver(spark, catalogs, rules), sorted(evidence), rules)
    return explained(str(members[0]["customer_id"]), said, evidence, rules, show_values=show_values)


def explained(
    customer_id: str, said: Sequence[Record], evidence: Mapping[str, Sequence[str]], rules: Rules, *, show_values: bool = False
) -> list[str]:
    """The same for records at hand."""
    show: Callable[[str], str] = str if show_values else hidden
    lines = [f"Customer {customer_id} by the rules {rules.version}"]
    for record in sorted(said, key=lambda record: record.name):
        joined = "; ".join(evidence[record.name]) or "stands by itself"
        lines.append(f"  {record.name}  changed {record.updated:%Y-%m-%d %H:%M:%S}  {joined}")
    for name, rule in rules.fields.items():
        decision = survivor(name, rule, said)
        lines += _of_field(decision, show) if decision else [f"{name}: no record has a value"]
    return lines


def hidden(value: str) -> str:
    """Enough to see that two values differ in length or beginning, too little to know them."""
    return f"{value[:1]}… ({len(value)} characters)"


def _of_field(decision: Decision, show: Callable[[str], str]) -> list[str]:
    reasons = {"only_value": "the only value", "agreed": "all records agree", "record_id": "all criteria equal, smaller record id"}
    why = reasons.get(decision.reason, decision.reason)
    lines = [f"{decision.field}: {show(decision.value)} from {decision.record.name} ({why})"]
    for record, reason in decision.lost:
        lines.append(f"  not {show(str(record.values[decision.field]))} from {record.name}: {reasons.get(reason, reason)}")
    return lines


def _silver(spark: SparkSession, catalogs: Catalogs, rules: Rules) -> DataFrame:
    customers, contacts = (
        spark.read.table(catalogs.table(contract(rules.sources[source].dataset)).dotted) for source in (CUSTOMERS, CONTACTS)
    )
    return records(customers, contacts, rules)


def _said(silver: DataFrame, names: Sequence[str], rules: Rules) -> list[Record]:
    rows = silver.where(F.col(NAME).isin(*names)).select(SOURCE, RECORD_ID, UPDATED, *rules.fields).collect()
    return [
        Record(source=row[SOURCE], record_id=row[RECORD_ID], updated=row[UPDATED], values={name: row[name] for name in rules.fields})
        for row in rows
    ]
