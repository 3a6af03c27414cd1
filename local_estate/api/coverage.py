"""Writes `local_estate/COVERAGE.md` from the route tables: what is executed, what is stored; everything else answers 501 by name."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from local_estate.api import services
from local_estate.api.kernel.routing import Service

TARGET = Path(__file__).resolve().parent.parent / "COVERAGE.md"


def render(loaded: tuple[Service, ...]) -> str:
    lines = [
        "# What the local estate implements",
        "",
        "Made by `make coverage` from the route tables; do not edit. *Executed*: the work is done for real. *Stored*: validated, kept",
        "and returned consistently. Any other path answers `501 NOT_IMPLEMENTED` with its own name and is logged.",
        "",
    ]
    total = sum(len(service.routes) for service in loaded)
    executed = sum(route.level == "executed" for service in loaded for route in service.routes)
    lines += [f"{total} endpoints: {executed} executed, {total - executed} stored.", ""]
    for service in loaded:
        lines += [f"## {service.name}", "", "| method | path | API | level |", "|---|---|---|---|"]
        for route in sorted(service.routes, key=lambda each: (each.path, each.method)):
            faces = ", ".join(face.value for face in route.faces)
            lines.append(f"| {route.method} | `{route.path}` | {faces} | {route.level} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 if the file is not what the route tables say")
    text = render(services.load())
    if parser.parse_args().check:
        if not TARGET.exists() or TARGET.read_text() != text:
            sys.exit(f"{TARGET.name} is out of date. Fix: make coverage")
        return
    TARGET.write_text(text)


if __name__ == "__main__":
    main()
