"""The command blocks of README and docs, as a reader would copy them.

Every block names its language: `sh` and `sql` are run by tests/estate/test_documentation.py, `json` must be JSON, `text` is there to be
looked at. What must not be run says why in the line before it: `<!-- not run: reason -->`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
# In this order on one estate: what a page leaves behind, the next one finds.
RUN = (
    "README.md",
    "docs/walkthrough.md",
    "docs/operations.md",
    "docs/quality.md",
    "docs/streaming.md",
    "docs/runbooks/the-stream.md",
    "docs/adding/a-component.md",
    "docs/adding/a-domain.md",
)
COMMANDS = ("sh", "sql")
SHOWN = ("text", "json", "yaml", "python")
_NOT_RUN = re.compile(r"<!-- not run: (.*\S) -->")


@dataclass(frozen=True)
class Block:
    """`line` is that of its first line of text; `not_run` the reason, empty where there is none."""

    page: str
    line: int
    language: str
    text: str
    not_run: str

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    return ["README.md", *sorted(str(page.relative_to(REPOSITORY)) for page in (REPOSITORY / "docs").rglob("*.md"))]


def blocks(page: str) -> Iterator[Block]:
    lines = (REPOSITORY / page).read_text(encoding="utf-8").splitlines()
    opened: int | None = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if opened is None:
            opened = number
            continue
        reason = _NOT_RUN.fullmatch(lines[opened - 1]) if opened else None
        text = "\n".join(lines[opened + 1 : number]) + "\n"
        yield Block(page, opened + 2, lines[opened].removeprefix("```"), text, reason[1] if reason else "")
        opened = None
    assert opened is None, f"{page}:{opened}: the block is never closed"
