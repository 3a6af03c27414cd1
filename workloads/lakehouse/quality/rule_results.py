"""How many rows broke each rule, batch by batch: what the account of a batch found out, spread over rows."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import DatasetContract, contract
from lakehouse.quality.accounting import FAILED
from lakehouse.quality.rules import JudgedRule, contract_rules
from lakehouse.schema import from_values
from lakehouse.silver.typed import typing_rules

RESULTS = "platform.rule_results"


def silver_rules(silver: DatasetContract) -> list[JudgedRule]:
    """Every rule that rows of a landing file are judged by."""
    return [*typing_rules(silver), *(rule for rule, _ in contract_rules(silver))]


def rule_results(
    spark: SparkSession, files: Sequence[Row], rules: Sequence[JudgedRule], dataset: DatasetContract, *, batch_id: int, run_id: str
) -> DataFrame:
    """Collected rows of the account → a row for each of their files and each rule, in the columns of platform.rule_results.

    Rules that no row breaks are there, too: a rule without figures is one that was not asked.
    """
    values = [
        {
            "dataset": dataset.name,
            "batch_id": batch_id,
            "source_file": file["source_file"],
            "rule": rule.name,
            "severity": str(rule.severity),
            "rows_checked": file["rows_in"],
            "rows_failed": failed,
            "run_id": run_id,
        }
        for file in files
        for rule, failed in zip(rules, file[FAILED], strict=True)
    ]
    return from_values(spark, contract(RESULTS), values).withColumn("recorded_ts", F.current_timestamp())


def of_topic(partitions: Sequence[Row], topic: str) -> list[Row]:
    """The accounts of a topic's partitions as one: a stream has a batch every few seconds, and nobody asks about one partition."""
    if not partitions:
        return []
    failed = [sum(counts) for counts in zip(*[row[FAILED] for row in partitions], strict=True)]
    return [Row(source_file=topic, rows_in=sum(row["rows_in"] for row in partitions), **{FAILED: failed})]
