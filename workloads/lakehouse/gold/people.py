"""Identity and the marts that hang on it: customer_identity, customer_360, fact_service and customer_service_view."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import contract
from lakehouse.gold.changes import AMDM, CMDM, JARVIS, PEGA, SFDC, Silver, keys_of, touched_customers
from lakehouse.gold.customer_360 import customer_360
from lakehouse.gold.publish import GONE, apply, publish
from lakehouse.gold.service import customer_service_view, fact_service
from lakehouse.gold.surrogate import surrogate_key
from lakehouse.mastering.identity import CUSTOMER_ID, EVIDENCE, resolved
from lakehouse.mastering.records import RECORD_ID, SOURCE, records
from lakehouse.mastering.rules import load_rules
from lakehouse.mastering.survivorship import survivors
from lakehouse.names import Catalogs

IDENTITY = "customer.customer_identity"
PEOPLE = "customer.customer_360"


@dataclass(frozen=True, kw_only=True)
class Touched:
    """What may have changed: people by `customer_id`, services by `service_id`."""

    people: DataFrame
    services: DataFrame


def publish_people(spark: SparkSession, catalogs: Catalogs, tables: Silver, changed: DataFrame) -> None:
    """Brings the four marts to what silver says, for what `changed` may have touched.

    Who is who is worked out anew for everybody, for one new e-mail can join two old groups; only what came out otherwise is written, and
    only the people concerned are mastered again.
    """
    rules = load_rules()
    # Checkpoints rather than persist(): every mart below joins these with each other, and Spark plans a persisted DataFrame from its roots.
    found = resolved(records(tables[CMDM], tables[SFDC], rules), rules).localCheckpoint()
    moved = identity_changes(found, spark.read.table(catalogs.table(contract(IDENTITY)).dotted)).localCheckpoint()
    accounts = found.where(F.col(SOURCE) == CMDM).select(F.col(RECORD_ID).alias("account_id"), F.col(CUSTOMER_ID).alias("customer_id"))
    touched = touch(found, moved, changed, tables)
    _publish_360(catalogs, tables, survivors(_these(found, touched.people, CUSTOMER_ID), rules), accounts, touched)
    _publish_services(spark, catalogs, tables, accounts, touched)
    # Last, so that a run that broke off before finds the same people moved again.
    apply(moved, contract(IDENTITY), catalogs)


def identity_changes(found: DataFrame, published: DataFrame) -> DataFrame:
    """Rows of customer_identity that differ from the published ones, with `_gone` and `_was`, the customer a record was before."""
    now = found.select(
        SOURCE, RECORD_ID, F.col(CUSTOMER_ID).alias("customer_id"), F.col(EVIDENCE).alias("evidence"), F.lit(True).alias("_now")
    )
    before = published.select(SOURCE, RECORD_ID, F.col("customer_id").alias("_was"), F.col("evidence").alias("_evidence"))
    both = now.join(before, [SOURCE, RECORD_ID], "full_outer").withColumn(GONE, F.col("_now").isNull())
    same = F.col("customer_id").eqNullSafe(F.col("_was")) & F.col("evidence").eqNullSafe(F.col("_evidence"))
    return both.where(F.col(GONE) | ~same).drop("_now", "_evidence")


def touch(found: DataFrame, moved: DataFrame, changed: DataFrame, tables: Silver) -> Touched:
    """From changed rows and moved records to people and services, each a checkpoint."""
    of_cmdm = touched_customers(changed, tables[CMDM]).select(F.lit(CMDM).alias(SOURCE), F.col("customer_id").alias(RECORD_ID))
    of_sfdc = keys_of(changed, SFDC, RECORD_ID).select(F.lit(SFDC).alias(SOURCE), RECORD_ID)
    whose = found.join(of_cmdm.unionAll(of_sfdc), [SOURCE, RECORD_ID], "left_semi").select(F.col(CUSTOMER_ID).alias("customer_id"))
    people = whose.unionAll(moved.select("customer_id")).unionAll(moved.select("_was")).where("customer_id IS NOT NULL").distinct()
    people = people.localCheckpoint()
    theirs = _these(found.where(F.col(SOURCE) == CMDM), people, CUSTOMER_ID).select(F.col(RECORD_ID).alias("account_id"))
    accounts = theirs.unionAll(of_cmdm.select(RECORD_ID)).unionAll(moved.where(F.col(SOURCE) == CMDM).select(RECORD_ID)).distinct()
    held = tables[JARVIS].join(accounts, "account_id", "left_semi").select("service_id")
    spoken_of = changed.where("service_id IS NOT NULL").select("service_id")
    return Touched(people=people, services=held.unionAll(spoken_of).distinct().localCheckpoint())


def _publish_360(catalogs: Catalogs, tables: Silver, people: DataFrame, accounts: DataFrame, touched: Touched) -> None:
    theirs = accounts.join(touched.people, "customer_id", "left_semi")
    keys = touched.people.select(surrogate_key("customer_id").alias("customer_sk"))
    publish(customer_360(people, theirs, tables[AMDM], tables[JARVIS], tables[PEGA]), keys, contract(PEOPLE), catalogs)


def _publish_services(spark: SparkSession, catalogs: Catalogs, tables: Silver, accounts: DataFrame, touched: Touched) -> None:
    people = spark.read.table(catalogs.table(contract(PEOPLE)).dotted)
    keys = touched.services
    these = tables[JARVIS].join(keys, "service_id", "left_semi")
    cases = tables[PEGA].join(keys, "service_id", "left_semi")
    publish(fact_service(these, accounts, people, tables[AMDM]), keys, contract("customer.fact_service"), catalogs)
    publish(customer_service_view(these, accounts, people, cases), keys, contract("customer.customer_service_view"), catalogs)


def _these(rows: DataFrame, people: DataFrame, column: str) -> DataFrame:
    return rows.join(people.withColumnRenamed("customer_id", column), column, "left_semi")
