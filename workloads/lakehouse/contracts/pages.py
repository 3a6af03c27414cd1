"""Documentation pages rendered from the contracts: an index, and a page a domain."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

from lakehouse.contracts.check import Problem
from lakehouse.contracts.dataset import Column, DatasetContract, Kind, Objectives
from lakehouse.contracts.json_schema import producer_schemas
from lakehouse.contracts.monitors import monitor
from lakehouse.contracts.registry import consumers_of

_NOTE = "<!-- Rendered by `python -m lakehouse.contracts --write`; edit the contract instead. -->"


def generated(contracts: Mapping[str, DatasetContract]) -> dict[str, str]:
    """Text of every generated file, by its path in the repository."""
    every = sorted(contracts.values(), key=lambda dataset: (dataset.system, dataset.layer, dataset.name))
    systems = sorted({dataset.system for dataset in every})
    files = {"docs/contracts.md": _index(every)}
    files |= {f"docs/contracts/{system}.md": _page(system, every) for system in systems}
    for name, schema in producer_schemas(contracts).items():
        files[f"contracts/schemas/{name}.schema.json"] = json.dumps(schema, indent=2) + "\n"
    return files


def outdated(root: Path, files: Mapping[str, str]) -> list[Problem]:
    """Generated files that are not what the contracts say now."""
    stale = [name for name, text in files.items() if not (root / name).is_file() or (root / name).read_text(encoding="utf-8") != text]
    fix = "make contracts ARGS=--write"
    return [Problem(file=name, dataset="", what="is not what the contracts say now", fix=fix) for name in stale]


def write(root: Path, files: Mapping[str, str]) -> list[str]:
    """Writes what is outdated, and names it."""
    stale = [problem.file for problem in outdated(root, files)]
    for name in stale:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(files[name], encoding="utf-8")
    return stale


def _index(every: Iterable[DatasetContract]) -> str:
    rows = [
        f"| [{dataset.name}](contracts/{dataset.system}.md#{_anchor(dataset.name)}) | {_place(dataset)} | {dataset.version} "
        f"| {dataset.owner} | {_text(dataset.description)} |"
        for dataset in every
    ]
    return "\n".join(
        [
            _NOTE,
            "# Data contracts",
            "",
            "One ODCS v3 file a dataset, in `workloads/lakehouse/contracts/domains/`. Tables and their constraints, quality rules,",
            "quarantine, tags and masks, grants, JSON Schemas for producers (`contracts/schemas/`), Airflow assets and these pages follow.",
            "",
            "`make contracts` validates them and compares each with its last release in `contracts/released/`:",
            "",
            "| change | version | examples |",
            "|---|---|---|",
            "| breaking | major | a column removed, renamed, retyped, newly required; a word not allowed any more; "
            "a rule of severity error or stop more, a stricter severity; "
            "a weaker objective |",
            "| additive | minor | an optional column, a word more, a rule of severity warning, a reader more |",
            "| editorial | patch | descriptions, owner, lineage |",
            "",
            "A change whose version does not say so is refused, a breaking one with its consumers. `make contracts ARGS=--release` records",
            "the release; `ARGS=--write` renders these pages and the schemas again; `ARGS=--json` is for programs.",
            "",
            "| dataset | where | version | owner | what |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _page(system: str, every: list[DatasetContract]) -> str:
    lines = [_NOTE, f"# {system}", ""]
    for dataset in every:
        if dataset.system == system:
            lines += _section(dataset, every)
    return "\n".join(lines)


def _section(dataset: DatasetContract, every: list[DatasetContract]) -> list[str]:
    facts = [
        ("where", _place(dataset)),
        ("version", f"{dataset.version}, {dataset.status}"),
        ("owner", dataset.owner),
        ("made from", ", ".join(dataset.inputs)),
        ("consumers", ", ".join(consumers_of(dataset.name, every))),
        ("key", ", ".join(dataset.key)),
        ("order of changes", dataset.sequence or ""),
        ("delivery", _delivery(dataset)),
        ("objectives", _objectives(dataset.objectives)),
        ("monitored", _monitored(dataset)),
        ("writers", ", ".join(dataset.writer_groups)),
        ("rows", _rows(dataset)),
        ("contract", f"`{dataset.file}`"),
    ]
    return [
        f"## {dataset.name}",
        "",
        f"{dataset.description}.",
        "",
        *[f"- {name}: {value}" for name, value in facts if value],
        "",
        "| column | type | null | class | rules | what |",
        "|---|---|---|---|---|---|",
        *[_row(column) for column in dataset.declared_columns],
        "",
    ]


def _row(column: Column) -> str:
    kind = f"{column.classification} ({column.pii})" if column.pii else column.classification
    told = f"{column.description}; refers to {', '.join(column.references)}" if column.references else column.description
    told = f"{told}; from its source: {column.transformation}" if column.transformation else told
    rules = "; ".join(_rule(column, position) for position in range(len(column.quality)))
    return f"| {column.name} | {column.physical_type} | {'no' if column.required else 'yes'} | {kind} | {rules} | {_text(told)} |"


def _rule(column: Column, position: int) -> str:
    rule = column.quality[position]
    values = rule.arguments.get("validValues") or list(rule.arguments.values())
    told = f" ({', '.join(str(value) for value in values)})" if values else ""
    what = f": {rule.description}" if rule.description else ""
    return _text(f"{rule.severity}: {rule.implementation}{told}{what}, {rule.owner}")


def _place(dataset: DatasetContract) -> str:
    if dataset.topic:
        return f"topic `{dataset.topic.name}`"
    return f"{dataset.layer}, {dataset.kind}"


def _delivery(dataset: DatasetContract) -> str:
    if dataset.kind is Kind.TOPIC and dataset.topic:
        return f"JSON messages keyed by {dataset.topic.key}"
    return f"`{dataset.landing.file_prefix}_YYYYMMDD.{dataset.landing.format}`" if dataset.landing else ""


def _rows(dataset: DatasetContract) -> str:
    """Who sees which of them, where that is not everything."""
    filtered = [f"each reader's own by {column.row_filter}: `{column.name}`" for column in dataset.columns if column.row_filter]
    return f"{filtered[0]} ([governance](../governance.md))" if filtered else ""


def _objectives(promised: Objectives) -> str:
    told = [
        f"readable within {_span(promised.freshness)} (p95)" if promised.freshness else "",
        f"every {_span(promised.frequency)}" if promised.frequency else "",
        f"{promised.rows[0]:,} to {promised.rows[1]:,} rows a delivery" if promised.rows else "",
        f"at most {promised.error_rate_pct:g} % of a batch in error" if promised.error_rate_pct is not None else "",
        f"kept {_span(promised.retention)}" if promised.retention else "",
    ]
    return ", ".join(part for part in told if part)


def _monitored(dataset: DatasetContract) -> str:
    watched = monitor(dataset)
    return f"every {_span(watched.every)}: {', '.join(map(str, watched.thresholds))}" if watched else ""


def _span(span: timedelta) -> str:
    for seconds, word in ((365 * 86400, "year"), (86400, "day"), (3600, "hour"), (60, "minute")):
        if span.total_seconds() >= seconds and span.total_seconds() % seconds == 0:
            number = int(span.total_seconds() // seconds)
            return f"{number} {word}{'s' if number != 1 else ''}"
    return f"{span.total_seconds():g} seconds"


def _anchor(name: str) -> str:
    return name.replace(".", "")


def _text(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")
