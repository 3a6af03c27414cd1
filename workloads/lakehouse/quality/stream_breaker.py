"""The circuit breaker of a stream: messages of which too much breaks the contract stop it, before they are written.

Files are held back between silver and the marts, by run. A stream has no such gate: whoever reads the events reads them as they come.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from lakehouse.append import MicroBatch
from lakehouse.contracts import DatasetContract, contract
from lakehouse.names import Catalogs
from lakehouse.quality.accounting import FAILED, BatchTotals
from lakehouse.quality.breaker import ACCOUNT
from lakehouse.quality.rules import JudgedRule
from lakehouse.quality.stop import Stop, hold

RULE = "error_rate_pct"
# A batch may have a handful of messages: fewer broken ones than these are no rate.
FEWEST = 20
_REASONS = 3


def hold_poor(
    spark: SparkSession,
    catalogs: Catalogs,
    sums: BatchTotals,
    account: Sequence[Row],
    rules: Sequence[JudgedRule],
    events: DatasetContract,
    at: MicroBatch,
    *,
    topic: str,
    run_id: str,
) -> None:
    """Raises BatchStopped where the batch, or the run with it, is beyond the `errorRate` of its contract, unless the batch was accepted."""
    allowed = events.objectives.error_rate_pct
    if allowed is None or not sums.quarantined:
        return
    before_in, before_broken = _of_run(spark, catalogs, events, at, run_id)
    looked_at = {
        "this batch": (sums.quarantined, sums.rows_in),
        "this run": (sums.quarantined + before_broken, sums.rows_in + before_in),
    }
    poor = [(what, broken, rows) for what, (broken, rows) in looked_at.items() if beyond(broken, rows, allowed)]
    if not poor:
        return
    what, broken, rows = poor[0]
    counts = [sum(int(row[FAILED][position]) for row in account) for position in range(len(rules))]
    worst = sorted(zip(counts, rules, strict=True), key=lambda found: (-found[0], found[1].name))[:_REASONS]
    reasons = ", ".join(f"{rule.name} ({count})" for count, rule in worst if count)
    said = (
        f"{events.name}: {broken} of {rows} messages of {what} ({100 * broken / rows:.2f} %) break the contract, the limit is "
        f"{allowed:g} % (errorRate). Most often: {reasons}. Nothing of this batch was written, and the next run tries it again. If the "
        "producer means its messages so, release a contract that allows them. If they are lost, accept the batch (job accept_batch with "
        f"system={events.system}, batch_run_id={run_id} and a reason): they go to the dead letters, the others are written. Then start "
        "this job again. See docs/runbooks/the-stream.md"
    )
    stop = Stop(dataset=events.name, source_file=topic, rule=RULE, rows_failed=broken, example_key="{}", reason=f"limit {allowed:g} %")
    hold(spark, catalogs, [stop], events, at, said, run_id=run_id)


def beyond(broken: int, rows: int, allowed_pct: float) -> bool:
    return broken >= FEWEST and 100 * broken > allowed_pct * rows


def _of_run(spark: SparkSession, catalogs: Catalogs, events: DatasetContract, at: MicroBatch, run_id: str) -> tuple[int, int]:
    """Messages and broken ones of the run's batches before this one, which a first attempt may have accounted for."""
    account = spark.read.table(catalogs.table(contract(ACCOUNT)).dotted)
    mine = (F.col("system") == events.system) & (F.col("dataset") == events.name) & (F.col("run_id") == run_id)
    found = account.where(mine & (F.col("batch_id") < F.lit(at.batch_id))).agg(F.sum("rows_in"), F.sum("rows_quarantined")).first()
    return (int(found[0] or 0), int(found[1] or 0)) if found else (0, 0)
