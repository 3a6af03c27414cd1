"""`make contracts`: what it refuses, with whom it concerns and how to mend it, and what a release records."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakehouse.contracts.__main__ import main
from lakehouse.contracts.registry import documents
from samples.generate import generate

CASES = "domains/pega/case_silver.yaml"
EVENTS = "domains/sfdc/contact_events.yaml"
INTERACTIONS = "domains/sfdc/contact_interaction.yaml"  # nothing is made from it


class Project:
    """The contracts of this repository, released in a folder of their own and then changed."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self.capsys = capsys
        # As if they had never been changed: what follows is about versions that are.
        self.texts = {file: re.sub(r"(?m)^version: .*$", "version: 1.0.0", text) for file, text in documents()}
        status, _, err = self.run("--write", "--release")
        assert status == 0, err

    def edit(self, file: str, old: str, new: str) -> None:
        assert old in self.texts[file]
        self.texts[file] = self.texts[file].replace(old, new, 1)

    def bump(self, file: str, version: str) -> None:
        before = next(line for line in self.texts[file].splitlines() if line.startswith("version: "))
        self.edit(file, before, f"version: {version}")

    def run(self, *arguments: str) -> tuple[int, str, str]:
        status = main(["--root", str(self.root), *arguments], self.texts.items())
        printed = self.capsys.readouterr()
        return status, printed.out, printed.err

    def problems(self, *arguments: str) -> list[dict[str, Any]]:
        status, out, _ = self.run("--json", *arguments)
        report = json.loads(out)
        assert (status == 0) is report["valid"] is (not report["problems"])
        return list(report["problems"])

    def accepted(self) -> bool:
        """Whether the versions say what changed; rendering again is not the question."""
        return self.run("--write")[0] == 0


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Project:
    return Project(tmp_path, capsys)


def _drop_column(project: Project) -> None:
    text = project.texts[CASES]
    start, end = text.index("      - name: channel"), text.index("      - name: created_ts")
    project.texts[CASES] = text[:start] + text[end:]


def _drop_word(project: Project) -> None:
    project.edit(CASES, "RESOLVED, CLOSED]", "RESOLVED]")


def _require(project: Project) -> None:
    project.edit(
        CASES,
        "        description: How the customer reached us\n",
        "        description: How the customer reached us\n        required: true\n",
    )


def _retype(project: Project) -> None:
    project.edit(CASES, "physicalType: INT\n        description: Minutes", "physicalType: STRING\n        description: Minutes")


@pytest.mark.parametrize(
    ("change", "column", "said"),
    [
        (_drop_column, "channel", "was removed"),
        (_drop_word, "status", "rule valid_values no longer allows CLOSED"),
        (_require, "channel", "became required"),
        (_retype, "handle_time_minutes", "type was changed from INT to STRING"),
    ],
)
def test_a_breaking_change_is_refused_by_name_with_its_consumers_until_the_major_version_says_so(
    project: Project, change: Callable[[Project], None], column: str, said: str
) -> None:
    change(project)
    for version in ("1.0.0", "1.0.1", "1.7.0"):
        project.bump(CASES, version)
        (problem,) = [found for found in project.problems() if found["column"]]
        assert (problem["file"], problem["dataset"], problem["column"]) == (CASES, "pega.case_silver", column)
        assert problem["what"] == f"{said} (breaking since 1.0.0, but the version is {version})"
        assert problem["fix"] == "set `version: 2.0.0` and tell the consumers, or take the change back"
        assert {"operations.case_metrics", "customer.dim_customer", "MT-analyst-readers", "operations dashboard"} <= set(
            problem["consumers"]
        )
    project.bump(CASES, "2.0.0")
    assert project.accepted()


def test_an_additive_change_needs_a_minor_version_and_names_nobody(project: Project) -> None:
    project.edit(EVENTS, "PORTAL_LOGIN]", "PORTAL_LOGIN, APP_LOGIN]")
    status, _, err = project.run()
    assert status == 1
    what = "rule valid_values now allows APP_LOGIN (additive since 1.0.0, but the version is 1.0.0)"
    assert f"{EVENTS}: sfdc.contact_events.event_type: {what}\n  fix: set `version: 1.1.0`\n" in err
    project.bump(EVENTS, "1.0.9")
    assert not project.accepted()
    project.bump(EVENTS, "1.1.0")
    assert project.accepted()


def test_an_editorial_change_needs_a_patch(project: Project) -> None:
    project.edit(CASES, "How the customer reached us", "By what way the customer reached us")
    (problem,) = [found for found in project.problems() if found["dataset"]]
    assert (problem["column"], problem["fix"], problem["consumers"]) == ("channel", "set `version: 1.0.1`", [])


def test_a_version_does_not_go_back(project: Project) -> None:
    project.bump(CASES, "0.9.0")
    (problem,) = [found for found in project.problems() if found["dataset"]]
    assert problem["what"] == "is version 0.9.0, but 1.0.0 is released and says the same"


def test_a_dataset_goes_only_after_it_was_released_as_deprecated(project: Project) -> None:
    kept = project.texts.pop(INTERACTIONS)
    (problem,) = [found for found in project.problems() if found["dataset"]]
    assert problem["what"] == "was released as 1.0.0 and is gone"
    assert problem["consumers"] == ["data_engineering", "MT-dpm-data-eng"]
    project.texts[INTERACTIONS] = kept.replace("status: active", "status: deprecated").replace("version: 1.0.0", "version: 1.0.1")
    assert project.run("--write", "--release")[0] == 0
    project.texts.pop(INTERACTIONS)
    status, _, err = project.run("--write", "--release")
    assert (status, "released without sfdc/contact_interaction.yaml" in err) == (0, True)
    assert not (project.root / "contracts/released/sfdc/contact_interaction.yaml").exists()


def test_a_release_is_refused_while_anything_is_wrong_and_records_nothing(project: Project) -> None:
    _drop_word(project)
    released = project.root / "contracts/released/pega/case_silver.yaml"
    before = released.read_text()
    assert project.run("--write", "--release")[0] == 1
    assert released.read_text() == before
    project.bump(CASES, "2.0.0")
    status, _, err = project.run("--write", "--release")
    assert (status, "released pega.case_silver 2.0.0" in err) == (0, True)
    assert released.read_text() == project.texts[CASES]
    assert project.problems() == []


@pytest.mark.parametrize(
    ("old", "new", "file", "said"),
    [
        ("required: true", "requird: true", CASES, "schema.0.properties.0.requird: is no field of the Open Data Contract Standard"),
        ("implementation: not_negative", "implementation: not_negativ", CASES, "Did you mean not_negative?"),
        ("{column: created_ts}", "{column: opened_ts}", CASES, "not_before names no column: 'opened_ts'"),
        ("to: jarvis.service_silver.service_id", "to: jarvis.service_silver.serviceid", EVENTS, "is no declared column"),
        ("value: pega.pega_bronze", "value: pega.bronze", CASES, "'pega.bronze' is not declared"),
        ("unit: h", "unit: hours", CASES, "slaProperties.0.unit: must be one of y, d, h, min, is 'hours'"),
        ("value: 3, unit: percent", "value: 300, unit: percent", CASES, "must be 0 to 100 of unit percent"),
        ("property: latency", "property: speed", CASES, "'speed' is no objective we measure"),
        ("['pii:text']", "['pii:shoe_size']", EVENTS, "'shoe_size' is not one of name, email, phone, address, hash, text"),
        ("value: contact_id}", "value: contact}", EVENTS, "customProperties.messageKey: names no column: 'contact'"),
        ("status: active", "status: sleeping", CASES, "status: must be one of proposed"),
    ],
)
def test_a_broken_contract_is_named_with_file_key_and_fix(project: Project, old: str, new: str, file: str, said: str) -> None:
    project.edit(file, old, new)
    (problem,) = project.problems()
    assert problem["file"] == file
    assert said in problem["what"]
    assert problem["fix"] == f"correct that key in workloads/lakehouse/contracts/{file}"


def test_every_broken_file_is_named_in_one_run(project: Project) -> None:
    project.edit(CASES, "required: true", "requird: true")
    project.edit(EVENTS, "required: true", "requird: true")
    assert {problem["file"] for problem in project.problems()} == {CASES, EVENTS}


@pytest.mark.parametrize(
    ("old", "new", "fix"),
    [
        ("team: {name: case-management}\n", "", "add `team: {name: …}`"),
        ("  - {property: latency, value: 1, unit: h}\n", "", "add `{property: latency"),
        ("  - {property: errorRate, value: 3, unit: percent}\n", "", "add `{property: errorRate"),
        ("        description: How the customer reached us\n", "", "it becomes the comment of the column"),
    ],
)
def test_what_the_standard_leaves_open_is_asked_for(project: Project, old: str, new: str, fix: str) -> None:
    project.edit(CASES, old, new)
    assert any(fix in problem["fix"] for problem in project.problems("--write"))


def test_pages_and_schemas_that_fell_behind_are_named_and_written_again(project: Project) -> None:
    (project.root / "docs/contracts/pega.md").write_text("old")
    (problem,) = project.problems()
    assert (problem["file"], problem["fix"]) == ("docs/contracts/pega.md", "make contracts ARGS=--write")
    status, _, err = project.run("--write")
    assert (status, "wrote docs/contracts/pega.md" in err) == (0, True)
    assert project.problems() == []


def test_the_generated_samples_fit_their_contracts_and_a_wrong_column_does_not(project: Project, tmp_path: Path) -> None:
    samples = tmp_path / "landing"
    generate(samples, day=1, rows=200)
    assert project.problems("--samples", str(samples)) == []
    (file,) = (samples / "amdm").glob("*.csv")
    file.write_text(file.read_text().replace("post_cd", "postcode", 1))
    (problem,) = project.problems("--samples", str(samples))
    assert (problem["dataset"], problem["column"]) == ("amdm.amdm_bronze", "post_cd")
    assert f"sample amdm/{file.name} has no such column; it has " in problem["what"]


def test_a_dataset_without_a_sample_is_noted_and_not_refused(project: Project, tmp_path: Path) -> None:
    samples = tmp_path / "landing"
    generate(samples, day=1, rows=200)
    for file in (samples / "amdm").glob("*"):
        file.unlink()
    status, _, err = project.run("--samples", str(samples))
    assert (status, err) == (0, "note: samples/ generates no file of amdm.amdm_bronze; a local day lands nothing there\n")
    assert json.loads(project.run("--json", "--samples", str(samples))[1])["without_sample"] == ["amdm.amdm_bronze"]


def test_whether_contracts_can_be_read_is_asked_before_anything_is_made_from_them(project: Project) -> None:
    assert project.run("--readable") == (0, "", "")
    project.edit(CASES, "required: true", "requird: true")
    status, out, err = project.run("--readable")
    assert (status, out) == (1, "")
    assert err.startswith(f"{CASES}: schema.0.properties.0.requird: is no field of the Open Data Contract Standard")
    assert err.endswith("\n1 to mend\n")


def test_the_contracts_of_this_repository_say_in_their_versions_what_changed_since_their_release(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "contracts").symlink_to(Path(__file__).parents[2] / "contracts", target_is_directory=True)
    main(["--root", str(tmp_path), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert len(report["datasets"]) > 20
    assert [problem for problem in report["problems"] if problem["dataset"]] == []


def test_help_says_what_the_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "validates every contract, and compares each with its last release" in said
    assert all(option in said for option in ("--samples", "--write", "--release", "--json"))
