"""What a preview says, from recorded events of real engines: another catalog prefix on dev, and a stack with secrets and unknowns."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from local_estate.engine.preview_report import PreviewReader, PreviewReport
from local_estate.engine.preview_table import print_report
from local_estate.engine.property_changes import SECRET, UNKNOWN, PropertyChange, changes_of

RECORDED = Path(__file__).parent / "recorded"
GRANTS = "databricks:index/grants:Grants"


def report_of(name: str, *more: dict[str, Any], **told: Any) -> PreviewReport:
    reader = PreviewReader()
    for line in (RECORDED / name).read_text().splitlines():
        reader.line(json.loads(line))
    for event in more:
        reader.line(event)
    return reader.report("dev", 1.5, **told)


def printed(report: PreviewReport, *, full: bool = False, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_report(report, console, full=full)
    written = console.file
    assert isinstance(written, io.StringIO)
    return written.getvalue()


def policy(level: str, message: str, urn: str = "urn:pulumi:dev::lakehouse::a:b:C::lake") -> dict[str, Any]:
    found = {"policyName": "st-01", "policyPackName": "guardrails", "message": message, "enforcementLevel": level, "resourceUrn": urn}
    return {"policyEvent": found}


def change(path: str, kind: Any, **values: Any) -> PropertyChange:
    return PropertyChange(path=path, kind=kind, **values)


def test_a_replacement_is_one_step_with_its_keys_and_values() -> None:
    report = report_of("another_prefix.jsonl")
    [grants] = [step for step in report.steps if step.type == GRANTS and step.name == "ai"]
    assert (grants.op, grants.replace_keys) == ("replace", ("catalog",))
    assert grants.detailed_diff == (change("catalog", "update", replaces=True, old="dev_ep_ai", new="ep_ai"),)
    assert report.counts == {"create": 0, "update": 1, "replace": 4, "delete": 0, "same": 0}


def test_what_is_replaced_with_another_resource_shows_what_it_loses() -> None:
    [grants] = [step for step in report_of("another_prefix.jsonl").steps if step.type == GRANTS and step.name == "ai-knowledge"]
    assert grants.replace_keys == ()
    assert change("schema", "update", old="dev_ep_ai.knowledge", new=UNKNOWN) in grants.detailed_diff
    assert "replaced for a resource that it depends on" in printed(report_of("another_prefix.jsonl"))


def test_steps_say_what_is_lost_first() -> None:
    assert [step.op for step in report_of("another_prefix.jsonl").steps] == ["replace"] * 4 + ["update"]


def test_secrets_show_in_no_form_and_unknown_values_are_named() -> None:
    report = report_of("secrets_and_unknowns.jsonl")
    everything = json.dumps(report.as_json()) + printed(report, full=True)
    assert not any(word in everything for word in ("a-secret-value", "hunter", "1b47061264138c4ac30d75fd1eb44270"))
    assert change("resourceGroupName", "add", new=UNKNOWN) in report.steps[2].detailed_diff


def test_outputs_of_the_stack_are_compared_and_count_as_no_change() -> None:
    report = report_of("secrets_and_unknowns.jsonl")
    assert [(each.kind, each.path) for each in report.outputs] == [("delete", "group"), ("add", "group2")]
    assert report.counts == {"create": 0, "update": 3, "replace": 0, "delete": 0, "same": 1}


def secret(text: str = SECRET) -> dict[str, str]:
    return {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": text}


def update(old: dict[str, Any], new: dict[str, Any], **told: Any) -> tuple[PropertyChange, ...]:
    return changes_of({"op": "update", "old": {"inputs": old}, "new": {"inputs": new}, **told})


def detail(*paths: str, kind: str = "update") -> dict[str, Any]:
    return {path: {"diffKind": kind, "inputDiff": True} for path in paths}


def test_a_changed_secret_is_told_without_its_value() -> None:
    found = update({"tags": {"s": secret("one")}}, {"tags": {"s": secret("two")}}, diffs=["tags"], detailedDiff=detail("tags.s"))
    assert found == (change("tags.s", "update", old=SECRET, new=SECRET),)
    assert update({"key": secret("one")}, {"key": secret("two")}, diffs=["key"]) == (change("key", "update", old=SECRET, new=SECRET),)


def test_who_lost_a_grant_is_named_though_the_provider_tells_indices_of_a_sorted_list() -> None:
    def grants(*names: str) -> dict[str, Any]:
        return {"grants": [{"principal": name, "privileges": ["SELECT"]} for name in names]}

    told = detail("grants[0].principal", "grants[1].principal")
    found = update(grants("MT-pipelines", "readers"), grants("MT-pipelines", "analysts"), diffs=["grants"], detailedDiff=told)
    assert [(each.kind, each.path) for each in found] == [("add", "grants[analysts]"), ("delete", "grants[readers]")]


def test_elements_of_a_list_that_stay_are_not_told() -> None:
    found = update({"privileges": ["A", "B", "C"]}, {"privileges": ["C", "D", "A"]}, diffs=["privileges"])
    assert found == (change("privileges[1]", "delete", old="B"), change("privileges[1]", "add", new="D"))


def test_long_lists_of_changes_and_long_values_are_cut_with_a_count_unless_all_is_asked_for() -> None:
    many = {f"p{number}": "x" * 100 for number in range(9)}
    metadata = {"op": "update", "urn": "urn:pulumi:dev::l::a:b:C::c", "type": "a:b:C", "logical": True}
    event = {"resourcePreEvent": {"metadata": {**metadata, "old": {"inputs": {}}, "new": {"inputs": many}, "diffs": list(many)}}}
    report = report_of("another_prefix.jsonl", event)
    assert "… and 3 more (--full)" in printed(report)
    assert "(102 characters)" in printed(report, width=240)
    assert "more (--full)" not in printed(report, full=True)
    assert "x" * 100 in printed(report, full=True, width=400)


def test_two_long_values_are_shown_from_where_they_differ() -> None:
    path = "/subscriptions/2b8d4c6e-5a17-4f39-8e20-9c1d3e5f7a9b/resourceGroups/rg-mt-lakehouse-dev/providers/Microsoft.Network/x/"
    metadata = {"op": "update", "urn": "urn:pulumi:dev::l::a:b:C::c", "type": "a:b:C", "logical": True, "diffs": ["id"]}
    event = {
        "resourcePreEvent": {"metadata": {**metadata, "old": {"inputs": {"id": path + "one"}}, "new": {"inputs": {"id": path + "two"}}}}
    }
    assert '/x/one" => "…' in printed(report_of("another_prefix.jsonl", event), width=140)


@pytest.mark.parametrize(
    ("more", "told", "result", "code"),
    [
        ((), {}, "changes", 0),
        ((), {"changes_expected": False}, "unexpected changes", 4),
        ((policy("advisory", "rather not"),), {}, "changes", 0),
        ((policy("mandatory", "TLS 1.0"),), {}, "denied", 3),
        ((policy("advisory", "can't run policy 'st-01' during preview: unknown"),), {}, "denied", 3),
        ((), {"errors": ("the provider refuses",)}, "failed", 1),
    ],
)
def test_every_outcome_has_its_exit_code(more: tuple[dict[str, Any], ...], told: dict[str, Any], result: str, code: int) -> None:
    report = report_of("another_prefix.jsonl", *more, **told)
    assert (report.result, report.exit_code) == (result, code)


def test_no_change_is_no_failure_whatever_was_expected() -> None:
    report = PreviewReport(stack="dev", unchanged=204, seconds=3, changes_expected=False)
    assert (report.exit_code, printed(report)) == (0, "dev: no changes, 204 unchanged (3 s)\n")


def test_policies_are_told_by_what_they_mean() -> None:
    found = [policy("mandatory", "TLS 1.0"), policy("advisory", "rather not"), policy("advisory", "can't run policy 'st-01'")]
    said = printed(report_of("another_prefix.jsonl", *found, *found), width=140)
    assert "Policies deny\n  st-01 on lake: TLS 1.0\n" in said
    assert "Policies advise\n  st-01 on lake: rather not\n" in said
    assert "Policies that could not run: a value is unknown before up\n  st-01 on lake: can't run policy 'st-01'\n" in said
    assert "1 denied by policies; 1 policies could not run; 1 advised by policies" in said


def test_what_was_changed_outside_is_kept_apart_from_what_up_would_do() -> None:
    urn, token = "urn:pulumi:dev::lakehouse::databricks:index/catalog:Catalog::raw", "databricks:index/catalog:Catalog"
    before, after = ({"inputs": {"comment": text}, "outputs": {"updatedAt": text}} for text in ("Layer raw", "changed by hand"))
    started = {"resourcePreEvent": {"metadata": {"op": "refresh", "urn": urn, "type": token, "old": before, "new": None, "logical": True}}}
    found = {"resOutputsEvent": {"metadata": {"op": "refresh", "urn": urn, "type": token, "old": before, "new": after, "logical": True}}}
    gone = {"op": "refresh", "urn": urn + "-gone", "type": token, "old": before, "new": None}
    still = {"op": "refresh", "urn": urn + "-still", "type": token, "old": before, "new": before}
    others = [{kind: {"metadata": each}} for each in (gone, still) for kind in ("resourcePreEvent", "resOutputsEvent")]
    report = report_of("another_prefix.jsonl", started, found, *others)
    assert [(each.name, each.op) for each in report.changed_outside] == [("raw", "update"), ("raw-gone", "delete")]
    [outside, _] = report.changed_outside
    assert outside.detailed_diff == (change("comment", "update", old="Layer raw", new="changed by hand"),)
    assert urn not in {step.urn for step in report.steps}
    assert "Changed outside of Pulumi, found by the refresh" in printed(report)
