"""Parameters, names, DDL and the wheel's promise to run anywhere."""

from __future__ import annotations

import ast
import importlib
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.contracts import Kind, contract, of_system
from lakehouse.ddl import add_columns, create_table, literal, sought_columns
from lakehouse.jobs.parameters import parse
from lakehouse.names import Catalogs, TableName

WORKLOADS = Path(__file__).parents[2] / "workloads"
GIVEN = ["--raw_catalog=dev_ep_raw", "--curated_catalog=dev_ep_curated", "--marts_catalog=dev_ep_marts", "--ai_catalog=dev_ep_ai"]


def refused(capsys: pytest.CaptureFixture[str], job: str, *arguments: str, **kinds: bool) -> str:
    with pytest.raises(SystemExit) as ended:
        parse(job, arguments, **kinds)
    assert capsys.readouterr().err == ""
    return str(ended.value.code)


def test_a_job_reads_its_parameters() -> None:
    found = parse("bronze", [*GIVEN, "--system=pega", "--run_id=17"], system=True)
    assert (found.system, found.run_id, found.catalogs.curated) == ("pega", "17", "dev_ep_curated")


def test_a_run_without_an_id_makes_one_up() -> None:
    assert parse("gold", GIVEN).run_id != parse("gold", GIVEN).run_id


def test_an_unknown_parameter_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert "unrecognized arguments: --colour=red" in refused(capsys, "gold", *GIVEN, "--colour=red")


def test_an_abbreviated_parameter_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--raw_catalog" in refused(capsys, "gold", "--raw=x", *GIVEN[1:])


def test_a_missing_system_and_an_unknown_one_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "required: --system" in refused(capsys, "bronze", *GIVEN, system=True)
    assert "invalid choice: 'siebel'" in refused(capsys, "bronze", *GIVEN, "--system=siebel", system=True)


def test_a_retention_that_would_hurt_readers_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "from 168 up" in refused(capsys, "maintenance", *GIVEN, "--retention_hours=24", retention=True)
    assert parse("maintenance", [*GIVEN, "--retention_hours=720"], retention=True).retention_hours == 720


def test_corrections_are_read_and_anything_else_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    found = parse("replay_quarantine", [*GIVEN, '--corrections={"status": {"ACTVE": "ACTIVE"}}', "--dry_run=true"], replay=True)
    assert (found.corrections, found.dry_run, found.reason) == ({"status": {"ACTVE": "ACTIVE"}}, True, "")
    assert parse("replay_quarantine", [*GIVEN, "--corrections="], replay=True).corrections == {}
    assert "is no JSON" in refused(capsys, "replay_quarantine", *GIVEN, "--corrections={", replay=True)
    for wrong in ("[]", '{"status": "ACTIVE"}', '{"status": {"ACTVE": 1}}'):
        assert "is not of the form" in refused(capsys, "replay_quarantine", *GIVEN, f"--corrections={wrong}", replay=True)


def test_nobody_accepts_a_batch_without_saying_which_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--batch_run_id: says nothing" in refused(capsys, "accept_batch", *GIVEN, "--batch_run_id=", "--reason=x", acceptance=True)
    assert "--reason: says nothing" in refused(capsys, "accept_batch", *GIVEN, "--batch_run_id=7", "--reason= ", acceptance=True)


def test_figures_look_back_a_week_and_fail_a_run_on_request_only(capsys: pytest.CaptureFixture[str]) -> None:
    found = parse("quality_kpis", GIVEN, kpis=True)
    assert (found.window_days, found.enforce) == (7, False)
    assert parse("quality_kpis", [*GIVEN, "--window_days=30", "--enforce=true"], kpis=True).enforce is True
    assert "is no number of days from 1 to 30" in refused(capsys, "quality_kpis", *GIVEN, "--window_days=31", kpis=True)


def test_a_catalog_name_that_is_sql_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "is no catalog name" in refused(capsys, "gold", "--raw_catalog=x; DROP", *GIVEN[1:])


def test_names_follow_layer_and_volume() -> None:
    catalogs = Catalogs(raw="r", curated="c", marts="m", ai="a")
    silver = of_system("amdm", Kind.SILVER)
    assert str(catalogs.table(silver)) == "`c`.`amdm`.`address_silver`"
    assert catalogs.landing("amdm") == "/Volumes/r/amdm/landing/"
    assert catalogs.checkpoint(silver) == "/Volumes/r/platform/checkpoints/amdm.address_silver/"


def test_ddl_carries_types_nullability_comments_partitions_and_version() -> None:
    accounting = contract("platform.batch_accounting")
    made = create_table(accounting, TableName(catalog="c", schema="platform", table="batch_accounting"))
    assert made.startswith("CREATE TABLE IF NOT EXISTS `c`.`platform`.`batch_accounting` (")
    assert "`rows_in` BIGINT NOT NULL COMMENT 'Rows read from bronze'" in made
    assert "PARTITIONED BY (`system`)" in made
    assert f"'contract.version' = '{accounting.version}'" in made


def test_statistics_are_kept_of_columns_that_rows_are_looked_up_by_and_of_no_others() -> None:
    silver = contract("cmdm.customer_silver")
    assert sought_columns(silver) == ("customer_id", "amdm_addr_id", "sfdc_contact_id", "updated_ts", "_ingest_ts")
    made = create_table(silver, TableName(catalog="c", schema="cmdm", table="customer_silver"))
    assert "'delta.dataSkippingStatsColumns' = 'customer_id,amdm_addr_id,sfdc_contact_id,updated_ts,_ingest_ts'" in made


def test_a_partition_column_has_no_statistics_of_its_own() -> None:
    accounting = contract("platform.batch_accounting")
    assert "system" in accounting.key
    assert "system" not in sought_columns(accounting)


def test_added_columns_are_nullable_whatever_the_contract_requires() -> None:
    column = contract("platform.batch_accounting").column("rows_in")
    added = add_columns(TableName(catalog="c", schema="s", table="t"), [column])
    assert added == "ALTER TABLE `c`.`s`.`t` ADD COLUMNS (`rows_in` BIGINT COMMENT 'Rows read from bronze')"


@given(st.text())
def test_a_literal_ends_only_at_its_own_end(text: str) -> None:
    body = literal(text)[1:-1]
    assert "'" not in body.replace("\\\\", "").replace("\\'", "")
    assert body.replace("\\\\", "\0").replace("\\'", "'").replace("\0", "\\") == text or "\0" in text


def test_every_entry_point_of_the_wheel_is_a_callable() -> None:
    scripts = tomllib.loads((WORKLOADS / "pyproject.toml").read_text())["project"]["scripts"]
    quality = {"replay_quarantine", "accept_batch", "quality_kpis"}
    operations = {"backfill", "reconcile", "explain_customer", "maintenance"}
    assert set(scripts) == {"migrate", "bronze", "silver", "gold", "rag_build_idx", "stream_contact_events", *quality, *operations}
    for name, target in scripts.items():
        module, function = target.split(":")
        assert (module, function) == (f"lakehouse.jobs.{name}", "main")
        assert callable(getattr(importlib.import_module(module), function))


def test_the_wheel_opens_no_file_and_names_no_place() -> None:
    for file in (WORKLOADS / "lakehouse").rglob("*.py"):
        source = file.read_text()
        assert not {"127.0.0.1", "localhost", "local_estate"} & set(source.replace('"', " ").split()), file
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
        assert "open" not in {call.func.id for call in calls if isinstance(call.func, ast.Name)}, file
