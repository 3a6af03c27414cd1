"""Which records are one person: contacts by id, then customers and the contacts left over by declared evidence."""

from __future__ import annotations

import json
from functools import reduce

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.mastering.groups import connected
from lakehouse.mastering.records import NAME, SOURCE
from lakehouse.mastering.rules import CONTACTS, CUSTOMERS, IdRule, MatchRule, Rules

CUSTOMER_ID = "identity_customer_id"
EVIDENCE = "identity_evidence"
_ANCHOR = "_anchor"
_PLACED_BY = "_placed_by"


def resolved(found: DataFrame, rules: Rules) -> DataFrame:
    """Records → with `identity_customer_id` (the smallest CMDM id among the records of the person; null without a living customer) and
    `identity_evidence` (what joined the record to others; empty where it stands alone).

    Customers of one person are few: what evidence joins is collected and grouped in the driver, everything else stays in the cluster.
    """
    placed = _placed(found, rules)
    links = _links(placed.where(F.col(_PLACED_BY).isNull()), rules)
    anchored = placed.join(F.broadcast(_groups(found.sparkSession, links)), F.col(_ANCHOR) == F.col("_member"), "left")
    root = F.coalesce("_root", _ANCHOR)
    prefix = f"{CUSTOMERS}:"
    evidence = F.when(F.col(_PLACED_BY).isNotNull(), F.array(F.concat_ws(" ", F.col(_PLACED_BY), F.col(_ANCHOR)))).otherwise(
        F.coalesce("_evidence", F.array().cast("array<string>"))
    )
    return anchored.withColumns(
        {CUSTOMER_ID: F.when(root.startswith(prefix), F.substr(root, F.lit(len(prefix) + 1))), EVIDENCE: evidence}
    ).drop(_ANCHOR, _PLACED_BY, "_member", "_root", "_evidence")


def _placed(found: DataFrame, rules: Rules) -> DataFrame:
    """With `_anchor`, the record itself or the customer that an id rule places it with, and `_placed_by`, the rule's name."""
    customers = found.where(F.col(SOURCE) == CUSTOMERS)
    rows = found
    for position, rule in enumerate(rules.identity.ids):
        rows = rows.join(_named_once(customers, rule, position), _asks(rule) & (F.col(rule.contact) == F.col(f"_asked_{position}")), "left")
    hits = [(rule, F.col(f"_customer_{position}")) for position, rule in enumerate(rules.identity.ids)]
    dropped = [name for position in range(len(hits)) for name in (f"_asked_{position}", f"_customer_{position}")]
    return rows.withColumns(
        {
            _ANCHOR: F.coalesce(*[hit for _, hit in hits], F.col(NAME)),
            _PLACED_BY: F.coalesce(*[F.when(hit.isNotNull(), F.lit(rule.name)) for rule, hit in hits]),
        }
    ).drop(*dropped)


def _named_once(customers: DataFrame, rule: IdRule, position: int) -> DataFrame:
    """Values of the rule's customer column that exactly one customer has."""
    held = customers.where(F.col(rule.customer).isNotNull()).groupBy(F.col(rule.customer).alias(f"_asked_{position}"))
    return held.agg(F.count("*").alias("_holders"), F.min(NAME).alias(f"_customer_{position}")).where("_holders = 1").drop("_holders")


def _asks(rule: IdRule) -> SparkColumn:
    asks = F.col(SOURCE) == CONTACTS
    return asks & F.col(rule.unless).isNull() if rule.unless else asks


def _links(free: DataFrame, rules: Rules) -> list[tuple[str, list[str]]]:
    """`(rule, records)` for every evidence that holds, in an order of its own."""
    keys = free.select(NAME, F.inline(F.array_compact(F.array(*[_key(rule) for rule in rules.identity.matches]))))
    held = keys.groupBy("rule", "key", "at_most").agg(
        F.sort_array(F.collect_list(NAME)).alias("records"), F.size(F.collect_set("agreed")).alias("opinions")
    )
    evidence = held.where("size(records) BETWEEN 2 AND at_most AND opinions <= 1").select("rule", "records")
    return sorted((str(row["rule"]), list(row["records"])) for row in evidence.collect())


def _key(rule: MatchRule) -> SparkColumn:
    """What a record must share with another by a rule; null where it lacks a column. Letter case tells no two people apart."""
    complete = reduce(lambda one, other: one & other, [F.col(name).isNotNull() for name in rule.columns])
    key = F.struct(
        F.lit(rule.name).alias("rule"),
        F.to_json(F.struct(*[F.upper(name).alias(name) for name in rule.columns])).alias("key"),
        F.lit(rule.at_most).alias("at_most"),
        (F.col(rule.agree_on) if rule.agree_on else F.lit(None).cast("string")).alias("agreed"),
    )
    return F.when(complete, key)


def _groups(spark: SparkSession, links: list[tuple[str, list[str]]]) -> DataFrame:
    roots = connected(members for _, members in links)
    evidence: dict[str, list[str]] = {name: [] for name in roots}
    for rule, members in links:
        for name in members:
            evidence[name] += [f"{rule} {other}" for other in members if other != name]
    rows = [{"_member": name, "_root": roots[name], "_evidence": evidence[name]} for name in sorted(roots)]
    # Not createDataFrame(), which would start Python workers.
    shape = "array<struct<_member: string, _root: string, _evidence: array<string>>>"
    return spark.range(1).select(F.inline(F.from_json(F.lit(json.dumps(rows)), shape)))
