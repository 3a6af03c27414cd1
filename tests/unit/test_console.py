"""The console's page and the row counts it takes from Delta logs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from local_estate.api.services.console.delta_log import last_append, live_rows, table_facts
from local_estate.api.services.console.facts import files_told, quality_by_layer
from local_estate.api.services.console.page import render


def _commit(table: Path, version: int, *actions: dict[str, object]) -> None:
    log = table / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    (log / f"{version:020}.json").write_text("\n".join(json.dumps(action) for action in actions))


def _add(path: str, rows: int | None, deleted: int = 0) -> dict[str, object]:
    add: dict[str, object] = {"path": path, "stats": json.dumps({"numRecords": rows} if rows is not None else {})}
    if deleted:
        add["deletionVector"] = {"pathOrInlineDv": f"v{deleted}", "offset": 1, "cardinality": deleted}
    return {"add": add}


def test_rows_are_those_of_the_live_files(tmp_path: Path) -> None:
    _commit(tmp_path, 0, {"metaData": {}}, _add("a", 10), _add("b", 5))
    _commit(tmp_path, 1, {"remove": {"path": "a"}}, _add("c", 7))
    facts = table_facts(tmp_path)
    assert facts is not None
    assert (facts.version, facts.rows, facts.files) == (1, 12, 2)


def test_rows_marked_by_a_deletion_vector_do_not_count(tmp_path: Path) -> None:
    _commit(tmp_path, 0, _add("a", 10))
    _commit(tmp_path, 1, {"remove": {"path": "a"}}, _add("a", 10, deleted=4))
    facts = table_facts(tmp_path)
    assert facts is not None
    assert (facts.rows, facts.files) == (6, 1)


def test_a_checkpoint_is_the_base_of_later_commits(tmp_path: Path) -> None:
    _commit(tmp_path, 3, _add("ignored: the checkpoint has it", 99))
    rows = [{"add": {"path": "a", "stats": json.dumps({"numRecords": 10})}}, {"add": None}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "_delta_log" / f"{3:020}.checkpoint.parquet")
    (tmp_path / "_delta_log" / "_last_checkpoint").write_text('{"version": 3}')
    _commit(tmp_path, 4, _add("b", 1))
    facts = table_facts(tmp_path)
    assert facts is not None
    assert (facts.version, facts.rows) == (4, 11)


def test_without_statistics_the_count_is_unknown_rather_than_wrong(tmp_path: Path) -> None:
    _commit(tmp_path, 0, _add("a", None), _add("b", 2))
    facts = table_facts(tmp_path)
    assert facts is not None
    assert facts.rows is None


def figure(dataset: str, kpi: str, value: float | None, result: str, layer: str = "curated") -> dict[str, object]:
    bounds = {"objective": 99.0, "sense": "at least", "gate": 97.0 if kpi == "pass_rate_pct" else None}
    return {"dataset": dataset, "kpi": kpi, "value": value, "result": result, "layer": layer, **bounds}


FIGURES = [
    figure("pega.case_silver", "pass_rate_pct", 98.5, "below target"),
    figure("cmdm.customer_silver", "pass_rate_pct", 99.5, "met"),
    figure("sfdc.contact_event_silver", "pass_rate_pct", None, "not measured"),
    figure("cmdm.customer_silver", "freshness_p95_seconds", 12.0, "met"),
    figure("pega.case_silver", "freshness_p95_seconds", 40.0, "met"),
    figure("cmdm.cmdm_bronze", "rows_most", 7.0, "met", "raw"),
]


def test_quality_is_by_layer_and_as_good_as_its_poorest_dataset() -> None:
    raw, curated = quality_by_layer("dev_ep_", FIGURES)
    assert raw == {
        "layer": "dev_ep_raw",
        "met": 1,
        "below_target": 0,
        "missed": 0,
        "not_measured": 0,
        "pass_rate_pct": None,
        "freshness_p95_seconds": None,
        "worst": "",
    }
    assert (curated["met"], curated["below_target"], curated["missed"], curated["not_measured"]) == (3, 1, 0, 1)
    assert (curated["pass_rate_pct"], curated["freshness_p95_seconds"]) == (98.5, 40.0)
    assert curated["worst"] == "pega.case_silver pass_rate_pct 98.5: below the target 99, above the gate 97"
    assert quality_by_layer("dev_ep_", []) == []


def test_what_is_missed_is_named_before_what_is_below_its_target() -> None:
    (curated,) = quality_by_layer("dev_ep_", [*FIGURES[:3], figure("sfdc.contact_silver", "pass_rate_pct", 90.0, "missed")])
    assert (curated["below_target"], curated["missed"]) == (1, 1)
    assert curated["worst"] == "sfdc.contact_silver pass_rate_pct 90: below the gate 97"
    (only,) = quality_by_layer("dev_ep_", [{**figure("x.y", "rows_fewest", 1.0, "missed"), "gate": None, "objective": 2.0}])
    assert only["worst"] == "x.y rows_fewest 1: missed, objective at least 2"


def receipt(file: str, outcome: str, day: int, reason: str | None = None) -> dict[str, object]:
    moment = datetime(2025, 6, day, 12, tzinfo=UTC)
    counts = dict.fromkeys(("bytes", "rows", "rows_accepted", "rows_quarantined"), 3)
    return {
        "system": "cmdm",
        "source_file": file,
        "landed_ts": moment,
        "recorded_ts": moment,
        "outcome": outcome,
        "reason": reason,
        **counts,
    }


RECEIPTS = [
    receipt("old.csv", "empty", 1),
    receipt("a.csv", "taken", 19),
    receipt("b.csv", "wrong header", 20, "header: lacks <b>"),
]


def test_files_are_told_in_a_line_for_the_week_before_the_newest_and_the_newest_of_them_first() -> None:
    told = files_told(RECEIPTS)
    assert told["told"] == "files 2: 1 taken, 1 wrong header"
    assert [file["file"] for file in told["newest"]] == ["b.csv", "a.csv"]
    assert told["newest"][0]["arrived"] == "2025-06-20 12:00:00 UTC"


def test_the_rows_of_a_table_are_those_of_its_live_files_with_their_partitions(tmp_path: Path) -> None:
    for name in ("one", "two two", "three"):
        pyarrow.parquet.write_table(pyarrow.table({"file": [name]}), tmp_path / name)
    _commit(tmp_path, 0, {"add": {"path": "one", "partitionValues": {"system": "cmdm"}}})
    _commit(tmp_path, 1, {"remove": {"path": "one"}}, {"add": {"path": "two%20two", "partitionValues": {"system": "cmdm"}}})
    assert live_rows(tmp_path) == [{"system": "cmdm", "file": "two two"}]
    add = {"add": {"path": "two%20two", "partitionValues": [("system", "cmdm")]}}
    schema = pyarrow.schema(
        [("add", pyarrow.struct([("path", pyarrow.string()), ("partitionValues", pyarrow.map_(*[pyarrow.string()] * 2))]))]
    )
    checkpoint = pyarrow.Table.from_pylist([add], schema=schema)
    pyarrow.parquet.write_table(checkpoint, tmp_path / "_delta_log" / f"{1:020}.checkpoint.parquet")
    (tmp_path / "_delta_log" / "_last_checkpoint").write_text('{"version": 1}')
    _commit(tmp_path, 2, {"add": {"path": "three", "partitionValues": {"system": "pega"}}})
    assert live_rows(tmp_path) == [{"system": "cmdm", "file": "two two"}, {"system": "pega", "file": "three"}]
    assert live_rows(tmp_path / "nowhere") == []


def test_the_last_append_is_that_of_the_last_commit_with_data_whatever_was_compacted_since(tmp_path: Path) -> None:
    for name in ("one", "two two", "compacted"):
        pyarrow.parquet.write_table(pyarrow.table({"run_id": [name]}), tmp_path / name)
    _commit(tmp_path, 0, {"add": {"path": "one", "dataChange": True}})
    _commit(tmp_path, 1, {"add": {"path": "two%20two", "dataChange": True}})
    _commit(tmp_path, 2, {"add": {"path": "compacted", "dataChange": False}})
    _commit(tmp_path, 3, {"commitInfo": {"operation": "SET TBLPROPERTIES"}})
    assert last_append(tmp_path) == [{"run_id": "two two"}]
    assert last_append(tmp_path / "nowhere") == []


@pytest.mark.parametrize("make", [False, True])
def test_a_directory_without_a_log_is_no_table(tmp_path: Path, make: bool) -> None:
    if make:
        (tmp_path / "_delta_log").mkdir()
    assert table_facts(tmp_path) is None


def test_the_page_escapes_what_it_shows_and_counts_what_it_lists() -> None:
    html = render(
        {
            "writes": 1234,
            "workspaces": [{"name": "<ws>", "workspace_url": "adb-1.1.azuredatabricks.net", "workspace_id": "7"}],
            "resources": {"Microsoft.Storage/storageAccounts": 2},
            "tables": [{"name": "c.s.<script>", "rows": 12345, "files": 1, "version": 0}],
            "quality": quality_by_layer("dev_ep_", FIGURES),
            "files": [{"environment": "dev_ep_", **files_told(RECEIPTS)}],
            "runs": [{"job": "bronze", "run_id": 9007199254740993, "result": "SUCCESS", "seconds": 1.25, "start_time": 0}],
        }
    )
    assert "<script>" not in html
    assert "c.s.&lt;script&gt;" in html
    assert "12,345" in html
    assert "9007199254740993" in html
    assert '<td class="SUCCESS">SUCCESS</td>' in html
    assert "1 of 1 succeeded" in html
    assert "dev_ep_: files 2: 1 taken, 1 wrong header in seven days" in html
    assert "header: lacks &lt;b&gt;" in html
    assert "dev_ep_curated" in html
    assert "pega.case_silver pass_rate_pct" in html
