"""The page itself: plain HTML from the facts, every value escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: light-dark(#595959, #b0b0b0); }
:root { --good: light-dark(#1b7346, #5cc492); --bad: light-dark(#b03025, #ff8f80); }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1.5rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p.sub { color: var(--soft); margin: 0 0 1rem; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; color: var(--soft); }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.SUCCESS { color: var(--good); font-weight: 600; } .FAILED, .TIMEDOUT, .CANCELED { color: var(--bad); font-weight: 600; }
.tiles { display: flex; gap: 1rem; flex-wrap: wrap; }
.tile { border: 1px solid var(--line); border-radius: .5rem; padding: .7rem 1.1rem; min-width: 8rem; }
.tile b { display: block; font-size: 1.4rem; font-variant-numeric: tabular-nums; }
code { font-size: .9em; }
"""


def render(facts: Mapping[str, Any]) -> str:
    tables, runs = facts["tables"], facts["runs"]
    succeeded = sum(run["result"] == "SUCCESS" for run in runs)
    tiles = [
        ("workspaces", len(facts["workspaces"])),
        ("Azure resources", sum(facts["resources"].values())),
        ("tables", len(tables)),
        ("rows", sum(table["rows"] or 0 for table in tables)),
        ("recent runs", f"{succeeded} of {len(runs)} succeeded" if runs else 0),
        ("store writes", facts["writes"]),
    ]
    quality_columns = (
        "layer",
        "met",
        "below target",
        "missed",
        "not measured",
        "least pass rate, %",
        "freshness p95, s",
        "the first of them",
    )
    run_columns = ("job", "run id", "result", "seconds", "started")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="10">
<title>MT lakehouse: local estate</title><style>{_STYLE}</style></head>
<body><h1>MT lakehouse: local estate</h1><p class="sub">Facts as of now; the page renews itself every ten seconds.</p>
<div class="tiles">{"".join(f'<div class="tile"><b>{_text(value)}</b>{escape(name)}</div>' for name, value in tiles)}</div>
<h2>Workspaces</h2>{_table(("name", "address", "id"), ((w["name"], w["workspace_url"], w["workspace_id"]) for w in facts["workspaces"]))}
<h2>Tables</h2>{_table(("table", "rows", "files", "version"), ((t["name"], t["rows"], t["files"], t["version"]) for t in tables))}
<h2>Quality</h2>{_table(quality_columns, (tuple(q[column] for column in _QUALITY) for q in facts["quality"]))}
<h2>Landing files</h2>{"".join(_files(environment) for environment in facts["files"]) or "<p class='sub'>none yet</p>"}
<h2>Runs</h2>{_table(run_columns, ((r["job"], r["run_id"], r["result"], r["seconds"], _when(r)) for r in runs))}
<h2>Azure resources by type</h2>{_table(("type", "count"), sorted(facts["resources"].items()))}
</body></html>"""


_QUALITY = ("layer", "met", "below_target", "missed", "not_measured", "pass_rate_pct", "freshness_p95_seconds", "worst")
_NUMBERS = {"rows", "files", "version", "seconds", "count", "run id", "id", "met", "below target", "missed", "not measured"}
_NUMBERS |= {"bytes", "quarantined", "least pass rate, %", "freshness p95, s"}


_FILE = ("arrived", "system", "file", "bytes", "rows", "rows_quarantined", "outcome", "reason")


def _files(environment: Mapping[str, Any]) -> str:
    columns = tuple(name.removeprefix("rows_") for name in _FILE)
    rows = (tuple(file[name] for name in _FILE) for file in environment["newest"])
    return f"<p>{escape(environment['environment'])}: {escape(environment['told'])} in seven days</p>{_table(columns, rows)}"


def _table(columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    def cell(column: str, value: Any) -> str:
        kind = "number" if column in _NUMBERS else escape(str(value)) if column == "result" else ""
        text = str(value) if column.endswith("id") else _text(value)
        return f'<td class="{kind}">{escape(text)}</td>'

    body = "".join("<tr>" + "".join(map(cell, columns, row)) + "</tr>" for row in rows)
    if not body:
        return "<p class='sub'>none yet</p>"
    head = "".join(f'<th class="{"number" if column in _NUMBERS else ""}">{escape(column)}</th>' for column in columns)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _when(run: Mapping[str, Any]) -> str:
    return datetime.fromtimestamp(run["start_time"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if run.get("start_time") else "–"
