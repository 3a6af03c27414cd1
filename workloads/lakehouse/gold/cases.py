"""case_metrics: volumes, SLA breaches, handle time and reopenings by case type and status."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import contract
from lakehouse.schema import column_names

# Statuses of a case that still needs somebody.
OPEN = ("OPEN", "IN_PROGRESS")


def case_metrics(cases: DataFrame) -> DataFrame:
    """One row a case type and status. An open case breaches once its due time is before `as_of`, the latest change among all cases, also
    where it was resolved before and opened again. One that is done breaches by its `resolved_ts`; without one nobody can tell, so it counts
    as a case but not as one with a due time.

    Measured against the data's own time, the same cases give the same figures whenever they are computed.
    """
    as_of = cases.agg(F.max("updated_ts").alias("as_of"))
    dated = cases.crossJoin(F.broadcast(as_of))
    until = F.when(F.col("status").isin(*OPEN), F.col("as_of")).otherwise(F.col("resolved_ts"))
    breached = until > F.col("sla_due_ts")
    reopened = F.coalesce("reopen_count", F.lit(0)) > 0
    grouped = dated.groupBy("case_type", "status", "as_of").agg(
        F.count("*").alias("cases"),
        F.count(breached).alias("cases_with_sla"),
        F.count_if(F.coalesce(breached, F.lit(False))).alias("sla_breached"),
        F.avg("handle_time_minutes").alias("avg_handle_time_minutes"),
        F.count_if(reopened).alias("cases_reopened"),
    )
    percent = grouped.withColumns(
        {
            "sla_breach_pct": F.try_divide(100.0 * F.col("sla_breached"), F.col("cases_with_sla")),
            "reopen_rate_pct": 100.0 * F.col("cases_reopened") / F.col("cases"),
        }
    )
    return percent.select(*column_names(contract("operations.case_metrics")))
