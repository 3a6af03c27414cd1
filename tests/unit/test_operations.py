"""Operations, the parts that need no Spark: parameters, what differs, how far a stream has come."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lakehouse.contracts import contract, load_contracts
from lakehouse.jobs import backfill, explain_customer, reconcile
from lakehouse.maintenance.readers import Commit, Position, first_unread, has_rows, next_version, streams
from lakehouse.maintenance.upkeep import kept_hours
from lakehouse.mastering.__main__ import main as mastering
from lakehouse.operations.backfill import reason
from lakehouse.operations.reconcile import Difference, compared_columns

GIVEN = ["--raw_catalog=r", "--curated_catalog=c", "--marts_catalog=m", "--ai_catalog=a", "--run_id=7"]
WHEEL = Path(__file__).parents[2] / "workloads" / "lakehouse"
NOW = datetime(2025, 6, 20, tzinfo=UTC)
TABLE = "0b9a6f2e-table"


def refused(capsys: pytest.CaptureFixture[str], main: Callable[[Sequence[str]], None], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*GIVEN, *arguments])
    assert capsys.readouterr().err == "", "what is wrong is the error of the run"
    return str(ended.value.code)


def test_jobs_started_with_what_the_stack_has_by_default_say_what_they_need(capsys: pytest.CaptureFixture[str]) -> None:
    """Job parameters that nobody gave arrive as empty strings."""
    empty = ["--system=cmdm", "--from=", "--to=", "--parallel=2", "--dry_run=false", "--backfill="]
    assert "--from: '' is no day (YYYY-MM-DD)" in refused(capsys, backfill.main, *empty)
    empty = ["--table=", "--from_version=", "--to_version=", "--columns=declared", "--tolerance_pct=0", "--json=false"]
    assert "--table: names no table" in refused(capsys, reconcile.main, *empty)
    assert "--customer_id: says nothing" in refused(capsys, explain_customer.main, "--customer_id=")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--system=cmdm", "--to=2025-06-01"], "required: --from"),
        (["--system=cmdm", "--from=2025-06-02", "--to=2025-06-01"], "--from=2025-06-02 is after --to=2025-06-01"),
        (["--system=cmdm", "--from=2025-02-30", "--to=2025-06-01"], "'2025-02-30' is no day"),
        (["--system=cmdm", "--from=2025-06-01", "--to=2025-06-01", "--parallel=17"], "'17' is no number of days from 1 to 16"),
        (["--system=", "--from=2025-06-01", "--to=2025-06-01"], "--system: invalid choice: ''"),
        (["--system=cmdm", "--from=2025-06-01", "--to=2025-06-01", "--colour=red"], "unrecognized arguments: --colour=red"),
    ],
)
def test_a_backfill_of_nothing_sensible_is_refused(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    assert said in refused(capsys, backfill.main, *arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--table=cmdm.customer", "--from_version=1"], "cmdm.customer is not declared. Did you mean cmdm.customer_"),
        (["--table=cmdm.customer_silver"], "required: --from_version"),
        (["--table=cmdm.customer_silver", "--from_version=first"], "'first' is no version of a table"),
        (["--table=cmdm.customer_silver", "--from_version=1", "--tolerance_pct=101"], "'101' is no percentage"),
        (["--table=cmdm.customer_silver", "--from_version=1", "--tolerance_pct=nan"], "'nan' is no percentage"),
    ],
)
def test_a_comparison_of_nothing_is_refused(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    assert said in refused(capsys, reconcile.main, *arguments)


def test_the_job_shows_no_values_and_a_session_of_ones_own_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "unrecognized arguments: --show_values=true" in refused(capsys, explain_customer.main, "--customer_id=C1", "--show_values=true")
    shown: list[bool] = []
    monkeypatch.setattr(explain_customer, "session", lambda: None)
    monkeypatch.setattr(explain_customer, "explain", lambda *_, show_values: shown.append(show_values) or ["told"])
    for more in ([], ["--show_values=true"]):
        mastering(["explain", *GIVEN, "--customer_id=C1", *more])
    explain_customer.main([*GIVEN, "--customer_id=C1"])
    assert shown == [False, True, False]


def test_the_reason_a_day_failed_is_the_line_with_sparks_condition() -> None:
    trace = "An error occurred while calling o47.sql.\n: org.apache.spark.SparkException: [TASK_WRITE_FAILED] Task failed.\n\tat org.apache"
    cause = (
        "\nCaused by: DeltaInvariantViolationException: [DELTA_VIOLATE_CONSTRAINT] CHECK constraint closed violated by row:\n - name : Ann"
    )
    assert reason(RuntimeError(trace + cause)) == "[DELTA_VIOLATE_CONSTRAINT] CHECK constraint closed violated by row:"
    assert reason(OSError("the disk is full\nand more")) == "the disk is full"


def difference(**counts: int) -> Difference:
    given = dict.fromkeys(("from_version", "to_version", "rows_before", "rows_after", "added", "removed", "changed", "repeated"), 0)
    return Difference(table="c.s.t", **{**given, **counts})


def test_a_difference_is_in_percent_of_the_larger_version() -> None:
    assert difference(rows_before=50, rows_after=40, removed=10, changed=5).percent == 30.0
    assert difference().percent == 0.0
    assert difference(rows_after=2, added=2).percent == 100.0
    told = json.loads(difference(rows_before=3, rows_after=3, changed=1).as_json())
    assert (told["differing"], told["differing_pct"], told["table"]) == (1, 33.3333, "c.s.t")
    lines = replace(difference(rows_before=3, rows_after=3, changed=1, repeated=2), columns={"phone": 1, "email": 0}).lines()
    assert lines[1:] == [
        "0 added, 0 removed, 1 changed (33.33 % of the rows)",
        "2 rows share their key with another",
        "  phone: differs in 1",
    ]


def test_what_the_platform_adds_to_a_row_is_compared_on_demand() -> None:
    silver = contract("cmdm.customer_silver")
    assert "_run_id" not in compared_columns(silver, everything=False)
    assert compared_columns(silver, everything=True)[-1] == "_run_id"


def offset(version: int, *, table: str = TABLE, snapshot: bool = False) -> str:
    other = {"sourceVersion": 1, "reservoirId": "another", "reservoirVersion": 99, "index": -1, "isStartingVersion": False}
    mine = {"sourceVersion": 1, "reservoirId": table, "reservoirVersion": version, "index": -1, "isStartingVersion": snapshot}
    return "\n".join(["v1", '{"batchWatermarkMs":0}', json.dumps(other), json.dumps(mine)])


def test_a_stream_reads_next_where_its_last_finished_batch_ended() -> None:
    offsets = {0: offset(3), 1: offset(5), 2: offset(8)}
    assert next_version(offsets, [0, 1], TABLE) == Position(version=5)
    assert next_version(offsets, [0, 1, 2], TABLE) == Position(version=8)
    assert next_version({0: offset(3, snapshot=True)}, [0], TABLE) == Position(version=3, snapshot=True)


def test_a_stream_whose_first_batch_never_finished_needs_the_snapshot_that_it_planned() -> None:
    assert next_version({0: offset(4)}, [], TABLE) == Position(version=3, snapshot=True)


def test_a_stream_that_reads_another_table_or_has_not_begun_holds_nothing_up() -> None:
    assert next_version({}, [], TABLE) is None
    assert next_version({0: offset(4, table="made anew")}, [0], TABLE) is None
    # Finished batches whose offsets Spark has cleaned up, and a source that had nothing then.
    assert next_version({7: 'v1\n{"batchWatermarkMs":0}\n-'}, [5, 6, 7], TABLE) is None


def commits(*days_ago: int, has_rows: bool = True) -> list[Commit]:
    return [Commit(version=version, at=NOW - timedelta(days=ago), has_rows=has_rows) for version, ago in enumerate(days_ago)]


def test_only_what_is_unread_and_older_than_the_retention_holds_a_vacuum_up() -> None:
    week = NOW - timedelta(days=7)
    story = commits(20, 10, 3)
    assert first_unread(story, Position(version=1), before=week) == story[1]
    assert first_unread(story, Position(version=2), before=week) is None
    assert first_unread(story, Position(version=3), before=week) is None
    # A stream that has read everything stays before OPTIMIZE and the like until something is delivered.
    assert first_unread(commits(20, 10, has_rows=False), Position(version=1), before=week) is None
    assert first_unread(commits(20, 10, has_rows=False), Position(version=1, snapshot=True), before=week) == Commit(
        version=1, at=NOW - timedelta(days=10), has_rows=False
    )


def test_a_commit_without_files_or_of_a_kind_without_rows_is_nothing_to_read() -> None:
    nothing = {"numTargetFilesAdded": "0", "numTargetFilesRemoved": "0", "numTargetChangeFilesAdded": "0", "numTargetRowsCopied": "0"}
    assert not has_rows("MERGE", nothing)
    assert has_rows("MERGE", {**nothing, "numTargetFilesAdded": "1"})
    assert not has_rows("STREAMING UPDATE", {"numAddedFiles": "0", "numRemovedFiles": "0", "numOutputRows": "0"})
    assert not has_rows("OPTIMIZE", {"numAddedFiles": "1", "numRemovedFiles": "9"})
    assert has_rows("RESTORE", {})
    taken_back = {"numTargetFilesAdded": "1", "numTargetFilesRemoved": "1"}
    assert has_rows("MERGE", taken_back)
    assert not has_rows("MERGE", taken_back, additions_only=True)


def test_maintenance_knows_every_stream_that_reads_a_table() -> None:
    """A module that follows another table appears here: then `streams` must name that table."""
    reading = {
        str(file.relative_to(WHEEL))
        for file in WHEEL.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "readStream"
    }
    files, tables = {"ingest/bronze.py", "streaming/connection.py"}, {"jobs/silver.py", "jobs/gold.py", "gold/changes.py"}
    assert reading == files | tables | {"jobs/stream_contact_events.py"}
    found = streams()
    assert found["cmdm.cmdm_bronze"] == ("cmdm.customer_silver",)
    assert found["cmdm.customer_history"] == ("customer.dim_customer_scd2",)
    assert found["sfdc.contact_silver"] == ("customer.dim_customer",)
    assert found["sfdc.contact_event_silver"] == ("sfdc.contact_interaction",)
    assert {name for filled in found.values() for name in filled} <= {dataset.name for dataset in load_contracts()}


def test_a_contract_may_keep_files_for_longer_and_says_so_in_words_we_know() -> None:
    silver = contract("cmdm.customer_silver")

    def keeping(asked: str) -> int:
        return kept_hours(replace(silver, table_properties={"delta.deletedFileRetentionDuration": asked}))

    assert kept_hours(silver) == 0
    assert [keeping(asked) for asked in ("interval 30 days", "interval 1 week", "Interval 200 hours", "2 days")] == [720, 168, 200, 48]
    with pytest.raises(ValueError, match=r"customer_silver\.yaml: delta\.deletedFileRetentionDuration: 'a while' is no time such as"):
        keeping("a while")
