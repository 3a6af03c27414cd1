"""Which layers `make test CHANGED=1` runs: those whose sources differ from main's last commit."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_ALL = ("unit", "component", "policy", "api", "spark", "estate")
_PROGRAM = ("unit", "component", "policy", "estate")

# What each layer is made from; of several rows that begin a path the longest counts. A path without a row runs everything.
DEPENDENTS: dict[str, tuple[str, ...]] = {
    "bench/": ("unit",),
    "contracts/": ("unit",),
    "dags/": ("unit", "estate"),
    "docs/": ("unit", "estate"),
    "README.md": ("unit", "estate"),
    "local_estate/": ("unit", "api", "spark", "estate"),
    "local_estate/day/": ("unit", "estate"),
    "local_estate/engine/": ("unit", "api", "estate"),
    "local_estate/kafka/": ("unit", "api", "spark", "estate"),
    "local_estate/providers/": ("unit", "api", "estate"),
    "local_estate/COVERAGE.md": ("unit",),
    "platform/": (*_PROGRAM, "api"),
    "platform/infra/": _PROGRAM,
    "platform/release/": ("unit", "estate"),
    "policies/": _PROGRAM,
    "Pulumi.": _PROGRAM,
    "samples/": ("unit", "spark", "estate"),
    "sql/": _ALL,
    "workloads/lakehouse/": ("unit", "spark", "estate"),
    "workloads/lakehouse/contracts/": _ALL,
    "workloads/pipelines/": ("unit", "spark", "estate"),
    # A test runs itself; what tests of a layer share may serve other layers too.
    "tests/unit/": ("unit",),
    "tests/component/": ("component",),
    "tests/policy/": ("policy",),
    "tests/api/": ("unit", "api", "spark", "estate"),
    "tests/api/test_": ("api",),
    "tests/spark/": ("spark",),
    "tests/estate/": ("estate",),
    "tests/run.py": ("unit",),
    "tests/changed.py": ("unit",),
    "tests/durations.py": ("unit",),
    "tests/cold.sh": (),
}


class NotComparable(Exception):
    """There is nothing to compare with; the message says why."""


@dataclass(frozen=True)
class Choice:
    layers: tuple[str, ...]
    why: str


def choose(paths: Iterable[str]) -> Choice:
    """The layers that depend on any of the changed files, in order of cost."""
    changed = sorted(paths)
    if not changed:
        return Choice((), "no file differs from main's last commit")
    reasons: dict[str, str] = {}
    for path in changed:
        row = max((row for row in DEPENDENTS if path.startswith(row)), key=len, default=None)
        if row is None:
            return Choice(_ALL, f"{path} has no row in tests/changed.py, so it may concern any of them")
        for layer in DEPENDENTS[row]:
            reasons.setdefault(layer, path)
    layers = tuple(layer for layer in _ALL if layer in reasons)
    because = "; ".join(f"{layer} for {reasons[layer]}" for layer in layers) or "no layer depends on them"
    return Choice(layers, f"{len(changed)} files differ from main's last commit: {because}")


def changed_files(repository: Path, base: str = "main") -> list[str]:
    """Files that differ from where this branch left main: committed, staged, edited or new. Raises NotComparable."""
    left = ""
    for name in (base, f"origin/{base}"):
        try:
            left = _git(repository, "merge-base", "HEAD", name).strip()
            break
        except NotComparable:
            continue
    if not left:
        raise NotComparable(f"git knows no common commit with {base} or origin/{base}")
    tracked = _git(repository, "diff", "--name-only", "--no-renames", "-z", left)
    new = _git(repository, "ls-files", "--others", "--exclude-standard", "-z")
    return sorted({path for path in (tracked + new).split("\0") if path})


def choose_changed(repository: Path) -> Choice:
    try:
        return choose(changed_files(repository))
    except NotComparable as reason:
        return Choice(_ALL, f"every layer, since {reason}")


def _git(repository: Path, *arguments: str) -> str:
    command: Sequence[str] = ["git", "-C", str(repository), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NotComparable(f"git does not run: {error}") from None
    if done.returncode:
        raise NotComparable(f"git {arguments[0]} says: {done.stderr.strip()}")
    return done.stdout
