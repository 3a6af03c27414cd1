"""The facts of the console: tables with row counts, runs, resources, gathered from the other services' answers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from local_estate.api.kernel.call import Estate
from local_estate.api.services.console.delta_log import table_facts


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


def runs(estate: Estate, limit: int = 50) -> list[dict[str, Any]]:
    """`{"job", "run_id", "result", "seconds", "start_time"}`, newest first; `result` is the life-cycle state of a run under way."""
    return list(estate.ask("jobs.recent_runs", limit=limit))
