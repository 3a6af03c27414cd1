"""A preview report for people: what changes, what policies say, and one closing line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from local_estate.engine.preview_report import PolicyFinding, PreviewReport, PreviewStep
from local_estate.engine.property_changes import SECRET, UNKNOWN, PropertyChange

CHANGES_SHOWN = 6  # of one resource, unless all are asked for
VALUE_SHOWN = 60  # characters of one value

_WORDS = {"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted", "import": "imported"}
_MARKS = {"create": "green", "update": "yellow", "replace": "magenta", "delete": "red"}
_VERDICTS = {"denied": "Policies deny", "not run": "Policies that could not run: a value is unknown before up", "advice": "Policies advise"}


def print_report(report: PreviewReport, console: Console, *, full: bool = False) -> None:
    """With `full` every property and every value to its end."""
    for part in _parts(report, full):
        console.print(part)
        console.print()
    for error in report.errors:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
    if report.errors and report.fix:
        console.print(f"Fix: {report.fix}", markup=False, soft_wrap=True)
    console.print(closing_line(report), markup=False, soft_wrap=True)


def closing_line(report: PreviewReport) -> str:
    counted = [f"{count} to be {_WORDS.get(op, op)}" for op, count in report.counts.items() if op != "same" and count]
    said = f"{report.stack}: {', '.join(counted) or 'no changes'}, {report.unchanged} unchanged"
    for verdict, words in (("denied", "denied by policies"), ("not run", "policies could not run"), ("advice", "advised by policies")):
        if found := report.verdicts(verdict):  # type: ignore[arg-type]
            said += f"; {len(found)} {words}"
    ends = {"failed": "; the preview failed", "unexpected changes": "; no changes were expected"}
    return f"{said}{ends.get(report.result, '')} ({report.seconds:.0f} s)"


def _parts(report: PreviewReport, full: bool) -> Iterator[RenderableType]:
    if report.changed_outside:
        yield _steps("Changed outside of Pulumi, found by the refresh", report.changed_outside, full)
    for op in dict.fromkeys(step.op for step in report.steps):
        found = tuple(step for step in report.steps if step.op == op)
        yield _steps(f"To be {_WORDS.get(op, op)}: {len(found)}", found, full, style=_MARKS.get(op, ""))
    if report.outputs and report.result not in ("failed", "denied"):
        yield Group(Text("Outputs", style="bold"), *_changes(report.outputs, full))
    for verdict, title in _VERDICTS.items():
        if found_by := report.verdicts(verdict):  # type: ignore[arg-type]
            yield Group(Text(title, style="bold"), *(_finding(each) for each in found_by))


def _steps(title: str, steps: tuple[PreviewStep, ...], full: bool, style: str = "") -> Table:
    made = Table(title=title, title_justify="left", title_style=f"bold {style}".strip(), show_edge=False, box=None, padding=(0, 2, 0, 0))
    made.add_column("resource", overflow="fold", ratio=4, header_style="dim")
    made.add_column("changes", overflow="fold", ratio=5, header_style="dim")
    made.expand = True
    for step in steps:
        made.add_row(Text(f"{short_type(step.type)} {step.name}"), Group(*_of_step(step, full)))
    return made


def _of_step(step: PreviewStep, full: bool) -> Iterator[Text]:
    if step.op in ("create", "import") and not full:
        yield Text(f"{len(step.detailed_diff)} properties", style="dim")
        return
    if step.op == "replace":
        because = ", ".join(step.replace_keys) or "a resource that it depends on"
        yield Text(f"replaced for {because}", style="magenta")
    yield from _changes(step.detailed_diff, full)


def _changes(changes: tuple[PropertyChange, ...], full: bool) -> Iterator[Text]:
    kept = changes if full else changes[:CHANGES_SHOWN]
    for change in kept:
        shared = 0 if full else _shared(change.old, change.new)
        old, new = _value(change.old, full, shared), _value(change.new, full, shared)
        if change.kind == "add":
            yield Text(f"+ {change.path}: {new}", style="green")
        elif change.kind == "delete":
            yield Text(f"- {change.path}: {old}", style="red")
        else:
            yield Text(f"~ {change.path}: {old} => {new}")
    if len(kept) < len(changes):
        yield Text(f"… and {len(changes) - len(kept)} more (--full)", style="dim")


def _shared(old: Any, new: Any) -> int:
    """How many characters of two long texts are equal from the start, but for the few that help to recognise them."""
    if not (isinstance(old, str) and isinstance(new, str)) or max(len(old), len(new)) <= VALUE_SHOWN:
        return 0
    same = next((place for place, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), min(len(old), len(new)))
    return max(same - 12, 0)


def _value(value: Any, full: bool, shared: int = 0) -> str:
    if value in (SECRET, UNKNOWN):
        return str(value)
    text = json.dumps(f"…{value[shared:]}" if shared and isinstance(value, str) else value, ensure_ascii=False)
    if full or len(text) <= VALUE_SHOWN:
        return text
    return f"{text[:VALUE_SHOWN]}… ({len(json.dumps(value, ensure_ascii=False))} characters)"


def _finding(finding: PolicyFinding) -> Text:
    name = finding.urn.split("::", 3)[-1] or "stack"
    return Text(f"  {finding.policy} on {name}: {finding.message}")


def short_type(token: str) -> str:
    """`databricks:index/grants:Grants` → `databricks:Grants`; `azure-native:storage:BlobContainer` → `storage:BlobContainer`."""
    package, module, name = [*token.split(":"), "", ""][:3]
    if package == "azure-native":
        return f"{module}:{name}"
    return f"{package}:{name}" if module.startswith("index") else token
