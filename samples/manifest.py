"""What the platform must make of the deliveries, counted without the platform: the tests compare the two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from samples.delivery import Delivered, Delivery


@dataclass(kw_only=True)
class Expected:
    """Follows the state of every key over the days, one file a batch."""

    state: dict[str, dict[str, tuple[datetime, tuple[object, ...]]]] = field(default_factory=dict)
    versions: dict[str, dict[datetime, tuple[object, ...]]] = field(default_factory=dict)

    def take(self, delivery: Delivery) -> dict[str, object]:
        """Counts of one file, and of the tables after it."""
        state = self.state.setdefault(delivery.dataset, {})
        outcomes: Counter[str] = Counter(written=0, duplicate=0, superseded=0, quarantined=0)
        reasons: Counter[str] = Counter()
        for row in delivery.rows:
            if row.broken:
                outcomes["quarantined"] += 1
                reasons[row.broken] += 1
        for group in _by_key(delivery.rows).values():
            self._outcomes(group, state, outcomes)
        if delivery.system == "cmdm":
            for row in delivery.rows:
                if not row.broken:
                    self.versions.setdefault(row.key, {})[row.sequence] = row.content
        return {
            "system": delivery.system,
            "rows": len(delivery.rows),
            "outcomes": dict(outcomes),
            "quarantined_by_reason": dict(sorted(reasons.items())),
            "table_rows_after": len(state),
        }

    def _outcomes(self, group: list[Delivered], state: dict[str, tuple[datetime, tuple[object, ...]]], outcomes: Counter[str]) -> None:
        distinct = {(row.sequence, row.content) for row in group}
        winner = max(distinct, key=lambda version: version[0])
        outcomes["duplicate"] += len(group) - len(distinct)
        outcomes["superseded"] += len(distinct) - 1
        key = group[0].key
        known = state.get(key)
        if known is None or winner[0] > known[0]:
            state[key] = winner
            outcomes["written"] += 1
        else:
            outcomes["duplicate" if winner == known else "superseded"] += 1

    def history(self) -> dict[str, int]:
        """Rows of the customer dimensions: a version that changes nothing is none."""
        rows = deleted = 0
        for versions in self.versions.values():
            previous: tuple[object, ...] | None = None
            for _, content in sorted(versions.items()):
                rows += content != previous
                previous = content
            deleted += previous is not None and previous[-1] == "DELETE"
        customers = len(self.versions)
        return {
            "scd2_rows": rows,
            "scd2_current_rows": customers,
            "scd2_deleted_customers": deleted,
            "dim_customer_rows": customers - deleted,
        }


def _by_key(rows: Sequence[Delivered]) -> dict[str, list[Delivered]]:
    found: dict[str, list[Delivered]] = {}
    for row in rows:
        if not row.broken:
            found.setdefault(row.key, []).append(row)
    return found
