"""The sample generator: seeded, realistic, and its own accountant."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from lakehouse.contracts import SYSTEMS, Kind, of_system
from samples.by_hand import of_day
from samples.generate import generate, main
from samples.world import places


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Path, dict[str, Any]]]:
    made = {}
    for day in (1, 2):
        out = tmp_path_factory.mktemp(f"day{day}")
        made[day] = (out, generate(out, day=day, rows=2000, broken=day == 1))
    return made


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        generate(tmp_path / name, day=2, rows=200, seed=seed)
    for file in (path for path in (tmp_path / "a").rglob("*") if path.is_file()):
        assert file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()
    assert (tmp_path / "a/cmdm/customer_20250603.csv").read_bytes() != (tmp_path / "c/cmdm/customer_20250603.csv").read_bytes()


def test_each_system_has_its_file_in_the_contract_s_format_and_columns(days: dict[int, tuple[Path, dict[str, Any]]]) -> None:
    out, manifest = days[1]
    for dataset in manifest["datasets"].values():
        file = out / dataset["file"]
        bronze = of_system(dataset["system"], Kind.BRONZE)
        assert bronze.landing and file.name == f"{bronze.landing.file_prefix}_20250602.{bronze.landing.format}"
        lines = file.read_text().splitlines()
        names = [column.name for column in bronze.declared_columns]
        if bronze.landing.format == "csv":
            assert lines[0].split(",") == names
            assert len(lines) - 1 == dataset["rows"]
        else:
            assert all(set(json.loads(line)) <= set(names) for line in lines)
            assert len(lines) == dataset["rows"]
    by_hand = {file.parts[0] for file in of_day(1)}
    assert {dataset["system"] for dataset in manifest["datasets"].values()} | by_hand == set(SYSTEMS)


def test_every_row_has_an_outcome(days: dict[int, tuple[Path, dict[str, Any]]]) -> None:
    for day, (_, manifest) in days.items():
        for dataset in manifest["datasets"].values():
            assert sum(dataset["outcomes"].values()) == dataset["rows"]
            assert sum(dataset["quarantined_by_reason"].values()) == dataset["outcomes"]["quarantined"] > 0
            assert dataset["outcomes"]["superseded"] > 0
            assert day == 2 or dataset["outcomes"]["duplicate"] > 0


def test_day_two_brings_new_columns_late_rows_and_more_history(days: dict[int, tuple[Path, dict[str, Any]]]) -> None:
    out, manifest = days[2]
    rows = list(csv.DictReader((out / "cmdm/customer_20250603.csv").read_text().splitlines()))
    assert "loyalty_tier" in rows[0]
    assert any(row["updated_ts"] < "2025-06-02" and row["last_name"].endswith("-Late") for row in rows)
    assert manifest["customers"]["scd2_rows"] > days[1][1]["customers"]["scd2_rows"]
    assert manifest["customers"]["scd2_current_rows"] == manifest["datasets"]["cmdm.customer_silver"]["table_rows_after"]


def test_some_territory_postcodes_lost_their_zero(days: dict[int, tuple[Path, dict[str, Any]]]) -> None:
    rows = list(csv.DictReader((days[1][0] / "amdm/address_20250602.csv").read_text().splitlines()))
    codes = {row["post_cd"] for row in rows if row["state"].upper() in ("NT", "NORTHERN TERRITORY")}
    assert any(re.fullmatch("8[0-9]{2}", code) for code in codes)
    assert any(re.fullmatch("08[0-9]{2}", code) for code in codes)


def test_the_systems_refer_to_each_other(days: dict[int, tuple[Path, dict[str, Any]]]) -> None:
    out = days[1][0]

    def read(name: str) -> list[dict[str, str]]:
        return list(csv.DictReader((out / name).read_text().splitlines()))

    customers = {row["customer_id"] for row in read("cmdm/customer_20250602.csv")}
    addresses = {row["amdm_addr_id"] for row in read("amdm/address_20250602.csv")}
    services = {row["service_id"] for row in read("jarvis/service_20250602.csv")}
    contacts = [json.loads(line) for line in (out / "sfdc/contact_20250602.json").read_text().splitlines()]
    cases = [json.loads(line) for line in (out / "pega/case_20250602.json").read_text().splitlines()]
    assert {row["amdm_addr_id"] for row in read("cmdm/customer_20250602.csv") if row["amdm_addr_id"]} <= addresses
    assert {row["account_id"] for row in read("jarvis/service_20250602.csv") if row["account_id"]} <= customers
    assert {case["customer_id"] for case in cases} <= customers
    assert {case["service_id"] for case in cases if "service_id" in case} <= services
    assert {contact["customer_id"] for contact in contacts if "customer_id" in contact} <= customers


def test_broken_files_are_what_the_manifest_says(days: dict[int, tuple[Path, dict[str, Any]]]) -> None:
    out, manifest = days[1]
    by_reason = {file["reason"]: out / file["file"] for file in manifest["broken_files"]}
    assert by_reason["file: is empty"].stat().st_size == 0
    with pytest.raises(UnicodeDecodeError):
        by_reason["row: is not valid UTF-8 text"].read_text(encoding="utf-8")
    assert not by_reason["updated_ts: is required"].read_text().endswith("\n")


def test_places_are_of_the_states_their_postcodes_say() -> None:
    first = {"NSW": "2", "VIC": "3", "QLD": "4", "SA": "5", "WA": "6", "TAS": "7", "NT": "0", "ACT": "2"}
    assert len(places()) >= 150
    assert all(re.fullmatch("[0-9]{4}", place.postcode) and place.postcode[0] == first[place.state] for place in places())


def test_a_size_too_small_for_every_kind_of_row_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path), "--day", "1", "--rows", "10"])
    assert "--rows 10: at least 100" in capsys.readouterr().err
