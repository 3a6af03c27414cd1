"""Judges the quarantined rows of one system again and moves on what keeps its contract now."""

from __future__ import annotations

from lakehouse.jobs.parameters import parse
from lakehouse.jobs.session import session
from lakehouse.quality.replay import replay
from lakehouse.silver.batch import SilverTables


def main() -> None:
    parameters = parse("replay_quarantine", system=True, replay=True)
    tables = SilverTables.of(parameters.system)
    done = replay(
        session(),
        parameters.catalogs,
        tables,
        run_id=parameters.run_id,
        reason=parameters.reason,
        corrections=parameters.corrections,
        dry_run=parameters.dry_run,
    )
    released = f"{done.written} written + {done.duplicate} duplicate + {done.superseded} superseded"
    said = f"{done.released + done.held} quarantined rows judged again = {released} + {done.held} still held"
    print(f"{parameters.catalogs.table(tables.silver).dotted}: {said}{' (dry run: nothing was changed)' if parameters.dry_run else ''}")


if __name__ == "__main__":
    main()
