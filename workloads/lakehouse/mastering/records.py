"""The records of all sources in one shape, from the silver tables."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.mastering.rules import CONTACTS, CUSTOMERS, Rules

SOURCE = "source"
RECORD_ID = "record_id"
NAME = "record"
UPDATED = "updated_ts"


def records(customers: DataFrame, contacts: DataFrame, rules: Rules) -> DataFrame:
    """One row a living customer and one a contact: source, record id, their name `source:id`, time, and every column a rule speaks of."""
    living = customers.where(~F.col("is_deleted"))
    return _shaped(living, CUSTOMERS, rules).unionByName(_shaped(contacts, CONTACTS, rules))


def _shaped(rows: DataFrame, source: str, rules: Rules) -> DataFrame:
    ids = [name for rule in rules.identity.ids for name in (rule.contact, rule.customer, rule.unless) if name]
    matched = [name for rule in rules.identity.matches for name in (*rule.columns, rule.agree_on) if name]
    record_id = F.col(rules.sources[source].record_id)
    columns = [
        F.col(name) if name in rows.columns else F.lit(None).cast("string").alias(name)
        for name in dict.fromkeys([*ids, *matched, *rules.fields])
    ]
    return rows.select(
        F.lit(source).alias(SOURCE),
        record_id.alias(RECORD_ID),
        F.concat(F.lit(f"{source}:"), record_id).alias(NAME),
        UPDATED,
        *columns,
    )
