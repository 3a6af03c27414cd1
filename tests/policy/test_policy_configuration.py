"""The lint of the enforcement files, and exemptions."""

from __future__ import annotations

import copy
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from guardrails import lint
from guardrails.controls import BY_NAME, CONTROLS
from guardrails.exemptions import BadExemption, Exemption, exemption_of

TODAY = date(2026, 11, 23)
ROW = {
    "urn": "urn:pulumi:dev::lakehouse::azure-native:storage:StorageAccount::legacy",
    "reason": "the old loader speaks TLS 1.1",
    "ticket": "MT-1234",
    "approver": "ciso",
    "expiry": "2026-12-31",
}


@pytest.fixture
def sound() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((lint.DIRECTORY / "dev.json").read_text())
    return copy.deepcopy(found)


def said(configuration: Any) -> str:
    return "\n".join(lint.problems(configuration, today=TODAY))


@pytest.mark.parametrize("stack", lint.STACKS)
def test_the_committed_configuration_is_sound(stack: str) -> None:
    assert lint.lint(lint.DIRECTORY / f"{stack}.json", today=TODAY) == []


def test_every_configuration_file_belongs_to_a_stack() -> None:
    assert {file.stem for file in lint.DIRECTORY.glob("*.json")} == set(lint.STACKS)


def test_a_misspelt_policy_is_an_error_and_the_real_one_is_missed(sound: dict[str, Any]) -> None:
    sound["st-01-https"] = sound.pop("st-01-https-only")
    assert "'st-01-https' is no policy of the pack" in said(sound)
    assert "st-01-https-only: is missing" in said(sound)


@pytest.mark.parametrize("level", ["disabled", "advisory", "mandatory", {"enforcementLevel": "disabled"}])
def test_one_switch_for_all_is_an_error(sound: dict[str, Any], level: Any) -> None:
    assert "'all' is not allowed" in said({**sound, "all": level})


@pytest.mark.parametrize("level", ["Mandatory", "on", "", None, 1, True, [], {"enforcementLevel": "strict"}, {}])
def test_a_level_the_engine_does_not_know_is_an_error(sound: dict[str, Any], level: Any) -> None:
    assert "st-01-https-only: enforcementLevel" in said({**sound, "st-01-https-only": level})


@pytest.mark.parametrize("level", ["advisory", "disabled", "remediate"])
def test_a_level_below_the_catalogues_is_an_error(sound: dict[str, Any], level: str) -> None:
    assert "weaker than 'mandatory', which ST-01 asks for" in said({**sound, "st-01-https-only": level})


@pytest.mark.parametrize("configuration", [[], "mandatory", None, 3])
def test_a_configuration_that_is_no_object_is_an_error(configuration: Any) -> None:
    assert said(configuration) == "must be an object of policy names"


@pytest.mark.parametrize("missing", ["allowedGroups"])
def test_an_empty_or_missing_allow_list_is_an_error(sound: dict[str, Any], missing: str) -> None:
    sound["uc-04-allow-listed-principals"][missing] = []
    assert "'allowedGroups' is missing or empty" in said(sound)


@pytest.mark.parametrize("entry", ["*", "account users", "jane@example.org", "MT-*"])
def test_an_allow_list_that_lets_everybody_in_is_an_error(sound: dict[str, Any], entry: str) -> None:
    sound["uc-04-allow-listed-principals"]["allowedGroups"].append(entry)
    assert f"'allowedGroups' holds {entry}" in said(sound)


def test_an_unknown_option_is_an_error(sound: dict[str, Any]) -> None:
    sound["uc-04-owner-privileges"]["ownerGroups"] = ["x"]
    assert "unknown option 'ownerGroups'" in said(sound)
    assert "unknown option 'allowedGroups'" in said({**sound, "cmp-02-cluster": {"enforcementLevel": "mandatory", "allowedGroups": []}})


def with_exemption(sound: dict[str, Any], row: Any) -> dict[str, Any]:
    return {**sound, "st-01-minimum-tls": {"enforcementLevel": "mandatory", "exemptions": [row]}}


def test_a_complete_exemption_is_sound(sound: dict[str, Any]) -> None:
    assert said(with_exemption(sound, ROW)) == ""


@pytest.mark.parametrize("name", sorted(ROW))
def test_an_exemption_lacking_a_field_is_an_error(sound: dict[str, Any], name: str) -> None:
    assert f"lacks {name}" in said(with_exemption(sound, {**ROW, name: " "}))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"expiry": "next year"}, "is not a date"),
        ({"expiry": "2026-11-22"}, "expired on 2026-11-22 (MT-1234)"),
        ({"urn": "*"}, "names no single resource"),
        ({"urn": "urn:pulumi:dev::lakehouse::*"}, "names no single resource"),
        ({"until": "2027"}, "unknown fields: until"),
    ],
)
def test_a_loose_or_expired_exemption_is_an_error(sound: dict[str, Any], change: dict[str, str], problem: str) -> None:
    assert problem in said(with_exemption(sound, {**ROW, **change}))


def test_a_key_said_twice_is_an_error_as_only_the_last_would_count(tmp_path: Path) -> None:
    file = tmp_path / "dev.json"
    file.write_text('{"st-01-https-only": "mandatory", "st-01-https-only": "disabled"}')
    assert lint.lint(file, today=TODAY) == ["dev.json: says st-01-https-only twice; only the last would count"]


def test_the_lint_command_fails_with_the_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "dev.json"
    file.write_text('{"all": "disabled"}')
    assert lint.main([str(file)]) == 1
    assert "dev.json: 'all' is not allowed" in capsys.readouterr().err
    assert lint.main([]) == 0
    assert f"{len(BY_NAME)} policies each" in capsys.readouterr().out


def test_an_exemption_holds_for_its_resource_until_its_last_day() -> None:
    assert exemption_of(ROW["urn"], [ROW], date(2026, 12, 31)) == Exemption.read(ROW)
    assert exemption_of(ROW["urn"], [ROW], date(2027, 1, 1)) is None
    assert exemption_of(ROW["urn"] + "2", [ROW], TODAY) is None


def test_an_incomplete_exemption_exempts_nothing() -> None:
    incomplete = {name: value for name, value in ROW.items() if name != "approver"}
    with pytest.raises(BadExemption, match="approver"):
        Exemption.read(incomplete)
    assert exemption_of(ROW["urn"], [incomplete], TODAY) is None


def test_controls_that_need_a_list_say_so() -> None:
    assert {each.name for each in CONTROLS if each.requires} == {
        "uc-04-allow-listed-principals",
        "uc-04-owner-privileges",
        "uc-07-mask-exceptions",
        "uc-07-filter-exceptions",
    }
