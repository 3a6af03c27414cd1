"""The facts of the console: tables with row counts, runs, resources, gathered from the other services' answers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from local_estate.api.kernel.call import Estate
from local_estate.api.services.console.delta_log import last_append, live_rows, table_facts

_FIGURES = "platform.quality_kpis"
_RECEIPTS = "platform.file_receipts"
_DAYS = timedelta(days=7)


def local_directory(estate: Estate, url: str) -> Path | None:
    """Where the bytes of an `abfss://container@account…/path` are on this machine."""
    found = re.fullmatch(r"abfss://([^@/]+)@([^./]+)\.[^/]+/?(.*)", url)
    if found is None:
        return None
    container, account, path = found.groups()
    return estate.paths.adls / account / container / path


def tables(estate: Estate) -> list[dict[str, Any]]:
    """`{"name", "rows", "version", "files", "comment"}` by name; `rows` is None for a table that has no Delta log yet."""
    listed = []
    for table in estate.ask("unity_catalog.tables"):
        directory = local_directory(estate, table.get("storage_location") or "")
        known = table_facts(directory) if directory else None
        listed.append(
            {
                "name": table["full_name"],
                "rows": known.rows if known else None,
                "version": known.version if known else None,
                "files": known.files if known else None,
                "comment": table.get("comment", ""),
            }
        )
    return sorted(listed, key=lambda table: str(table["name"]))


def quality(estate: Estate) -> list[dict[str, Any]]:
    """What the job quality_kpis found out last in each environment, by layer.

    `{"layer", "met", "below_target", "missed", "not_measured", "pass_rate_pct", "freshness_p95_seconds", "worst"}`: the rates are those of
    the poorest dataset, `worst` names a figure that is missed, or else one below its target. Never measured, an environment has none.
    """
    found = []
    for table in estate.ask("unity_catalog.tables"):
        directory = local_directory(estate, table.get("storage_location") or "")
        if table["full_name"].endswith(f".{_FIGURES}") and directory:
            environment = table["full_name"].removesuffix(f"raw.{_FIGURES}")
            found += quality_by_layer(environment, last_append(directory))
    return found


def quality_by_layer(environment: str, figures: list[dict[str, Any]]) -> list[dict[str, Any]]:
    layers = []
    for layer in [name for name in ("raw", "curated", "marts", "ai") if any(row["layer"] == name for row in figures)]:
        mine = [row for row in figures if row["layer"] == layer]
        missed, short = (sorted(_standing(row) for row in mine if row["result"] == result) for result in ("missed", "below target"))

        def poorest(kpi: str, choose: Callable[[list[float]], float], rows: list[dict[str, Any]] = mine) -> float | None:
            values = [row["value"] for row in rows if row["kpi"] == kpi and row["value"] is not None]
            return choose(values) if values else None

        layers.append(
            {
                "layer": f"{environment}{layer}",
                "met": sum(row["result"] == "met" for row in mine),
                "below_target": len(short),
                "missed": len(missed),
                "not_measured": sum(row["result"] == "not measured" for row in mine),
                "pass_rate_pct": poorest("pass_rate_pct", min),
                "freshness_p95_seconds": poorest("freshness_p95_seconds", max),
                "worst": next(iter(missed + short), ""),
            }
        )
    return layers


def _standing(row: dict[str, Any]) -> str:
    """`pega.case_silver pass_rate_pct 98.5: below the target 99, above the gate 97`."""
    figure, gate = f"{row['dataset']} {row['kpi']} {row['value']:.6g}", row.get("gate")
    if gate is None:
        return f"{figure}: missed, objective {row['sense']} {row['objective']:g}"
    if row["result"] == "missed":
        return f"{figure}: below the gate {gate:g}"
    return f"{figure}: below the target {row['objective']:g}, above the gate {gate:g}"


def landed_files(estate: Estate) -> list[dict[str, Any]]:
    """What became of the landing files of each environment: `{"environment", "told", "newest"}`."""
    found = []
    for table in estate.ask("unity_catalog.tables"):
        directory = local_directory(estate, table.get("storage_location") or "")
        if table["full_name"].endswith(f".{_RECEIPTS}") and directory and (receipts := live_rows(directory)):
            found.append({"environment": table["full_name"].removesuffix(f"raw.{_RECEIPTS}"), **files_told(receipts)})
    return found


def files_told(receipts: list[dict[str, Any]], limit: int = 20) -> dict[str, Any]:
    """One line on the receipts of the last seven days before the newest one, and the newest of them: those that say anything first."""
    recent = [row for row in receipts if row["recorded_ts"] >= max(row["recorded_ts"] for row in receipts) - _DAYS]
    counts = Counter(row["outcome"] for row in recent)
    order = sorted(counts, key=lambda outcome: (outcome != "taken", outcome))
    newest = sorted(recent, key=lambda row: (row["recorded_ts"], row["outcome"] != "taken", row["landed_ts"]), reverse=True)[:limit]
    return {
        "told": f"files {len(recent)}: {', '.join(f'{counts[outcome]} {outcome}' for outcome in order)}",
        "newest": [
            {
                "file": row["source_file"],
                "arrived": row["landed_ts"].strftime("%Y-%m-%d %H:%M:%S UTC"),
                **{name: row[name] for name in ("system", "bytes", "rows", "rows_accepted", "rows_quarantined", "outcome")},
                "reason": row["reason"] or "",
            }
            for row in newest
        ],
    }


def runs(estate: Estate, limit: int = 50) -> list[dict[str, Any]]:
    """`{"job", "run_id", "result", "seconds", "start_time"}`, newest first; `result` is the life-cycle state of a run under way."""
    return list(estate.ask("jobs.recent_runs", limit=limit))
